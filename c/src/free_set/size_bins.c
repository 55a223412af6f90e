/* size_bins.c: the slow paths of the bins: levels from 2 on.
 * SPDX-License-Identifier: Apache-2.0 */
#include "size_bins.h"

void bins_put_high(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint64_t i = chunk / WORD_BITS / WORD_BITS;
    for (unsigned level = 2; level < BIN_LEVELS_MIN || level < heap->layout.bin_levels;
         level++, i /= WORD_BITS)
        store_or(bin_word(heap, level, i, size), UINT64_C(1) << i % WORD_BITS);
}

/* Goes down from bit *i of *level along the first bits: to a chunk on level 0, or to a bit whose
 * word below is 0. */
static void bins_descend(const struct shmheap *heap, unsigned *level, uint64_t *i, uint64_t size)
{
    while (*level > 0) {
        uint64_t word = bins_reach(heap, *level - 1, *i)
                            ? load_u64(heap->bin[*level - 1] + *i * BINS + size)
                            : 0;
        if (word == 0)
            return;
        *i = *i * WORD_BITS + bit_lowest(word);
        --*level;
    }
}

/* Each round goes up a level or clears a bit with nothing below it. There are at most as many such
 * bits as words, but a hostile peer may set new ones: the rounds are counted, so that it ends. */
uint32_t bins_next_far(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint64_t i = chunk / WORD_BITS / WORD_BITS,
             rounds = chunk_of(heap->end) / WORD_BITS + 1 + BIN_LEVELS_MAX;
    unsigned level = 2;
    while (level < heap->layout.bin_levels && rounds-- > 0) {
        uint64_t later =
            load_u64(bin_word(heap, level, i, size)) & ~((UINT64_C(2) << i % WORD_BITS) - 1);
        if (later == 0) {
            level++;
            i /= WORD_BITS;
            continue;
        }
        unsigned below = level;
        uint64_t at = (i & ~(uint64_t)(WORD_BITS - 1)) + bit_lowest(later);
        bins_descend(heap, &below, &at, size);
        if (below == 0)
            return first_of_chunk(at);
        store_and(bin_word(heap, below, at, size), ~(UINT64_C(1) << at % WORD_BITS));
    }
    return 0;
}
