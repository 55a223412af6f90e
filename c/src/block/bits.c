/* bits.c: what bits.h does not inline: long blocks, ranges of start bits, the table of run masks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bits.h"

uint64_t bits_size_far(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    uint64_t next = load_u64(&heap->bits[chunk_of(granule) + 1].start);
    return next != 0 ? CHUNK_GRANULES - granule % CHUNK_GRANULES + bit_lowest(next)
                     : header_size(header);
}

void starts_clear(const struct shmheap *heap, uint64_t from, uint64_t to)
{
    for (uint64_t chunk = chunk_of(from); chunk * CHUNK_GRANULES < to; chunk++) {
        shared_u64 *word = &heap->bits[chunk].start;
        uint64_t keep = 0;
        if (chunk == chunk_of(from))
            keep |= bits_below(from);
        if (chunk == chunk_of(to))
            keep |= ~bits_below(to);
        store_publish(word, load_u64(word) & keep);
    }
}

/* Each shift is as long as the runs so far, or as what n still lacks. Entry 0 is that of 1. */
const struct run_mask run_masks[RUN_MASK_MAX + 1] = {
    {{0, 0, 0, 0, 0, 0}},   {{0, 0, 0, 0, 0, 0}},   {{1, 0, 0, 0, 0, 0}},   {{1, 1, 0, 0, 0, 0}},
    {{1, 2, 0, 0, 0, 0}},   {{1, 2, 1, 0, 0, 0}},   {{1, 2, 2, 0, 0, 0}},   {{1, 2, 3, 0, 0, 0}},
    {{1, 2, 4, 0, 0, 0}},   {{1, 2, 4, 1, 0, 0}},   {{1, 2, 4, 2, 0, 0}},   {{1, 2, 4, 3, 0, 0}},
    {{1, 2, 4, 4, 0, 0}},   {{1, 2, 4, 5, 0, 0}},   {{1, 2, 4, 6, 0, 0}},   {{1, 2, 4, 7, 0, 0}},
    {{1, 2, 4, 8, 0, 0}},   {{1, 2, 4, 8, 1, 0}},   {{1, 2, 4, 8, 2, 0}},   {{1, 2, 4, 8, 3, 0}},
    {{1, 2, 4, 8, 4, 0}},   {{1, 2, 4, 8, 5, 0}},   {{1, 2, 4, 8, 6, 0}},   {{1, 2, 4, 8, 7, 0}},
    {{1, 2, 4, 8, 8, 0}},   {{1, 2, 4, 8, 9, 0}},   {{1, 2, 4, 8, 10, 0}},  {{1, 2, 4, 8, 11, 0}},
    {{1, 2, 4, 8, 12, 0}},  {{1, 2, 4, 8, 13, 0}},  {{1, 2, 4, 8, 14, 0}},  {{1, 2, 4, 8, 15, 0}},
    {{1, 2, 4, 8, 16, 0}},  {{1, 2, 4, 8, 16, 1}},  {{1, 2, 4, 8, 16, 2}},  {{1, 2, 4, 8, 16, 3}},
    {{1, 2, 4, 8, 16, 4}},  {{1, 2, 4, 8, 16, 5}},  {{1, 2, 4, 8, 16, 6}},  {{1, 2, 4, 8, 16, 7}},
    {{1, 2, 4, 8, 16, 8}},  {{1, 2, 4, 8, 16, 9}},  {{1, 2, 4, 8, 16, 10}}, {{1, 2, 4, 8, 16, 11}},
    {{1, 2, 4, 8, 16, 12}}, {{1, 2, 4, 8, 16, 13}}, {{1, 2, 4, 8, 16, 14}}, {{1, 2, 4, 8, 16, 15}},
    {{1, 2, 4, 8, 16, 16}}, {{1, 2, 4, 8, 16, 17}}, {{1, 2, 4, 8, 16, 18}}, {{1, 2, 4, 8, 16, 19}},
    {{1, 2, 4, 8, 16, 20}}, {{1, 2, 4, 8, 16, 21}}, {{1, 2, 4, 8, 16, 22}}, {{1, 2, 4, 8, 16, 23}},
    {{1, 2, 4, 8, 16, 24}}, {{1, 2, 4, 8, 16, 25}}, {{1, 2, 4, 8, 16, 26}}, {{1, 2, 4, 8, 16, 27}},
    {{1, 2, 4, 8, 16, 28}}, {{1, 2, 4, 8, 16, 29}}, {{1, 2, 4, 8, 16, 30}}, {{1, 2, 4, 8, 16, 31}},
    {{1, 2, 4, 8, 16, 32}},
};
