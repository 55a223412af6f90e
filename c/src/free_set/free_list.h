/* free_list.h: the free blocks as a list, while they are few: most programs never have many at a time, and then looking at all of them at once is faster
 * than any structure.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   few    how many are in the list: 0 to LIST_MAX; NOT_LISTED: there were more, and the rows and the tree have them
 *   edge   the edge bits, for which the list is as good, are 0
 *   first  entry i, below few: the granule of the i-th free block plus 1, by address, without the tail; entry LIST_MAX + i: its size in
 *          granules. Others: 0
 *
 * All these are below 2^31: heaps that may have LIST_GRANULES granules or more have no list.
 *
 * Derived, as the bits. Called under the lock. */
#ifndef SHMHEAP_FREE_LIST_H
#define SHMHEAP_FREE_LIST_H

#include "../block/block.h"
#include "../base/vector.h"

static inline uint32_t list_of_granule(uint64_t granule) { return (uint32_t)granule + 1; }

static ALWAYS_INLINE uint64_t list_count(const struct shmheap *heap)
{
    return load_u64(&heap->control->listed);
}

/* The list has all free blocks. */
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

/* The place of the lowest block of at least need, 1 to 2^31 - 1; LIST_MAX: there is none. few: as list_count says, also below. */
static ALWAYS_INLINE uint64_t list_find(const struct shmheap *heap, uint64_t listed, uint64_t need)
{
    return bit_lowest_or_64(above_of_64(list_size(heap, 0), listed, (uint32_t)need - 1));
}

/* The place of the lowest of the smallest blocks from need up to, without, BINS; LIST_MAX: all are smaller or larger. */
static inline uint64_t list_best(const struct shmheap *heap, uint64_t listed, uint64_t need)
{
    uint64_t best = LIST_MAX, least = BINS;
    for (uint64_t place = 0; place < listed; place++) {
        uint64_t size = load_u32(list_size(heap, place));
        if (size < need || size >= least)
            continue;
        best = place;
        least = size;
    }
    return best;
}

/* The size of the largest; 0: there is none. */
static inline uint64_t list_largest(const struct shmheap *heap, uint64_t listed)
{
    uint64_t most = 0;
    for (uint64_t place = 0; place < listed; place++) {
        uint64_t size = load_u32(list_size(heap, place));
        most = size > most ? size : most;
    }
    return most;
}

/* The place of the block at granule; LIST_MAX: it is not in the list. */
static ALWAYS_INLINE uint64_t list_place(const struct shmheap *heap, uint64_t listed,
                                         uint64_t granule)
{
    return bit_lowest_or_64(
        sums_of_64(list_entry(heap, 0), NULL, listed, list_of_granule(granule)));
}

/* The place of the block that ends before granule; LIST_MAX: none does. */
static ALWAYS_INLINE uint64_t list_place_before(const struct shmheap *heap, uint64_t listed,
                                                uint64_t granule)
{
    return bit_lowest_or_64(
        sums_of_64(list_entry(heap, 0), list_size(heap, 0), listed, list_of_granule(granule)));
}

static ALWAYS_INLINE void list_set(const struct shmheap *heap, uint64_t place, uint64_t granule,
                                   uint64_t size)
{
    store_u32(list_entry(heap, place), list_of_granule(granule));
    store_u32(list_size(heap, place), (uint32_t)size);
}

/* few: not 0, where no peer lies. */
static ALWAYS_INLINE void list_drop(const struct shmheap *heap, uint64_t listed, uint64_t place)
{
    numbers_drop(list_entry(heap, 0), listed, place);
    numbers_drop(list_size(heap, 0), listed, place);
    store_u64(&heap->control->listed, listed - 1);
}

/* few: less than LIST_MAX. */
static ALWAYS_INLINE void list_insert(const struct shmheap *heap, uint64_t listed, uint64_t granule,
                                      uint64_t size)
{
    uint64_t behind = above_of_64(list_entry(heap, 0), listed, list_of_granule(granule));
    uint64_t place =
        bit_lowest(behind | UINT64_C(1) << listed); /* at most few, whatever is there */
    numbers_insert(list_entry(heap, 0), listed, place, list_of_granule(granule));
    numbers_insert(list_size(heap, 0), listed, place, (uint32_t)size);
    store_u64(&heap->control->listed, listed + 1);
}

/* The block in this place becomes [ behind, behind + rest ); rest 0: it is none any more. */
static ALWAYS_INLINE void list_shrink(const struct shmheap *heap, uint64_t listed, uint64_t place,
                                      uint64_t behind, uint64_t rest)
{
    if (rest != 0)
        list_set(heap, place, behind, rest);
    else
        list_drop(heap, listed, place);
}

#endif
