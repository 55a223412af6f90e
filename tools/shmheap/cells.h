/* cells.h: a heap's region cut into equal cells, and how many bytes of which kind lie in each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_CELLS_H
#define SHMHEAP_TOOL_CELLS_H

#include <shmheap.h>
#include <stddef.h>
#include <stdint.h>

enum { CELL_KINDS = 16, CELL_FREE = 0 }; /* kind 0 is what is free */

struct cell {
    uint64_t bytes[CELL_KINDS];
};

struct cells {
    struct cell *cell;
    size_t count;
    uint64_t len;      /* of the region, when the cells were made */
    uint64_t cell_len; /* bytes a cell */
};

/* 0, or -1 with errno ENOMEM. */
int cells_make(struct cells *cells, uint64_t len, size_t count);
void cells_free(struct cells *cells);

/* cells_add spreads the bytes of a block over its cells. What lies beyond the region (which grew
 * meanwhile) is left out. */
void cells_add(struct cells *cells, uint64_t offset, uint64_t size, unsigned kind);

/* The kind other than free that has the most bytes in the cell, or CELL_FREE when there is none. */
unsigned cell_kind(const struct cell *cell);

/* How full the cell is: 0 all free, 4 all used, 1 to 3 between. */
unsigned cell_level(const struct cell *cell);

#endif
