/* cells.h: a heap's region divided into equal cells, with the bytes of each kind in each cell.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_CELLS_H
#define SHMHEAP_TOOL_CELLS_H

#include <shmheap.h>
#include <stddef.h>
#include <stdint.h>

enum { CELL_KINDS = 16, CELL_FREE = 0 }; /* kind 0: free bytes */

struct cell {
    uint64_t bytes[CELL_KINDS];
};

struct cells {
    struct cell *cell;
    size_t count;
    uint64_t len;      /* of the region when the cells were made */
    uint64_t cell_len; /* bytes in a cell */
};

/* cells_make returns 0, or -1 with errno ENOMEM. */
int cells_make(struct cells *cells, uint64_t len, size_t count);
void cells_free(struct cells *cells);

/* cells_add adds the bytes of a block to its cells. It ignores bytes beyond len: the heap may have
 * grown since cells_make. */
void cells_add(struct cells *cells, uint64_t offset, uint64_t size, unsigned kind);

/* cell_kind is the kind with the most bytes in the cell, other than free; CELL_FREE if there is
 * none. */
unsigned cell_kind(const struct cell *cell);

/* cell_level is how full the cell is: 0 all free, 4 all used, 1 to 3 between. */
unsigned cell_level(const struct cell *cell);

#endif
