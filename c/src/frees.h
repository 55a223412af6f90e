/* frees.h: the set of free blocks, but for the tail: finding the first that is large enough, putting in, taking out.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Small ones are in rows (rows.h), large ones in a tree (tree.h); in which place of its chunk a block begins the bits say.
 * Lock held. Compiled with fit_body.h for several processors. */
#ifndef SHMHEAP_FREES_H
#define SHMHEAP_FREES_H

#include "erosion.h"
#include "index.h"
#include "rows.h"
#include "tree.h"

#define LARGE_FIRST ROWS /* where control->first has the large ones */

static inline int frees_is_large(uint64_t size) { return size >= ROWS; }

static APART void frees_put_large(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint32_t *first = &heap->control->first[LARGE_FIRST], mine = first_of_chunk(chunk);
    tree_put(heap, chunk, size);
    if (load_u32(first) < mine)
        store_u32(first, mine);
}

static APART void frees_take_large(const struct shmheap *heap, uint64_t chunk)
{
    uint32_t *first = &heap->control->first[LARGE_FIRST];
    tree_put(heap, chunk, 0);
    if (load_u32(first) != first_of_chunk(chunk))
        return;
    uint64_t next = tree_find(heap, 1, heap->end);
    store_u32(first, next != CHUNK_NONE ? first_of_chunk(next) : 0);
}

/* Of a chunk, the free blocks with a start where they would end if they had this size, 1 to 63; there may be starts in between. Its bits, and the
 * start bits of the next one. */
static HOT uint64_t frees_maybe(uint64_t starts, uint64_t edges, uint64_t next, uint64_t size)
{
    return starts & edges & (starts >> size | next << (-size & 63));
}

/* 1 where another free block of this size, 1 to 63, begins in the chunk of the one at granule, as far as the bits say: neither this one nor
 * the one at gone, if that is in the chunk too. */
static HOT uint64_t frees_another(const struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t gone)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t may = frees_maybe(starts, load_u64(&bits[0].edge), next, size); /* seldom more than one */
    may &= ~bit_of(granule) & ~((uint64_t)(chunk_of(gone) == chunk_of(granule)) << gone % CHUNK_GRANULES);
    for (;;) {
        uint64_t has = (may != 0) & (span_of(starts, next, bit_lowest_or_64(may) & 63) == size);
        may &= may - 1;
        if (LIKELY(may == 0) || has)
            return has;
    }
}

/* A free block of this size begins at granule now. Size 0: nothing changes. */
static HOT void frees_put(const struct shmheap *heap, uint64_t granule, uint64_t size)
{
    if (UNLIKELY(frees_is_large(size)))
        frees_put_large(heap, chunk_of(granule), size);
    else
        rows_put(heap, chunk_of(granule), size);
}

/* The free block at granule, of this size, will be none. Before the bits say so, since a load that has to wait for a store of the same word
 * costs more than all the rest. gone: another that was taken, but the bits do not say so yet either; granule itself: none. */
static HOT void frees_take(const struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t gone)
{
    uint64_t chunk = chunk_of(granule);
    if (UNLIKELY(frees_is_large(size)))
        frees_take_large(heap, chunk);
    else
        rows_take(heap, chunk, size, frees_another(heap, granule, size, gone), 0);
}

static APART void frees_shrink_large(const struct shmheap *heap, uint64_t granule, uint64_t behind, uint64_t rest)
{
    if (frees_is_large(rest) && chunk_of(granule) == chunk_of(behind)) {
        tree_put(heap, chunk_of(granule), rest);
        return;
    }
    frees_take_large(heap, chunk_of(granule));
    frees_put(heap, behind, rest);
}

/* [ from        ] => [ FROM ][ rest ]   frees_take of the one, frees_put of the other; rest 0: there is none. lowest: it is
 * the first of its size. */
