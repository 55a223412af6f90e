/* SPDX-License-Identifier: Apache-2.0 */
#include "free_set.h"

uint64_t free_set_large_size(const struct shmheap *heap, uint64_t granule)
{
    uint32_t size = load_u32(heap->level[0] + chunk_of(granule));
    return size != MAXIMUM_CAP ? size : header_size(block_load(heap, granule));
}

/* struct collected is private: free blocks, from one form of the set on their way to the other. */
struct collected {
    uint64_t count;
    struct {
        uint64_t granule, size;
    } blocks[LIST_MAX];
};

/* 0 where there is no room. */
static int collect(struct collected *blocks, uint64_t granule, uint64_t size)
{
    if (blocks->count == LIST_MAX)
        return 0;
    blocks->blocks[blocks->count].granule = granule;
    blocks->blocks[blocks->count++].size = size;
    return 1;
}

static void collected_put_many(const struct shmheap *heap, const struct collected *blocks)
{
    for (uint64_t i = 0; i < blocks->count; i++)
        if (blocks->blocks[i].granule < heap->end)
            free_set_put_binned(heap, blocks->blocks[i].granule, blocks->blocks[i].size);
}

/* The edges of a free block, which rows and tree need and the list has not. */
static void boundaries_put(const struct shmheap *heap, uint64_t granule, uint64_t size, int set)
{
    if (granule >= heap->end || size - 1 >= heap->end - granule)
        return;
    void (*put)(const struct shmheap *, uint64_t) = set ? boundary_set : boundary_clear;
    put(heap, granule);
    put(heap, granule + size - 1);
}

/* Of those collected, and of the tail. */
static void collected_boundaries_put(const struct shmheap *heap, const struct collected *blocks,
                                     int set)
{
    uint64_t top = load_u64(&heap->control->top);
    for (uint64_t i = 0; i < blocks->count; i++)
        boundaries_put(heap, blocks->blocks[i].granule, blocks->blocks[i].size, set);
    boundaries_put(heap, top, heap->end - top, set);
}

void free_set_spill(const struct shmheap *heap, uint64_t listed, uint64_t granule, uint64_t size)
{
    struct collected blocks = {.count = 0};
    for (uint64_t place = 0; place < listed; place++)
        collect(&blocks, list_granule(heap, place), load_u32(list_size(heap, place)));
    for (unsigned i = 0; i < 2 * LIST_MAX; i++)
        store_u32(list_entry(heap, i), 0);
    store_u64(&heap->control->listed, NOT_LISTED);
    collected_put_many(heap, &blocks);
    free_set_put_binned(heap, granule, size);
    collected_boundaries_put(heap, &blocks, 1);
    boundaries_put(heap, granule, size, 1);
}

/* Takes what begins in the row's first chunk. 0 where the bits hold nothing, or there are too many. */
static int gather_chunk(const struct shmheap *heap, uint64_t chunk, uint64_t size,
                        struct collected *blocks)
{
    if (chunk * CHUNK_GRANULES >= heap->end)
        return 0;
    uint64_t there = free_set_of_size(&heap->bits[chunk], size);
    if (there == 0)
        return 0;
    for (; there != 0; there &= there - 1)
        if (!collect(blocks, chunk * CHUNK_GRANULES + bit_lowest(there), size))
            return 0;
    bins_take(heap, chunk, size, 0);
    return 1;
}

/* The same of the first large one. */
static int gather_large(const struct shmheap *heap, uint64_t chunk, struct collected *blocks)
{
    uint64_t starts = chunk * CHUNK_GRANULES < heap->end ? load_u64(&heap->bits[chunk].start) : 0;
    if (starts == 0 || !collect(blocks, chunk * CHUNK_GRANULES + bit_highest(starts),
                                load_u32(heap->level[0] + chunk)))
        return 0;
    free_set_take_large(heap, chunk);
    return 1;
}

static int gather_all(const struct shmheap *heap, struct collected *blocks)
{
    const shared_u32 *first = heap->control->first;
    uint32_t lowest;
    for (uint64_t size = 1; size < BINS; size++)
        while ((lowest = load_u32(first + size)) != 0)
            if (!gather_chunk(heap, chunk_of_first(lowest), size, blocks))
                return 0;
    while ((lowest = load_u32(first + LARGE_FIRST)) != 0)
        if (!gather_large(heap, chunk_of_first(lowest), blocks))
            return 0;
    return blocks->count + (load_u64(&heap->control->top) != heap->end) ==
           load_u64(&heap->control->free_blocks);
}

void free_set_gather(const struct shmheap *heap)
{
    struct collected blocks = {.count = 0};
    if (!gather_all(heap, &blocks)) {
        collected_put_many(heap, &blocks);
        return;
    }
    collected_boundaries_put(heap, &blocks, 0);
    store_u64(&heap->control->listed, 0);
    for (uint64_t listed = 0; listed < blocks.count; listed++)
        list_insert(heap, listed, blocks.blocks[listed].granule, blocks.blocks[listed].size);
}
