/* aligned.h: alloc with the payload at a multiple of a power of two above the heap's own alignment.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [ from                      ]   the headers of USED and rest are prepared inside; the store
 *   [ gap ][ USED ][ rest       ]   to from's header, which gets shorter, publishes all of it
 *
 * A death leaves from as it was, or all three blocks. */
#ifndef SHMHEAP_ALIGNED_H
#define SHMHEAP_ALIGNED_H

#include "first_fit.h"

/* [ from                  ] => [ gap ][ USED at ][ rest ]   A rest too short for a block goes to
 * USED. */
static int64_t take_middle(struct shmheap *heap, const struct free_block *from, uint64_t at,
                           uint64_t need)
{
    uint64_t granule = from->granule, behind = at + need, rest = granule + from->size - behind;
    if (rest < heap->block_min) {
        behind += rest;
        rest = 0;
    } else {
        block_prepare(heap, behind, header_free(rest));
    }
    block_prepare(heap, at, header_used(heap, behind - at));
    block_publish(heap, granule, header_free(at - granule));
    free_set_split(heap, from, at, behind, rest);
    start_set(heap, at);
    if (rest != 0)
        start_set(heap, behind);
    count_used(heap->control, behind - at);
    if (rest != 0)
        store_add(&heap->control->free_blocks, 1);
    return (int64_t)at;
}

/* Takes an aligned object out of a free block that was checked. FIT_NONE: it does not fit there. */
static int64_t take_aligned(struct shmheap *heap, uint64_t form, const struct free_block *from,
                            uint64_t need, uint64_t alignment, uint64_t top)
{
    uint64_t granule = from->granule, at = block_align(heap, granule, alignment);
    if (at - granule + need > from->size)
        return FIT_NONE;
    if (at != granule)
        return take_middle(heap, from, at, need);
    return granule == top ? take_top(heap, form, top, need) : take_front(heap, form, from, need);
}

/* take_aligned of the free block at granule, once its header and the index agree. */
static int64_t take_aligned_at(struct shmheap *heap, uint64_t form, uint64_t granule, uint64_t need,
                               uint64_t alignment, uint64_t top)
{
    struct free_block from = free_block_none(granule);
    uint64_t end = heap->end, header = granule < end ? block_load(heap, granule) : ~UINT64_C(0);
    from.size = header_is_free(header) ? block_size_checked(heap, granule, header, end) : 0;
    from.lowest = 0;
    if (from.size == 0 || !bits_is_start(heap, granule) ||
        (granule + from.size == end) != (granule == top) || !free_set_has(heap, form, top, &from))
        return FIT_BAD;
    return from.size >= need ? take_aligned(heap, form, &from, need, alignment, top) : FIT_NONE;
}

/* Takes the lowest free block in which the object fits, whatever its length. */
static COLD int64_t alloc_aligned_anywhere(struct shmheap *heap, uint64_t form, uint64_t need,
                                           uint64_t alignment, uint64_t top)
{
    uint64_t granule = free_set_find_aligned(heap, form, need, alignment, top);
    if (granule != GRANULE_NONE) {
        int64_t taken = take_aligned_at(heap, form, granule, need, alignment, top);
        return taken != FIT_NONE ? taken : FIT_BAD; /* the index has promised that it fits */
    }
    if (heap->end - top < need)
        return FIT_NONE;
    return take_aligned_at(heap, form, top, need, alignment, top);
}

static int64_t fit_alloc_aligned(struct shmheap *heap, uint64_t need, uint64_t alignment,
                                 int exhaustive)
{
    struct free_block block;
    uint64_t form = free_set_form(heap), end = heap->end, top = top_load(heap);
    if (top == GRANULE_NONE)
        return FIT_BAD;
    if (exhaustive)
        return alloc_aligned_anywhere(heap, form, need, alignment, top);
    /* A block of this length has room wherever it begins. */
    uint64_t enough = need + (alignment >> heap->shift) + heap->block_min - 1;
    int result = find_first(heap, form, enough, top, &block);
    if (result > 0)
        return take_aligned(heap, form, &block, need, alignment, top);
    if (result == FIT_BAD || end - top < enough)
        return result;
    if (!top_is_sound(heap, top))
        return FIT_BAD;
    block = free_block_none(top);
    block.size = end - top;
    return take_aligned(heap, form, &block, need, alignment, top);
}

#endif
