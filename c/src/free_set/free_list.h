/* free_list.h: the free blocks as a list, while they are few: most programs never have many at a time, and then looking at all of them at once is faster
 * than any structure.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   few    how many are in the list: 0 to FEW_MAX; FEW_NOT: there were more, and the rows and the tree have them
 *   edge   the edge bits, for which the list is as good, are 0
 *   first  entry i, below few: the granule of the i-th free block plus 1, by address, without the tail; entry FEW_MAX + i: its size in
 *          granules. Others: 0
 *
 * All these are below 2^31: heaps that may have FEW_GRANULES granules or more have no list.
 *
 * Derived, as the bits. Called under the lock. */
#ifndef SHMHEAP_FREE_LIST_H
#define SHMHEAP_FREE_LIST_H

#include "../block/block.h"
#include "../base/vector.h"

static inline uint32_t few_of_granule(uint64_t granule) { return (uint32_t)granule + 1; }

static HOT uint64_t few_count(const struct shmheap *heap) { return load_u64(&heap->control->few); }

/* The list has all free blocks. */
static HOT int few_is_list(uint64_t few) { return few <= FEW_MAX; }

static HOT shared_u32 *few_entry(const struct shmheap *heap, uint64_t place) { return heap->control->first + place; }
static HOT shared_u32 *few_size(const struct shmheap *heap, uint64_t place) { return heap->control->first + FEW_MAX + place; }

static HOT uint64_t few_granule(const struct shmheap *heap, uint64_t place) { return (uint64_t)load_u32(few_entry(heap, place)) - 1; }

/* The place of the lowest block of at least need, 1 to 2^31 - 1; FEW_MAX: there is none. few: as few_count says, also below. */
static HOT uint64_t few_find(const struct shmheap *heap, uint64_t few, uint64_t need)
{
    return bit_lowest_or_64(above_of_64(few_size(heap, 0), few, (uint32_t)need - 1));
}

/* The place of the lowest of the smallest blocks from need up to, without, ROWS; FEW_MAX: all are smaller or larger. */
static inline uint64_t few_best(const struct shmheap *heap, uint64_t few, uint64_t need)
{
    uint64_t best = FEW_MAX, least = ROWS;
    for (uint64_t place = 0; place < few; place++) {
        uint64_t size = load_u32(few_size(heap, place));
        if (size < need || size >= least)
            continue;
        best = place;
        least = size;
    }
    return best;
}

/* The size of the largest; 0: there is none. */
static inline uint64_t few_largest(const struct shmheap *heap, uint64_t few)
{
    uint64_t most = 0;
    for (uint64_t place = 0; place < few; place++) {
        uint64_t size = load_u32(few_size(heap, place));
        most = size > most ? size : most;
    }
    return most;
}

/* The place of the block at granule; FEW_MAX: it is not in the list. */
static HOT uint64_t few_place(const struct shmheap *heap, uint64_t few, uint64_t granule)
{
    return bit_lowest_or_64(sums_of_64(few_entry(heap, 0), NULL, few, few_of_granule(granule)));
}

/* The place of the block that ends before granule; FEW_MAX: none does. */
static HOT uint64_t few_place_before(const struct shmheap *heap, uint64_t few, uint64_t granule)
{
    return bit_lowest_or_64(sums_of_64(few_entry(heap, 0), few_size(heap, 0), few, few_of_granule(granule)));
}

static HOT void few_set(const struct shmheap *heap, uint64_t place, uint64_t granule, uint64_t size)
{
    store_u32(few_entry(heap, place), few_of_granule(granule));
    store_u32(few_size(heap, place), (uint32_t)size);
}

/* few: not 0, where no peer lies. */
static HOT void few_drop(const struct shmheap *heap, uint64_t few, uint64_t place)
{
    numbers_drop(few_entry(heap, 0), few, place);
    numbers_drop(few_size(heap, 0), few, place);
    store_u64(&heap->control->few, few - 1);
}

/* few: less than FEW_MAX. */
static HOT void few_insert(const struct shmheap *heap, uint64_t few, uint64_t granule, uint64_t size)
{
    uint64_t behind = above_of_64(few_entry(heap, 0), few, few_of_granule(granule));
    uint64_t place = bit_lowest(behind | UINT64_C(1) << few); /* at most few, whatever is there */
    numbers_insert(few_entry(heap, 0), few, place, few_of_granule(granule));
    numbers_insert(few_size(heap, 0), few, place, (uint32_t)size);
    store_u64(&heap->control->few, few + 1);
}

/* The block in this place becomes [ behind, behind + rest ); rest 0: it is none any more. */
static HOT void few_shrink(const struct shmheap *heap, uint64_t few, uint64_t place, uint64_t behind, uint64_t rest)
{
    if (rest != 0)
        few_set(heap, place, behind, rest);
    else
        few_drop(heap, few, place);
}

#endif
