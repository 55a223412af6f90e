/* first_fit.h: alloc and free.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Exact first fit: alloc takes the lowest free block with room, leaves the rest of it free, and
 * free merges the block with its free neighbours at once.
 *
 *   alloc   find the first block, split it, publish, index, count
 *   free    find the neighbours, publish, index, count
 *
 * Each operation checks all headers and positions that it relies on before its publishing store
 * (block.h). Where they contradict each other it returns FIT_BAD and has changed nothing. A death
 * before the publishing store leaves the blocks as they were. A death after it leaves the operation
 * done. Either leaves index and counts half changed: recovery rebuilds both from the headers.
 *
 * Drawings: [ NAME ] is a block in use, [ name ] a free one, | the end of the region. top is the
 * free block that ends there, or the end. form is that of the free set (free_set.h).
 *
 * fit_portable.c and fit_avx2.c both include this file (fit.h): so everything here is static. The
 * caller holds the lock. No system call. */
#ifndef SHMHEAP_FIRST_FIT_H
#define SHMHEAP_FIRST_FIT_H

#include "fit.h"
#include "../free_set/free_set.h"

/* Counts --------------------------------------------------------------------------------------- */

static ALWAYS_INLINE void count_used(struct control *control, uint64_t more)
{
    uint64_t used = load_u64(&control->used_granules) + more;
    store_u64(&control->used_granules, used);
    if (used > load_u64(&control->high_granules))
        store_u64(&control->high_granules, used);
}

/* Counts granules taken from a free block, which is gone where is_all. */
static ALWAYS_INLINE void count_taken(struct control *control, uint64_t granules, int is_all)
{
    count_used(control, granules);
    store_add(&control->free_blocks, (uint64_t) - (int64_t)(is_all != 0));
}

/* Counts new blocks and returns the generation before that of the first one. */
static ALWAYS_INLINE unsigned count_blocks(struct shmheap *heap, unsigned blocks, uint64_t granules)
{
    struct control *control = heap->control;
    uint64_t generations = load_u64(&control->generations);
    store_u64(&control->generations, generations + blocks);
    store_add(&control->allocs, blocks);
    store_add(&control->alloc_granules, granules);
    return (unsigned)generations;
}

static ALWAYS_INLINE uint64_t header_held(const struct shmheap *heap, uint64_t size, unsigned state,
                                          unsigned generation)
{
    return header_make(size, state, heap->slot, generation & GENERATION_MASK);
}

/* The header of a new block in use: held by this process, with the next generation. */
static ALWAYS_INLINE uint64_t header_used(struct shmheap *heap, uint64_t size)
{
    return header_held(heap, size, SHMHEAP_STATE_USED, count_blocks(heap, 1, size) + 1);
}

/* Alloc ---------------------------------------------------------------------------------------- */

/* The top block's granule, or the end where the last block is in use; GRANULE_NONE: no granule. */
static inline uint64_t top_load(const struct shmheap *heap)
{
    uint64_t top = load_u64(&heap->control->top);
    return LIKELY(top <= heap->end) ? top : GRANULE_NONE;
}

static inline int top_is_sound(const struct shmheap *heap, uint64_t top)
{
    return block_load(heap, top) == header_free(heap->end - top);
}

/* The lowest free block of at least need below the top block: 1, FIT_NONE or FIT_BAD. */
static ALWAYS_INLINE int find_first(const struct shmheap *heap, uint64_t form, uint64_t need,
                                    uint64_t top, struct free_block *block)
{
    if (!free_set_find(heap, form, need, top, block))
        return FIT_NONE;
    if (UNLIKELY(block->granule >= top))
        return FIT_BAD;
    /* The next writes: the caller's to the payload, ours to the header of the rest. */
    prefetch(block_payload(heap, block->granule));
    block_fetch(heap, block->granule + need);
    return free_set_check(heap, form, need, top, block) ? 1 : FIT_BAD;
}

/* The index and the counts after [ block       ] => [ TAKEN ][ rest ], or [ TAKEN ]. TAKEN may be
 * several blocks. */
static ALWAYS_INLINE void front_taken(struct shmheap *heap, uint64_t form,
                                      const struct free_block *block, uint64_t taken)
{
    uint64_t behind = block->granule + taken, rest = block->size - taken;
    free_set_shrink(heap, form, block, behind, rest);
    start_set(heap, behind); /* without a rest the next block begins there, and the bit is set */
    count_taken(heap->control, taken, rest == 0);
    free_set_settle(heap, form);
}

/* [ block       ] => [ USED ][ rest ], or [ USED ] where the rest is too short for a block. Both
 * without a branch: which it will be cannot be predicted. */
static ALWAYS_INLINE int64_t take_front(struct shmheap *heap, uint64_t form,
                                        const struct free_block *block, uint64_t need)
{
    shared_u64 nowhere; /* gets the header of a rest that is too short */
    uint64_t granule = block->granule, size = block->size, rest = size - need;
    rest &= (uint64_t) - (int64_t)(rest >= heap->block_min); /* 0 where it is too short */
    uint64_t taken = size - rest;
    shared_u64 *rest_header = block_header(heap, granule + taken);
    shared_u64 *rest_place =
        (shared_u64 *)(uintptr_t)select_u64(rest, (uintptr_t)rest_header, (uintptr_t)&nowhere);
    store_u64(rest_place, header_free(rest)); /* as block_prepare: a death leaves block as it was */
    block_publish(heap, granule, header_used(heap, taken));
    front_taken(heap, form, block, taken);
    return (int64_t)granule;
}

