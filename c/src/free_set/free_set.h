/* free_set.h: the set of free blocks: finding one, and keeping the set in step with the headers.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The set has two forms, and this file alone chooses between them:
 *
 *   list     at most LIST_MAX free blocks (free_list.h); all boundary bits are 0
 *   binned   size bins, large tree and boundary bits (binned_set.h)
 *
 * A 65th free block spills the list into the bins. When fewer than a quarter of list_max free
 * blocks are left, the top block included, the list gathers them again.
 *
 * form: the result of free_set_form at the beginning of the operation: the number of listed blocks,
 * passed on as `listed`, or FREE_SET_BINNED. Each operation is compiled once for each form, because
 * the two share little code.
 *
 * The top block, the free block that ends at the region's end, is in neither form: control->top is
 * its granule, or the end where the last block is in use.
 *
 * Drawings: [ NAME ] is a block in use, [ name ] a free one, | the end of the region.
 *
 * All functions need the lock. Each changes the index after the publishing store of its operation,
 * or inside it: a death leaves an index that recovery rebuilds from the headers. Each change of the
 * set comes before that of the start bits of the same operation. */
#ifndef SHMHEAP_FREE_SET_H
#define SHMHEAP_FREE_SET_H

#include "aligned_search.h"
#include "binned_set.h"
#include "free_list.h"

#define FREE_SET_BINNED NOT_LISTED

/* The form: how many blocks the list holds, or FREE_SET_BINNED. */
static ALWAYS_INLINE uint64_t free_set_form(const struct shmheap *heap) { return list_count(heap); }

static ALWAYS_INLINE int free_set_is_list(uint64_t form) { return list_in_use(form); }

/* Finding -------------------------------------------------------------------------------------- */

/* The granule of the lowest free block of at least need granules, by a walk over the headers: for
 * sizes that the saturated entries of the tree do not tell apart (MAXIMUM_CAP and more: 16 GiB with
 * alignment 8, 32 GiB with 16). GRANULE_NONE: there is none; top: the headers are bad. */
COLD uint64_t free_set_find_huge(const struct shmheap *heap, uint64_t need, uint64_t top);

/* The lowest free block of at least need granules below the top block: 1, or 0: there is none.
 * 1 is a promise of the index: free_set_check tells whether it holds. */
static ALWAYS_INLINE int free_set_find(const struct shmheap *heap, uint64_t form, uint64_t need,
                                       uint64_t top, struct free_block *block)
{
    *block = free_block_none(GRANULE_NONE);
    block->size = SPAN_FAR;
    if (UNLIKELY(need >= MAXIMUM_CAP)) {
        block->granule = free_set_find_huge(heap, need, top);
        return block->granule != GRANULE_NONE;
    }
    return free_set_is_list(form) ? list_find(heap, form, need, block)
                                  : binned_find(heap, need, top, block);
}

/* The lowest of the smallest free blocks of need to 63 granules; as free_set_find. */
static inline int free_set_find_best(const struct shmheap *heap, uint64_t form, uint64_t need,
                                     uint64_t top, struct free_block *block)
{
    *block = free_block_none(GRANULE_NONE);
    return free_set_is_list(form) ? list_find_best(heap, form, need, block)
                                  : binned_find_best(heap, need, top, block);
}

/* The granule of the lowest free block below the top block in which need granules at a multiple of
 * alignment fit; GRANULE_NONE: there is none. */
static inline uint64_t free_set_find_aligned(const struct shmheap *heap, uint64_t form,
                                             uint64_t need, uint64_t alignment, uint64_t top)
{
    return free_set_is_list(form) ? list_find_aligned(heap, form, need, alignment)
                                  : aligned_search(heap, need, alignment, top);
}

/* 1 where the block found is what the set has promised, by its header: a free block of at least
 * need that ends below the top block. (One that ended at it would be part of it.) Completes its
 * size. */
