/* json.h: output for programs, on standard output.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_JSON_H
#define SHMHEAP_TOOL_JSON_H

#include <jansson.h>
#include <stdint.h>

/* json_set_* add a member. In text that is not UTF-8, bytes from 0x80 on become '?'. */
void json_set_count(json_t *object, const char *key, uint64_t value);
void json_set_text(json_t *object, const char *key, const char *value);
void json_set_flag(json_t *object, const char *key, int value);

/* json_show prints value, indented, and releases it. Returns 0, or STATUS_FAILED after printing an
 * error. */
int json_show(json_t *value);

#endif
