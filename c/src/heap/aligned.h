/* aligned.h: the lowest free block in which an aligned object fits, among blocks that are large
 * enough for some alignments only.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The search goes through the chunks that hold a block of at least the object's size, as the rows
 * and the tree name them. Of each it tests all small blocks at once, on the bits, and no header. */
#ifndef SHMHEAP_ALIGNED_H
#define SHMHEAP_ALIGNED_H

#include "../block/bits.h"

/* The first granule from this one on where a block's payload is aligned and what lies before can be
 * a block. */
static inline uint64_t align_granule(const struct shmheap *heap, uint64_t granule,
                                     uint64_t alignment)
{
    /* Of addresses, not offsets: the caller has checked that all mappings agree. */
    uint64_t address = (uint64_t)(uintptr_t)block_payload(heap, granule);
    uint64_t gap = (round_up(address, alignment) - address) >> heap->shift;
    if (gap != 0 && gap < heap->block_min)
        gap += alignment >> heap->shift;
    return granule + gap;
}

/* aligned_find is the lowest free block before the tail in which an object of need granules fits
 * with its payload at a multiple of alignment, a power of two above the heap's own: as the rows,
 * the tree and the bits have it. GRANULE_NONE: there is none. Called under the lock, where there is
 * no list of free blocks. Changes nothing. Costs some instructions for each chunk that holds a free
 * block of at least need. */
uint64_t aligned_find(const struct shmheap *heap, uint64_t need, uint64_t alignment, uint64_t top);

#endif
