/* carve.h: many blocks of one size by one publishing store, and their way back.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [ from                     ]      the headers of the second block to rest are prepared inside
 *   [ B ][ B ][ B ][ rest      ]      from; the store to from's header publishes all of them
 *
 * A death leaves all of them or none. */
#ifndef SHMHEAP_CARVE_H
#define SHMHEAP_CARVE_H

#include "first_fit.h"

/* Sets the start bits of last, last - need and so on down to from, which has one. A store for each
 * word. */
static void starts_set(struct shmheap *heap, uint64_t from, uint64_t last, uint64_t need)
{
    uint64_t bits = 0;
    for (uint64_t at = last; at != from; at -= need) {
        bits |= bit_of(at);
        if (at - need != from && chunk_of(at - need) == chunk_of(at))
            continue;
        store_or(&heap->bits[chunk_of(at)].start, bits);
        bits = 0;
    }
}

/* Carves blocks of need granules out of the free block [ from, from + size ). A rest that is too
 * short for a block goes to the last of them. Returns the granules taken. */
static uint64_t carve(struct shmheap *heap, uint64_t from, uint64_t size, uint64_t need,
                      unsigned blocks, unsigned state)
{
    uint64_t rest = size - blocks * need, last = from + (blocks - 1) * need;
    if (rest < heap->block_min)
        rest = 0;
    uint64_t taken = size - rest;
    if (rest != 0)
        block_prepare(heap, from + taken, header_free(rest));
    unsigned generation = count_blocks(heap, blocks, taken);
    for (uint64_t at = last; at != from; at -= need)
        block_prepare(
            heap, at,
            header_held(heap, at == last ? from + taken - at : need, state, ++generation));
    block_publish(heap, from, header_held(heap, blocks == 1 ? taken : need, state, ++generation));
    starts_set(heap, from, last, need);
    return taken;
}

/* The lowest of the smallest free blocks with room for need. Blocks of 64 granules and more count
 * as equally small. As find_first. */
static int find_best(const struct shmheap *heap, uint64_t form, uint64_t need, uint64_t top,
                     struct free_block *block)
{
    if (need >= BINS || !free_set_find_best(heap, form, need, top, block))
        return find_first(heap, form, need, top, block);
    return free_set_check(heap, form, need, top, block) ? 1 : FIT_BAD;
}

/* Makes as many blocks as come out of one free block, at most count: of the first one with room, or
 * of the best. From the first one they are the same as by one fit_alloc after the other: its rest
 * stays the lowest free block with room. Returns how many, FIT_NONE or FIT_BAD. */
static ALWAYS_INLINE int64_t carve_one(struct shmheap *heap, uint64_t need, unsigned state,
                                       unsigned count, uint64_t *granules, int best)
{
    struct free_block block;
    uint64_t form = free_set_form(heap), top = top_load(heap);
    if (UNLIKELY(top == GRANULE_NONE))
        return FIT_BAD;
    int result =
        best ? find_best(heap, form, need, top, &block) : find_first(heap, form, need, top, &block);
    int is_top = result == FIT_NONE;
    if (result == FIT_BAD || (is_top && heap->end - top < need))
        return result;
    if (UNLIKELY(is_top && !top_is_sound(heap, top)))
        return FIT_BAD;
    uint64_t from = is_top ? top : block.granule, room = is_top ? heap->end - top : block.size;
    unsigned blocks = room / need < count ? (unsigned)(room / need) : count;
    for (unsigned i = 0; i < blocks; i++)
        granules[i] = from + i * need;
    uint64_t taken = carve(heap, from, room, need, blocks, state);
    if (is_top)
        top_taken(heap, form, top, taken);
    else
        front_taken(heap, form, &block, taken);
    return blocks;
}

static ALWAYS_INLINE int64_t carve_many(struct shmheap *heap, uint64_t need, unsigned state,
                                        unsigned count, uint64_t *granules, int best)
{
    unsigned got = 0;
    while (got < count) {
        int64_t more = carve_one(heap, need, state, count - got, granules + got, best);
        if (more < 0)
            return got != 0 ? (int64_t)got : more;
        got += (unsigned)more;
    }
    return (int64_t)got;
}

static int64_t fit_alloc_many(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                              uint64_t *granules)
{
    return carve_many(heap, need, state, count, granules, 0);
}

static int64_t fit_alloc_best(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                              uint64_t *granules)
{
    return carve_many(heap, need, state, count, granules, 1);
}

static int fit_free_span(struct shmheap *heap, uint64_t granule, uint64_t size, unsigned blocks)
{
    struct block_step step = {granule, 0, 0};
    uint64_t last = size <= heap->end - granule ? granule + size : heap->end;
    for (unsigned i = 0; i < blocks && block_walk_at(heap, &step, last) == BLOCK_WALK_BLOCK; i++) {
        generation_catch_up(heap, step.header);
        block_walk_next(&step);
    }
    return span_free(heap, granule, size, blocks);
}

#endif