static HOT void frees_shrink(const struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t behind, uint64_t rest, int lowest)
{
    if (UNLIKELY(frees_is_large(size))) {
        frees_shrink_large(heap, granule, behind, rest);
        return;
    }
    rows_take(heap, chunk_of(granule), size, frees_another(heap, granule, size, granule), lowest);
    rows_put(heap, chunk_of(behind), rest);
}

/* The first chunk in which a free block of at least need begins, by the set; CHUNK_NONE: there is none. need < MAXIMUM_CAP. */
static HOT uint64_t frees_find_chunk(const struct shmheap *heap, uint64_t need, uint64_t tail)
{
    if (UNLIKELY(need > ROWS))
        return tree_find(heap, (uint32_t)need, tail);
    uint32_t first = rows_first(heap, need);
    return first != 0 ? chunk_of_first(first) : CHUNK_NONE;
}

/* The first block of at least need, 1 to 64, in a chunk where the set promises one, and its size as far as the bits tell, else
 * SPAN_FAR. GRANULE_NONE: the bits hold no such block. Without branches: which of several free blocks will do cannot be predicted. */
static HOT uint64_t frees_find_block(const struct shmheap *heap, uint64_t chunk, uint64_t need, uint64_t *size)
{
    const struct chunk_bits *bits = &heap->bits[chunk];
    const unsigned char *shifts = erosions[need].shifts;
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t frees = starts & load_u64(&bits[0].edge), others = starts ^ frees;
    /* Granules of the free blocks: from each one's first up to the next start. Those of the last one go on behind the chunk: it
     * counts as large enough, which it has to be when no other is. */
    int64_t ones = (int64_t)((others - frees) & ~others);
    for (unsigned i = 0; i < EROSION_STEPS; i++)
        ones &= ones >> shifts[i]; /* arithmetic: above the top bit it goes on as that is */
    frees &= (uint64_t)ones;
    if (UNLIKELY(frees == 0))
        return GRANULE_NONE;
    unsigned bit = bit_lowest(frees);
    *size = span_of(starts, next, bit);
    return chunk * CHUNK_GRANULES + bit;
}

/* The same of a large need: the last to begin in the chunk. */
static inline uint64_t frees_find_large(const struct shmheap *heap, uint64_t chunk, uint64_t *size)
{
    uint64_t starts = load_u64(&heap->bits[chunk].start);
    *size = SPAN_FAR;
    return starts != 0 ? chunk * CHUNK_GRANULES + bit_highest(starts) : GRANULE_NONE;
}

/* The size of the block at granule, which frees_find_block has given with SPAN_FAR: the tree has it. */
static APART uint64_t frees_large_size(const struct shmheap *heap, uint64_t granule)
{
    uint32_t size = load_u32(heap->level[0] + chunk_of(granule));
    return size != MAXIMUM_CAP ? size : header_size(block_load(heap, granule));
}

/* The lowest free block of exactly this size, 1 to 63; GRANULE_NONE: the set has none, or the bits hold none where the set promises one. */
static APART uint64_t frees_find_exact(const struct shmheap *heap, uint64_t size, uint64_t tail)
{
    uint64_t chunk = chunk_of_first(load_u32(&heap->control->first[size]));
    if (UNLIKELY(chunk > chunk_of(tail))) /* as that of an empty row */
        return GRANULE_NONE;
    const struct chunk_bits *bits = &heap->bits[chunk];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    for (uint64_t may = frees_maybe(starts, load_u64(&bits[0].edge), next, size); may != 0; may &= may - 1)
        if (span_of(starts, next, bit_lowest(may)) == size)
            return chunk * CHUNK_GRANULES + bit_lowest(may);
    return GRANULE_NONE;
}

/* The size, 1 to 63, of the smallest free blocks of at least need; 0: all are large, if there are any. */
static APART uint64_t frees_smallest(const struct shmheap *heap, uint64_t need)
{
    for (uint64_t size = need; size < ROWS; size++)
        if (load_u32(&heap->control->first[size]) != 0)
            return size;
    return 0;
}

#endif
