/* cells.c: a heap's region divided into equal cells.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/heaps/cells.h"

#include <stdlib.h>

int cells_make(struct cells *cells, uint64_t len, size_t count)
{
    cells->len = len;
    cells->cell_len = len / count + (len % count != 0);
    if (cells->cell_len == 0)
        cells->cell_len = 1;
    cells->count = (size_t)(len / cells->cell_len + (len % cells->cell_len != 0));
    cells->cell = calloc(cells->count ? cells->count : 1, sizeof *cells->cell);
    return cells->cell ? 0 : -1;
}

void cells_free(struct cells *cells)
{
    free(cells->cell);
    cells->cell = NULL;
}

void cells_add(struct cells *cells, uint64_t offset, uint64_t size, unsigned kind)
{
    if (offset >= cells->len || kind >= CELL_KINDS)
        return;
    uint64_t end = size > cells->len - offset ? cells->len : offset + size;
    while (offset < end) {
        size_t i = (size_t)(offset / cells->cell_len);
        uint64_t cell_end = (i + 1) * cells->cell_len;
        uint64_t stop = end < cell_end ? end : cell_end;
        cells->cell[i].bytes[kind] += stop - offset;
        offset = stop;
    }
}

unsigned cell_kind(const struct cell *cell)
{
    unsigned most = CELL_FREE;
    for (unsigned kind = 1; kind < CELL_KINDS; kind++)
        if (cell->bytes[kind] && (most == CELL_FREE || cell->bytes[kind] > cell->bytes[most]))
            most = kind;
    return most;
}

unsigned cell_level(const struct cell *cell)
{
    uint64_t used = 0;
    for (unsigned kind = 1; kind < CELL_KINDS; kind++)
        used += cell->bytes[kind];
    uint64_t total = used + cell->bytes[CELL_FREE];
    if (used == 0)
        return 0;
    if (used == total)
        return 4;
    return 1 + (unsigned)(used * 3 / total);
}