static ALWAYS_INLINE int free_set_check(const struct shmheap *heap, uint64_t form, uint64_t need,
                                        uint64_t top, struct free_block *block)
{
    uint64_t granule = block->granule;
    if (UNLIKELY(granule >= top))
        return 0;
    if (!free_set_is_list(form) && UNLIKELY(block->size == SPAN_FAR))
        block->size = binned_large_size(heap, granule);
    uint64_t size = block->size, header = block_load(heap, granule);
    int sound = header == header_free(opaque_copy(size)) && size >= need && size < top - granule;
    if (free_set_is_list(form)) /* a binned block comes from the start bits */
        sound &= bits_is_start(heap, granule);
    return LIKELY(sound);
}

/* Fills in block->place. 1 where the set has a free block at this granule, or it is the top
 * block. */
static inline int free_set_has(const struct shmheap *heap, uint64_t form, uint64_t top,
                               struct free_block *block)
{
    if (!free_set_is_list(form))
        return bits_is_free_start(heap, block->granule);
    block->place = list_place(heap, form, block->granule);
    return block->place != LIST_MAX || block->granule == top;
}

/* The free block at next; size 0: there is none. 1, or 0 where the index contradicts the header. */
static ALWAYS_INLINE int free_set_behind(const struct shmheap *heap, uint64_t form, uint64_t next,
                                         uint64_t top, struct free_block *behind)
{
    return free_set_is_list(form) ? list_behind(heap, form, next, top, behind)
                                  : binned_behind(heap, next, top, behind);
}

/* [ before ][ BLOCK at granule ][ behind ]next...   The free blocks on both sides of the blocks in
 * [ granule, next ). 1, or 0 where the index contradicts the headers. */
static ALWAYS_INLINE int free_set_neighbours(const struct shmheap *heap, uint64_t form,
                                             uint64_t granule, uint64_t next, uint64_t top,
                                             struct free_block *before, struct free_block *behind)
{
    if (free_set_is_list(form))
        return list_before(heap, form, granule, before) &&
               list_behind(heap, form, next, top, behind);
    /* Whether they are free cannot be predicted: a prefetch gets their headers under way. */
    unsigned span = bits_span_back(heap, granule);
    block_fetch(heap, next);
    block_fetch(heap, granule - span);
    return binned_before(heap, granule, span, before) && binned_behind(heap, next, top, behind);
}

/* Changing ------------------------------------------------------------------------------------- */

/* Moves all blocks of the list into bins, tree and boundary bits, and puts in one more block. */
void free_set_spill(const struct shmheap *heap, uint64_t listed, uint64_t granule, uint64_t size);

/* Moves all blocks of bins and tree into the list. Where these contradict the bits: changes
 * nothing. */
void free_set_gather(const struct shmheap *heap);

/* Gathers where few free blocks are left. The last step of an operation: control->free_blocks is
 * already right. */
static ALWAYS_INLINE void free_set_settle(const struct shmheap *heap, uint64_t form)
{
    if (!free_set_is_list(form) &&
        UNLIKELY(load_u64(&heap->control->free_blocks) < heap->list_max / 4))
        free_set_gather(heap);
}

/* Puts a block into the list, or spills the list. */
static ALWAYS_INLINE void free_set_insert(const struct shmheap *heap, uint64_t listed,
                                          uint64_t granule, uint64_t size)
{
    if (UNLIKELY(listed >= heap->list_max))
        free_set_spill(heap, listed, granule, size);
    else
        list_insert(heap, listed, granule, size);
}

/* [ block           ] => [ TAKEN ][ rest ], or [ TAKEN ] where rest is 0. TAKEN may be several. */
static ALWAYS_INLINE void free_set_shrink(const struct shmheap *heap, uint64_t form,
                                          const struct free_block *block, uint64_t behind,
                                          uint64_t rest)
{
    if (free_set_is_list(form)) {
        list_shrink(heap, form, block->place, behind, rest);
        return;
    }
    binned_shrink(heap, block, behind, rest);
    boundary_clear(heap, block->granule);
    boundary_clear(heap, behind - 1);
    boundary_set_if(heap, behind, rest != 0);
}

/* [ top             ]| => [ TAKEN ][ top ]|, or [ TAKEN ]| where behind is the end. */
static ALWAYS_INLINE void free_set_shrink_top(const struct shmheap *heap, uint64_t form,
                                              uint64_t top, uint64_t behind)
{
    uint64_t end = heap->end;
    if (!free_set_is_list(form)) {
        boundary_clear(heap, top);
        boundary_clear_if(heap, end - 1, behind == end);
        boundary_set_if(heap, behind, behind != end);
    }
    store_u64(&heap->control->top, behind);
}

