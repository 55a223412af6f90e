/* json.h: figures for programs, on standard output.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_JSON_H
#define SHMHEAP_TOOL_JSON_H

#include <jansson.h>
#include <stdint.h>

/* json_set_* add a member; text that is no UTF-8 goes in with its strange bytes as '?'. */
void json_set_count(json_t *object, const char *key, uint64_t value);
void json_set_text(json_t *object, const char *key, const char *value);
void json_set_flag(json_t *object, const char *key, int value);

/* json_show prints value in readable lines and releases it. 0, or STATUS_FAILED having said so. */
int json_show(json_t *value);

#endif
