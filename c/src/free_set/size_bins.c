/* SPDX-License-Identifier: Apache-2.0 */
#include "size_bins.h"

void rows_put_high(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint64_t i = chunk / ROWS / ROWS;
    for (unsigned level = 2; level < ROW_LEVELS_MIN || level < heap->layout.row_levels; level++, i /= ROWS)
        store_or(row_word(heap, level, i, size), UINT64_C(1) << i % ROWS);
}

/* Down from entry *i of *level, along the first ones: to level 0 and a chunk, or to where the word below the entry is 0. */
static void rows_descend(const struct shmheap *heap, unsigned *level, uint64_t *i, uint64_t size)
{
    while (*level > 0) {
        uint64_t word = *i < heap->layout.row_len[*level - 1] ? load_u64(heap->row[*level - 1] + *i * ROWS + size) : 0;
        if (word == 0)
            return;
        *i = *i * ROWS + bit_lowest(word);
        --*level;
    }
}

/* Each round goes up a level, or clears a bit that had nothing below it: of those there are at most as many as there are words, unless
 * a peer makes new ones. */
uint32_t rows_next_far(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint64_t i = chunk / ROWS / ROWS, rounds = heap->layout.row_len[0] + ROW_LEVELS_MAX;
    unsigned level = 2;
    while (level < heap->layout.row_levels && rounds-- > 0) {
        uint64_t later = load_u64(row_word(heap, level, i, size)) & ~((UINT64_C(2) << i % ROWS) - 1);
        if (later == 0) {
            level++;
            i /= ROWS;
            continue;
        }
        unsigned below = level;
        uint64_t at = (i & ~(uint64_t)(ROWS - 1)) + bit_lowest(later);
        rows_descend(heap, &below, &at, size);
        if (below == 0)
            return first_of_chunk(at);
        store_and(row_word(heap, below, at, size), ~(UINT64_C(1) << at % ROWS));
    }
    return 0;
}

uint32_t rows_lowest(const struct shmheap *heap, uint64_t size)
{
    for (uint64_t i = 0; i < heap->layout.row_len[0] && i * ROWS * CHUNK_GRANULES < heap->end; i++) {
        uint64_t word = load_u64(heap->row[0] + i * ROWS + size);
        if (word != 0)
            return first_of_chunk(i * ROWS + bit_lowest(word));
    }
    return 0;
}
