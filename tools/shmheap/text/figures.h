/* figures.h: a heap's statistics as JSON: the same members in every command.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_FIGURES_H
#define SHMHEAP_TOOL_FIGURES_H

#include <shmheap.h>

#include "tools/shmheap/text/json.h"

json_t *figures_json(const char *name, const shmheap_stats *stats);

#endif
