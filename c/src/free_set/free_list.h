/* free_list.h: the free blocks as a list in address order, while there are at most LIST_MAX.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Most programs have few free blocks at a time. Then one comparison of vectors over all of them
 * costs less than a walk through any structure.
 *
 *   listed   how many blocks are in the list, 0 to LIST_MAX; NOT_LISTED: size bins and large tree
 *            hold them (binned_set.h)
 *   first    entry i < listed: granule of the i-th free block, plus 1; the top block is left out
 *            entry LIST_MAX + i: its size in granules
 *            all entries behind are 0
 *
 * All numbers are below 2^31: a heap that may have LIST_GRANULES granules or more has no list. The
 * list needs no boundary bits, so all of them are 0.
 *
 * Derived, as the bits: recovery rebuilds it. All functions need the lock. listed: what list_count
 * has returned; a hostile peer may have written any number up to LIST_MAX. */
#ifndef SHMHEAP_FREE_LIST_H
#define SHMHEAP_FREE_LIST_H

#include "../block/bits.h"
#include "../base/vector.h"

/* How the list writes a granule: 0 stands for no block. */
static inline uint32_t list_number(uint64_t granule) { return (uint32_t)granule + 1; }

static ALWAYS_INLINE uint64_t list_count(const struct shmheap *heap)
{
    return load_u64(&heap->control->listed);
}

/* 1 where the list holds the free blocks. */
static ALWAYS_INLINE int list_in_use(uint64_t listed) { return listed <= LIST_MAX; }

static ALWAYS_INLINE shared_u32 *list_entry(const struct shmheap *heap, uint64_t place)
{
    return heap->control->first + place;
}
static ALWAYS_INLINE shared_u32 *list_size(const struct shmheap *heap, uint64_t place)
{
    return heap->control->first + LIST_MAX + place;
}

static ALWAYS_INLINE uint64_t list_granule(const struct shmheap *heap, uint64_t place)
{
    return (uint64_t)load_u32(list_entry(heap, place)) - 1;
}

/* Finding: by place in the list; LIST_MAX: there is none --------------------------------------- */

/* The place of the block at granule. */
static ALWAYS_INLINE uint64_t list_place(const struct shmheap *heap, uint64_t listed,
                                         uint64_t granule)
{
    return bit_lowest_or_64(sums_of_64(list_entry(heap, 0), NULL, listed, list_number(granule)));
}

/* The place of the block that ends before granule: the one whose granule and size add up to it. */
static ALWAYS_INLINE uint64_t list_place_before(const struct shmheap *heap, uint64_t listed,
                                                uint64_t granule)
{
    return bit_lowest_or_64(
        sums_of_64(list_entry(heap, 0), list_size(heap, 0), listed, list_number(granule)));
}

/* Fills in the block in this place: 1, or 0 where place is LIST_MAX. */
static ALWAYS_INLINE int list_at(const struct shmheap *heap, uint64_t place,
                                 struct free_block *block)
{
    if (place == LIST_MAX)
        return 0;
    block->granule = list_granule(heap, place);
    block->size = load_u32(list_size(heap, place));
    block->place = place;
    return 1;
}

/* The lowest block of at least need granules, 1 to 2^31 - 1: 1, or 0. */
static ALWAYS_INLINE int list_find(const struct shmheap *heap, uint64_t listed, uint64_t need,
                                   struct free_block *block)
{
    uint64_t fitting = above_of_64(list_size(heap, 0), listed, (uint32_t)need - 1);
    return list_at(heap, bit_lowest_or_64(fitting), block);
}

/* The lowest of the smallest blocks of need to BINS - 1 granules: 1, or 0. */
static inline int list_find_best(const struct shmheap *heap, uint64_t listed, uint64_t need,
                                 struct free_block *block)
{
    uint64_t best = LIST_MAX, least = BINS;
    for (uint64_t place = 0; place < listed; place++) {
        uint64_t size = load_u32(list_size(heap, place));
        if (size < need || size >= least)
            continue;
        best = place;
        least = size;
    }
    return list_at(heap, best, block);
}

