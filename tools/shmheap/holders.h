/* holders.h: who holds the blocks of a heap: processes alive and dead, and nobody.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_HOLDERS_H
#define SHMHEAP_TOOL_HOLDERS_H

#include <shmheap.h>
#include <stddef.h>

#include "json.h"

struct holding {
    uint64_t blocks, bytes; /* with headers */
};

struct holders {
    shmheap_process_info *processes;
    size_t count;
    struct holding left; /* allocated by processes that disconnected in order */
    struct holding gone; /* of dead processes whose slots were given away */
    struct holding sent; /* in transit */
};

/* holders_look fills *holders, which begins as zeros and may hold what a look before found. 0, or -1 with errno. */
int holders_look(shmheap_memory_handle mem, struct holders *holders);
void holders_drop(struct holders *holders);

/* What the processes that died hold. */
struct holding holders_dead(const struct holders *holders);

/* holders_show prints a table, each line after indent; nothing when nobody holds anything. */
void holders_show(const struct holders *holders, const char *indent);

/* holders_add_json adds the members connected, left, gone and sent. */
void holders_add_json(json_t *object, const struct holders *holders);

#endif