/* [ top ]|             => [ top                    ]|   end: the old one; top: end where there was
 * [ LAST ]|            => [ LAST ][ top            ]|   none. heap->end is the new one. */
static inline void free_set_extend_top(const struct shmheap *heap, uint64_t form, uint64_t top,
                                       uint64_t end)
{
    if (free_set_is_list(form))
        return;
    boundary_clear_if(heap, end - 1, top + 1 < end); /* a block of one granule keeps its bit */
    boundary_set_if(heap, end, top == end);
    boundary_set(heap, heap->end - 1);
}

/* Updates the list for free_set_merge: before, the freed blocks and behind are now one block of
 * size granules. */
static ALWAYS_INLINE void free_set_merge_list(const struct shmheap *heap, uint64_t listed,
                                              const struct free_block *before,
                                              const struct free_block *behind, uint64_t size)
{
    uint64_t first = before->granule;
    if (before->place < LIST_MAX) {
        store_u32(list_size(heap, before->place), (uint32_t)size);
        if (behind->place < LIST_MAX)
            list_drop(heap, listed, behind->place);
    } else if (behind->place < LIST_MAX) {
        list_set(heap, behind->place, first, size);
    } else {
        free_set_insert(heap, listed, first, size);
    }
}

/* Updates bins and tree for free_set_merge, as free_set_merge_list does the list. */
static ALWAYS_INLINE void free_set_merge_binned(const struct shmheap *heap,
                                                const struct free_block *before,
                                                const struct free_block *behind, uint64_t size)
{
    uint64_t first = before->granule;
    if (before->size != 0)
        binned_take(heap, first, before->size, first);
    if (behind->size != 0)
        binned_take(heap, behind->granule, behind->size, first);
    binned_put(heap, first, size);
}

/* Updates the set for free_set_merge where the merged block ends at the region's end: it becomes
 * the top block. */
static ALWAYS_INLINE void free_set_merge_top(const struct shmheap *heap, uint64_t form,
                                             const struct free_block *before)
{
    uint64_t first = before->granule;
    if (before->place != LIST_MAX)
        list_drop(heap, form, before->place);
    else if (before->size != 0)
        binned_take(heap, first, before->size, first);
    store_u64(&heap->control->top, first);
}

/* [ before ][ FREED at granule ][ behind ] => [ ---------------------- ]   Either neighbour may be
 * missing; behind->granule is where FREED ends. */
static ALWAYS_INLINE void free_set_merge(const struct shmheap *heap, uint64_t form,
                                         uint64_t granule, const struct free_block *before,
                                         const struct free_block *behind)
{
    uint64_t first = before->granule, next = behind->granule, last = next + behind->size;
    if (UNLIKELY(last == heap->end))
        free_set_merge_top(heap, form, before);
    else if (free_set_is_list(form))
        free_set_merge_list(heap, form, before, behind, last - first);
    else
        free_set_merge_binned(heap, before, behind, last - first);
    if (free_set_is_list(form))
        return;
    /* A block of one granule has one boundary bit, which stays where that is also an outer one. */
    if (before->size == 0)
        boundary_set(heap, granule);
    else
        boundary_clear_if(heap, granule - 1, before->size > 1);
    if (behind->size == 0)
        boundary_set(heap, next - 1);
    else
        boundary_clear_if(heap, next, behind->size > 1);
}

/* [ LIVE ][ behind       ] => [ LIVE      ][ behind ]   The border between a live block and the
 * free space behind it moves from next to border, forwards or back. behind->size 0: there was no
 * free block; border at its end: there is none any more. */
void free_set_move(const struct shmheap *heap, uint64_t form, uint64_t next, uint64_t border,
                   const struct free_block *behind);

/* [ block                  ] => [ gap ][ USED at ][ rest ]   rest begins at behind; size 0: there
 * is none. The gap has a granule at least. */
void free_set_split(const struct shmheap *heap, const struct free_block *block, uint64_t at,
                    uint64_t behind, uint64_t rest);

#endif
