/* process_table.h: the processes of a heap, alive and dead, and the blocks that each holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PROCESS_TABLE_H
#define SHMHEAP_TOOL_PROCESS_TABLE_H

#include <shmheap.h>
#include <stddef.h>

#include "tools/shmheap/text/json.h"

struct owned {
    uint64_t blocks, bytes; /* with headers */
};

struct process_table {
    shmheap_process_info *processes;
    size_t count;
    struct owned left; /* allocated by processes that disconnected */
    struct owned gone; /* of dead processes whose slots were reused */
    struct owned sent; /* sent and not yet received */
};

/* process_table_read replaces the contents of *table, which starts as zeros. Returns 0, or -1 with
 * errno. */
int process_table_read(shmheap_memory_handle mem, struct process_table *table);
void process_table_free(struct process_table *table);

/* process_table_dead is the sum of what dead processes hold. */
struct owned process_table_dead(const struct process_table *table);

/* process_table_show prints a table that fits the screen, each line after indent spaces. It prints
 * nothing for an empty table. */
void process_table_show(const struct process_table *table, int indent);

/* process_table_add_json adds the members connected, left, gone and sent. */
void process_table_add_json(json_t *object, const struct process_table *table);

#endif
