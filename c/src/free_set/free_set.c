/* free_set.c: the way from one form to the other; rare operations: huge sizes, moves, splits.
 *
 * Both ways first collect the blocks in private memory: the list and the first chunks of the bins
 * lie in the same words, control->first.
 * SPDX-License-Identifier: Apache-2.0 */
#include "free_set.h"

uint64_t free_set_find_huge(const struct shmheap *heap, uint64_t need, uint64_t top)
{
    struct block_step step = {0, 0, 0};
    enum block_walk walk;
    if (need > top)
        return GRANULE_NONE; /* the blocks below the top block have no room for it */
    while ((walk = block_walk_at(heap, &step, top)) == BLOCK_WALK_BLOCK) {
        if (header_is_free(step.header) && step.size >= need)
            return step.granule;
        block_walk_next(&step);
    }
    return walk == BLOCK_WALK_END ? GRANULE_NONE : top;
}

uint64_t binned_large_size(const struct shmheap *heap, uint64_t granule)
{
    uint32_t size = load_u32(heap->level[0] + chunk_of(granule));
    return size != MAXIMUM_CAP ? size : header_size(block_load(heap, granule));
}

/* From one form to the other ------------------------------------------------------------------- */

/* struct collected holds free blocks that are out of one form and not yet in the other. */
struct collected {
    uint64_t count;
    struct {
        uint64_t granule, size;
    } blocks[LIST_MAX];
};

/* 1, or 0: there is no room. */
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
            binned_put(heap, blocks->blocks[i].granule, blocks->blocks[i].size);
}

/* Sets or clears the boundary bits of a free block. */
static void boundaries_put(const struct shmheap *heap, uint64_t granule, uint64_t size, int set)
{
    if (granule >= heap->end || size - 1 >= heap->end - granule)
        return; /* a peer has written it */
    void (*put)(const struct shmheap *, uint64_t) = set ? boundary_set : boundary_clear;
    put(heap, granule);
    put(heap, granule + size - 1);
}

/* Those of the blocks collected, and of the top block. */
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
    binned_put(heap, granule, size);
    collected_boundaries_put(heap, &blocks, 1);
    boundaries_put(heap, granule, size, 1);
}

/* Takes the blocks of this size out of the first chunk of their bin. 0: the bits hold none, or
 * there are too many. */
static int gather_chunk(const struct shmheap *heap, uint64_t chunk, uint64_t size,
                        struct collected *blocks)
{
    if (chunk * CHUNK_GRANULES >= heap->end)
        return 0;
    uint64_t there = binned_of_size(&heap->bits[chunk], size);
    if (there == 0)
        return 0;
    for (; there != 0; there &= there - 1)
        if (!collect(blocks, chunk * CHUNK_GRANULES + bit_lowest(there), size))
            return 0;
    bins_take(heap, chunk, size, 0);
    return 1;
}

/* Takes out the large block of the first chunk that has one; as gather_chunk. */
static int gather_large(const struct shmheap *heap, uint64_t chunk, struct collected *blocks)
{
    uint64_t starts = chunk * CHUNK_GRANULES < heap->end ? load_u64(&heap->bits[chunk].start) : 0;
    if (starts == 0 || !collect(blocks, chunk * CHUNK_GRANULES + bit_highest(starts),
                                load_u32(heap->level[0] + chunk)))
        return 0;
    binned_take_large(heap, chunk);
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

/* Rare changes --------------------------------------------------------------------------------- */

/* Puts in a block. Size 0: changes nothing. */
static void set_put(const struct shmheap *heap, uint64_t granule, uint64_t size)
{
    uint64_t listed = list_count(heap);
    if (!list_in_use(listed))
        binned_put(heap, granule, size);
    else if (size != 0)
        free_set_insert(heap, listed, granule, size);
}

static void set_take(const struct shmheap *heap, uint64_t granule, uint64_t size)
{
    uint64_t listed = list_count(heap), place;
    if (!list_in_use(listed))
        binned_take(heap, granule, size, granule);
    else if ((place = list_place(heap, listed, granule)) < LIST_MAX)
        list_drop(heap, listed, place);
}

void free_set_move(const struct shmheap *heap, uint64_t form, uint64_t next, uint64_t border,
                   const struct free_block *behind)
{
    uint64_t last = next + behind->size, rest = last - border;
    if (last == heap->end) {
        store_u64(&heap->control->top, border);
    } else if (!free_set_is_list(form)) {
        if (behind->size != 0)
            binned_take(heap, next, behind->size, next);
        binned_put(heap, border, rest);
    } else if (behind->place < LIST_MAX) {
        list_shrink(heap, form, behind->place, border, rest);
    } else if (rest != 0) {
        free_set_insert(heap, form, border, rest);
    }
    if (list_in_use(list_count(heap))) /* read again: the list may have spilled just now */
        return;
    boundary_clear_if(heap, next, behind->size != 0);
    boundary_clear_if(heap, last - 1, behind->size != 0);
    boundary_set_if(heap, border, rest != 0);
    boundary_set_if(heap, last - 1, rest != 0);
}

void free_set_split(const struct shmheap *heap, const struct free_block *block, uint64_t at,
                    uint64_t behind, uint64_t rest)
{
    uint64_t granule = block->granule, last = granule + block->size;
    if (last == heap->end) {
        store_u64(&heap->control->top, behind);
    } else {
        set_take(heap, granule, block->size);
        set_put(heap, behind, rest);
    }
    set_put(heap, granule, at - granule);
    if (list_in_use(list_count(heap))) /* read again: the list may have spilled just now */
        return;
    boundary_set(heap, granule);
    boundary_set(heap, at - 1);
    boundary_set_if(heap, behind, rest != 0);
    boundary_clear_if(heap, last - 1, rest == 0);
}