/* The index and the counts after [ top        ]| => [ TAKEN ][ top ]|, or [ TAKEN ]| */
static ALWAYS_INLINE void top_taken(struct shmheap *heap, uint64_t form, uint64_t top,
                                    uint64_t taken)
{
    uint64_t behind = top + taken;
    int is_all = behind == heap->end;
    if (!is_all)
        start_set(heap, behind);
    free_set_shrink_top(heap, form, top, behind);
    count_taken(heap->control, taken, is_all);
}

#define TOP_AHEAD 8 /* take_top prefetches the header of the block so many blocks later */

/* [ top        ]| => [ USED ][ top ]|, or [ USED ]| where the rest is too short for a block. */
static ALWAYS_INLINE int64_t take_top(struct shmheap *heap, uint64_t form, uint64_t top,
                                      uint64_t need)
{
    uint64_t size = heap->end - top, taken = size - need < heap->block_min ? size : need;
    if (LIKELY(taken != size)) {
        block_fetch(heap, top + (1 + TOP_AHEAD) * need);
        block_prepare(heap, top + taken, header_free(size - taken));
    }
    block_publish(heap, top, header_used(heap, taken));
    top_taken(heap, form, top, taken);
    return (int64_t)top;
}

/* fit_alloc, compiled for one form of the free set. So is free_in. */
static ALWAYS_INLINE int64_t alloc_in(struct shmheap *heap, uint64_t form, uint64_t need)
{
    struct free_block block;
    uint64_t top = top_load(heap);
    if (UNLIKELY(top == GRANULE_NONE))
        return FIT_BAD;
    int result = find_first(heap, form, need, top, &block);
    if (result > 0)
        return take_front(heap, form, &block, need);
    if (result == FIT_BAD || heap->end - top < need)
        return result;
    if (UNLIKELY(!top_is_sound(heap, top)))
        return FIT_BAD;
    return take_top(heap, form, top, need);
}

/* Makes a used block of need granules, and of a rest that is too short for a block. Returns its
 * granule, FIT_NONE or FIT_BAD. Cost: a fixed number of steps, but for the levels of bins and
 * tree. */
static int64_t fit_alloc(struct shmheap *heap, uint64_t need)
{
    uint64_t form = free_set_form(heap);
    return free_set_is_list(form) ? alloc_in(heap, form, need)
                                  : alloc_in(heap, FREE_SET_BINNED, need);
}

/* Free ----------------------------------------------------------------------------------------- */

/* Lets the heap's generation catch up with that of a block to be freed, which each sending of the
 * block has moved on. So the next block in its place gets a generation that no old handle has.
 * Before the block is free: a death in between costs some generations. Generations wrap: one that
 * seems to be ahead by more than GENERATION_AHEAD_MAX is an old one, and a few old ones are taken
 * for ones ahead, which does no harm. */
static ALWAYS_INLINE void generation_catch_up(struct shmheap *heap, uint64_t header)
{
    uint64_t ahead =
        (header_generation(header) - load_u64(&heap->control->generations)) & GENERATION_MASK;
    if (UNLIKELY(ahead - 1 < GENERATION_AHEAD_MAX))
        store_add(&heap->control->generations, ahead);
}

/* [ before ][ USED ][ behind ] => [ before             ]   Frees the blocks in
 * [ granule, granule + size ), none of which is free. Either neighbour may be missing. Returns 0 or
 * FIT_BAD. */
static ALWAYS_INLINE int free_in(struct shmheap *heap, uint64_t form, uint64_t granule,
                                 uint64_t size, unsigned blocks)
{
    struct control *control = heap->control;
    struct free_block before, behind;
    uint64_t top = top_load(heap), next = granule + size;
    if (UNLIKELY(size - 1 >= heap->end - granule || top == GRANULE_NONE ||
                 !free_set_neighbours(heap, form, granule, next, top, &before, &behind)))
        return FIT_BAD;
    block_publish(heap, before.granule, header_free(before.size + size + behind.size));
    if (blocks > 1)
        starts_clear(heap, granule + 1, next);
    free_set_merge(heap, form, granule, &before, &behind);
    if (before.size != 0)
        start_clear(heap, granule);
    if (behind.size != 0)
        start_clear(heap, next);
    store_add(&control->used_granules, -size);
    store_add(&control->free_blocks, (uint64_t)1 - (before.size != 0) - (behind.size != 0));
    store_add(&control->frees, blocks);
    free_set_settle(heap, form);
    return 0;
}

static ALWAYS_INLINE int span_free(struct shmheap *heap, uint64_t granule, uint64_t size,
                                   unsigned blocks)
{
    uint64_t form = free_set_form(heap);
    return free_set_is_list(form) ? free_in(heap, form, granule, size, blocks)
                                  : free_in(heap, FREE_SET_BINNED, granule, size, blocks);
}

/* Frees the live object at granule. Returns 0, FIT_UNKNOWN (no live object begins there) or
 * FIT_BAD. Cost: as fit_alloc. */
static int fit_free(struct shmheap *heap, uint64_t granule)
{
    uint64_t header = bits_live_header(heap, granule);
    if (UNLIKELY(header == 0))
        return FIT_UNKNOWN;
    uint64_t size = bits_size(heap, granule, header);
    if (UNLIKELY(opaque_copy(size) != header_size(header)))
        return FIT_BAD;
    generation_catch_up(heap, header);
    return span_free(heap, granule, size, 1);
}

#endif
