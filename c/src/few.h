/* few.h: the free blocks as a list, while they are few: most programs never have many at a time, and then looking at all of them at once is faster
 * than any structure.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   few    how many are in the list: 0 to FEW_MAX; FEW_NOT: there were more, and the rows and the tree have them
 *   first  entry i, below few: FEW_BASE - granule of a free block, not the tail; entry FEW_MAX + i: its size in granules. Others: 0
 *
 * In any order. The lowest block with room is the greatest entry whose size will do. Heaps that may have FEW_BASE granules or more have no list.
 *
 * Derived, as the bits. Called under the lock. */
#ifndef SHMHEAP_FEW_H
#define SHMHEAP_FEW_H

#include "block.h"
#include "vector.h"

static inline uint32_t few_of_granule(uint64_t granule) { return FEW_BASE - (uint32_t)granule; }
static inline uint64_t granule_of_few(uint32_t entry) { return FEW_BASE - entry; }

static HOT uint64_t few_count(const struct shmheap *heap) { return load_u64(&heap->control->few); }

/* The list has all free blocks. */
static HOT int few_is_list(uint64_t few) { return few <= FEW_MAX; }

static HOT uint32_t *few_entry(const struct shmheap *heap, uint64_t place) { return heap->control->first + place; }
static HOT uint32_t *few_size(const struct shmheap *heap, uint64_t place) { return heap->control->first + FEW_MAX + place; }

/* The entry of the lowest block of at least need, 1 to 2^31 - 1, and its place; 0: there is none. few: as few_count says, also below. */
static HOT uint32_t few_find(const struct shmheap *heap, uint64_t few, uint64_t need, uint64_t *place)
{
    uint32_t entry = greatest_where(few_entry(heap, 0), few_size(heap, 0), few, (uint32_t)need, place);
    *place %= FEW_MAX; /* also where a peer has been at work */
    return entry;
}

/* The place of the lowest of the smallest blocks from need up to, without, ROWS; FEW_MAX: all are smaller or larger. */
static inline uint64_t few_best(const struct shmheap *heap, uint64_t few, uint64_t need)
{
    uint64_t best = FEW_MAX, best_size = ROWS, best_entry = 0;
    for (uint64_t place = 0; place < few; place++) {
        uint64_t size = load_u32(few_size(heap, place)), entry = load_u32(few_entry(heap, place));
        if (size < need || size > best_size || (size == best_size && entry <= best_entry))
            continue;
        best = place;
        best_size = size;
        best_entry = entry;
    }
    return best_size != ROWS ? best : FEW_MAX;
}

/* The place of the block at granule; FEW_MAX: it is not in the list. */
static HOT uint64_t few_place(const struct shmheap *heap, uint64_t few, uint64_t granule)
{
    return equal_where(few_entry(heap, 0), NULL, few, few_of_granule(granule));
}

/* The place of the block that ends before granule; FEW_MAX: none does. */
static HOT uint64_t few_place_before(const struct shmheap *heap, uint64_t few, uint64_t granule)
{
    return equal_where(few_size(heap, 0), few_entry(heap, 0), few, (uint32_t)granule - FEW_BASE);
}

static HOT void few_set(const struct shmheap *heap, uint64_t place, uint64_t granule, uint64_t size)
{
    store_u32(few_entry(heap, place), few_of_granule(granule));
    store_u32(few_size(heap, place), (uint32_t)size);
}

/* The last entry comes to this place. few: not 0, where no peer lies. */
static HOT void few_drop(const struct shmheap *heap, uint64_t few, uint64_t place)
{
    uint64_t last = (few - 1) % FEW_MAX;
    store_u32(few_entry(heap, place), load_u32(few_entry(heap, last)));
    store_u32(few_size(heap, place), load_u32(few_size(heap, last)));
    store_u32(few_entry(heap, last), 0);
    store_u32(few_size(heap, last), 0);
    store_u64(&heap->control->few, few - 1);
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