/* The granule of the lowest block with room for need granules at a multiple of alignment;
 * GRANULE_NONE: no block has it. Also a granule behind the end, where the list is wrong. */
static inline uint64_t list_find_aligned(const struct shmheap *heap, uint64_t listed, uint64_t need,
                                         uint64_t alignment)
{
    for (uint64_t place = 0; place < listed; place++) {
        uint64_t size = load_u32(list_size(heap, place)), granule = list_granule(heap, place);
        if (size < need)
            continue;
        if (granule >= heap->end || block_align(heap, granule, alignment) - granule <= size - need)
            return granule;
    }
    return GRANULE_NONE;
}

/* The size of the largest block; 0: the list is empty. */
static inline uint64_t list_largest(const struct shmheap *heap, uint64_t listed)
{
    uint64_t most = 0;
    for (uint64_t place = 0; place < listed; place++) {
        uint64_t size = load_u32(list_size(heap, place));
        most = size > most ? size : most;
    }
    return most;
}

/* The free block that ends before granule, size 0: there is none. 1, or 0 where the list
 * contradicts the header. */
static ALWAYS_INLINE int list_before(const struct shmheap *heap, uint64_t listed, uint64_t granule,
                                     struct free_block *before)
{
    *before = free_block_none(granule);
    before->place = list_place_before(heap, listed, granule);
    return before->place == LIST_MAX ||
           free_block_before(heap, granule, load_u32(list_size(heap, before->place)), before);
}

/* The free block at next, as list_before. No boundary bit tells that control->top is wrong: so the
 * header has to say that a block which the list lacks is in use. */
static ALWAYS_INLINE int list_behind(const struct shmheap *heap, uint64_t listed, uint64_t next,
                                     uint64_t top, struct free_block *behind)
{
    *behind = free_block_none(next);
    behind->place = list_place(heap, listed, next);
    if (UNLIKELY(next == heap->end))
        return LIKELY(top == next);
    uint64_t header = block_load(heap, next);
    if (behind->place == LIST_MAX && next != top)
        return LIKELY(!header_is_free(header));
    behind->size = next == top ? heap->end - top : load_u32(list_size(heap, behind->place));
    return LIKELY(free_block_is_sound(heap, behind, header, top));
}

/* Changing ------------------------------------------------------------------------------------- */

static ALWAYS_INLINE void list_set(const struct shmheap *heap, uint64_t place, uint64_t granule,
                                   uint64_t size)
{
    store_u32(list_entry(heap, place), list_number(granule));
    store_u32(list_size(heap, place), (uint32_t)size);
}

/* Takes out the block in this place; the entries behind it move down. */
static ALWAYS_INLINE void list_drop(const struct shmheap *heap, uint64_t listed, uint64_t place)
{
    numbers_drop(list_entry(heap, 0), listed, place);
    numbers_drop(list_size(heap, 0), listed, place);
    store_u64(&heap->control->listed, listed - 1);
}

/* Puts in a block; the entries behind it move up. listed: below LIST_MAX. */
static ALWAYS_INLINE void list_insert(const struct shmheap *heap, uint64_t listed, uint64_t granule,
                                      uint64_t size)
{
    uint64_t behind = above_of_64(list_entry(heap, 0), listed, list_number(granule));
    /* At most listed, whatever a peer has written into the entries. */
    uint64_t place = bit_lowest(behind | UINT64_C(1) << listed);
    numbers_insert(list_entry(heap, 0), listed, place, list_number(granule));
    numbers_insert(list_size(heap, 0), listed, place, (uint32_t)size);
    store_u64(&heap->control->listed, listed + 1);
}

/* The block in this place becomes [ behind, behind + rest ); rest 0: it goes. */
static ALWAYS_INLINE void list_shrink(const struct shmheap *heap, uint64_t listed, uint64_t place,
                                      uint64_t behind, uint64_t rest)
{
    if (rest != 0)
        list_set(heap, place, behind, rest);
    else
        list_drop(heap, listed, place);
}

#endif
