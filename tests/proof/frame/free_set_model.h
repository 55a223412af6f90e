/* free_set_model.h: the free set as heap.c needs it, in place of c/src/free_set.
 *
 * It finds what the headers say, which is the contract of free_set.h, and of all that a change
 * stores it stores the top block alone. So the proofs of heap.c are about headers, start bits and
 * counts; free_list.c and bins.c are about the real sets.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FREE_SET_H /* the guard of the file that this one replaces */
#define SHMHEAP_FREE_SET_H

#include "c/src/block/bits.h"

#define FREE_SET_BINNED NOT_LISTED

static inline uint64_t free_set_form(const struct shmheap *heap)
{
    (void)heap;
    return FREE_SET_BINNED;
}
static inline int free_set_is_list(uint64_t form) { return form != FREE_SET_BINNED; }

/* The lowest free block below end of at least need granules that begins at from or behind it. */
static inline struct free_block model_find(const struct shmheap *heap, uint64_t from, uint64_t need,
                                           uint64_t end)
{
    struct block_step step = {0, 0, 0};
    while (block_walk_at(heap, &step, end) == BLOCK_WALK_BLOCK) {
        if (header_is_free(step.header) && step.size >= need && step.granule >= from)
            break;
        block_walk_next(&step);
    }
    struct free_block block = free_block_none(step.granule < end ? step.granule : GRANULE_NONE);
    block.size = step.granule < end ? step.size : 0;
    return block;
}

static inline int free_set_find(const struct shmheap *heap, uint64_t form, uint64_t need,
                                uint64_t top, struct free_block *block)
{
    (void)form;
    *block = model_find(heap, 0, need, top);
    return block->granule != GRANULE_NONE;
}

static inline int free_set_find_best(const struct shmheap *heap, uint64_t form, uint64_t need,
                                     uint64_t top, struct free_block *block)
{
    return free_set_find(heap, form, need, top, block);
}

static inline uint64_t free_set_find_aligned(const struct shmheap *heap, uint64_t form,
                                             uint64_t need, uint64_t alignment, uint64_t top)
{
    struct block_step step = {0, 0, 0};
    (void)form;
    while (block_walk_at(heap, &step, top) == BLOCK_WALK_BLOCK) {
        if (header_is_free(step.header) && step.size >= need &&
            block_align(heap, step.granule, alignment) - step.granule <= step.size - need)
            return step.granule;
        block_walk_next(&step);
    }
    return GRANULE_NONE;
}

static inline int free_set_check(const struct shmheap *heap, uint64_t form, uint64_t need,
                                 uint64_t top, struct free_block *block)
{
    (void)form;
    return block_load(heap, block->granule) == header_free(block->size) && block->size >= need &&
           block->size < top - block->granule;
}

static inline int free_set_has(const struct shmheap *heap, uint64_t form, uint64_t top,
                               struct free_block *block)
{
    (void)form, (void)top;
    return header_is_free(block_load(heap, block->granule));
}

static inline int free_set_behind(const struct shmheap *heap, uint64_t form, uint64_t next,
                                  uint64_t top, struct free_block *behind)
{
    (void)form, (void)top;
    *behind = free_block_none(next);
    if (next < heap->end && header_is_free(block_load(heap, next)))
        behind->size = header_size(block_load(heap, next));
    return 1;
}

static inline int free_set_neighbours(const struct shmheap *heap, uint64_t form, uint64_t granule,
                                      uint64_t next, uint64_t top, struct free_block *before,
                                      struct free_block *behind)
{
    struct block_step step = {0, 0, 0};
    *before = free_block_none(granule);
    while (block_walk_at(heap, &step, granule) == BLOCK_WALK_BLOCK) {
        if (header_is_free(step.header) && step.granule + step.size == granule) {
            before->granule = step.granule;
            before->size = step.size;
        }
        block_walk_next(&step);
    }
    return free_set_behind(heap, form, next, top, behind);
}

static inline void free_set_settle(const struct shmheap *heap, uint64_t form)
{
    (void)heap, (void)form;
}

static inline void free_set_shrink(const struct shmheap *heap, uint64_t form,
                                   const struct free_block *block, uint64_t behind, uint64_t rest)
{
    (void)heap, (void)form, (void)block, (void)behind, (void)rest;
}

static inline void free_set_shrink_top(const struct shmheap *heap, uint64_t form, uint64_t top,
                                       uint64_t behind)
{
    (void)form, (void)top;
    store_u64(&heap->control->top, behind);
}

static inline void free_set_extend_top(const struct shmheap *heap, uint64_t form, uint64_t top,
                                       uint64_t end)
{
    (void)heap, (void)form, (void)top, (void)end;
}

static inline void free_set_merge(const struct shmheap *heap, uint64_t form, uint64_t granule,
                                  const struct free_block *before, const struct free_block *behind)
{
    (void)form, (void)granule;
    if (behind->granule + behind->size == heap->end)
        store_u64(&heap->control->top, before->granule);
}

static inline void free_set_move(const struct shmheap *heap, uint64_t form, uint64_t next,
                                 uint64_t border, const struct free_block *behind)
{
    (void)form;
    if (next + behind->size == heap->end)
        store_u64(&heap->control->top, border);
}

static inline void free_set_split(const struct shmheap *heap, const struct free_block *block,
                                  uint64_t at, uint64_t behind, uint64_t rest)
{
    (void)at, (void)rest;
    if (block->granule + block->size == heap->end)
        store_u64(&heap->control->top, behind);
}

#endif
