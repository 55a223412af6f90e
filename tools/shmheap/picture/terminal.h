/* terminal.h: the map of a heap on standard output, as characters or as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_TERMINAL_H
#define SHMHEAP_TOOL_TERMINAL_H

#include <stdint.h>

#include "tools/shmheap/heaps/heap.h"

struct terminal_options {
    int by_process, json, color;
    uint64_t columns, rows; /* 0: the width of the terminal, 16 */
};

/* terminal_map returns the exit status, after it printed an error. */
int terminal_map(const struct heap_ref *ref, const struct terminal_options *options);

#endif
