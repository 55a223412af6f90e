/* binned_set.h: the free blocks in size bins, large tree and boundary bits: more than a list holds.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   size bins    a block of 1 to 63 granules: its chunk, in the bin of its size (size_bins.h)
 *   large tree   a block of 64 granules or more: its chunk and its size (large_tree.h)
 *   bits         where in the chunk a block begins and ends: the start bits say where all blocks
 *                begin, the boundary bits which of them are free (bits.h)
 *
 * The bins and the tree leave the top block out; the boundary bits have it too.
 *
 * A search goes from the bins or the tree to a chunk, and from the chunk's bits to a granule. Which
 * of several bins, words or bits it will be cannot be predicted: so the frequent ways are without
 * branches.
 *
 * Derived: a death between two stores here leaves an index that recovery rebuilds. All functions
 * need the lock. Where a peer has written into the index, a search returns a granule that the
 * caller's check refuses. */
#ifndef SHMHEAP_BINNED_SET_H
#define SHMHEAP_BINNED_SET_H

#include "index.h"
#include "size_bins.h"
#include "large_tree.h"

static inline int binned_is_large(uint64_t size) { return size >= BINS; }

/* The bits of one chunk ------------------------------------------------------------------------ */

/* The free blocks of a chunk that may be of this size, 1 to 63: a start bit follows where such a
 * block ends, and a boundary bit before it. Few of them are shorter, with a start in between.
 * starts, next: the start words of the chunk and of the one behind it. */
static ALWAYS_INLINE uint64_t binned_maybe(const struct chunk_bits *bits, uint64_t starts,
                                           uint64_t next, uint64_t size)
{
    uint64_t boundaries = load_u64(&bits[0].boundary),
             next_boundaries = load_u64(&bits[1].boundary);
    uint64_t ends = starts >> size | next << (-size & 63),
             last = boundaries >> (size - 1) | next_boundaries << 1 << (-size & 63);
    return starts & boundaries & ends & last;
}

/* The free blocks of a chunk that have this size, 1 to 63. */
static inline uint64_t binned_of_size(const struct chunk_bits *bits, uint64_t size)
{
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start), blocks = 0;
    for (uint64_t may = binned_maybe(bits, starts, next, size); may != 0; may &= may - 1)
        blocks |= (uint64_t)(span_of(starts, next, bit_lowest(may)) == size) << bit_lowest(may);
    return blocks;
}

/* 1 where another free block of this size, 1 to 63, begins in the chunk of the one at granule.
 * gone: a block that does not count either, though the bits still have it; granule: there is
 * none. */
static ALWAYS_INLINE uint64_t binned_another(const struct shmheap *heap, uint64_t granule,
                                             uint64_t size, uint64_t gone)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t may = binned_maybe(bits, starts, next, size);
    may &= ~bit_of(granule) &
           ~((uint64_t)(chunk_of(gone) == chunk_of(granule)) << gone % CHUNK_GRANULES);
    for (;;) {
        uint64_t has = (may != 0) & (span_of(starts, next, bit_lowest_or_64(may) & 63) == size);
        may &= may - 1;
        if (LIKELY(may == 0) || has)
            return has;
    }
}

/* Finding -------------------------------------------------------------------------------------- */

/* The lowest free block of at least need, 1 to 64, in a chunk that the bins promise to hold one.
 * *size: off the bits, SPAN_FAR where they do not tell. GRANULE_NONE: the bits hold no such
 * block. */
static NOINLINE uint64_t binned_find_any(const struct shmheap *heap, uint64_t chunk, uint64_t need,
                                         uint64_t *size)
{
    const struct chunk_bits *bits = &heap->bits[chunk];
    const unsigned char *shifts = run_masks[need].shifts;
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t frees = starts & load_u64(&bits[0].boundary), others = starts ^ frees;
    /*   frees    ..1.......1...   where free blocks begin
     *   others   .....1........   where other blocks begin
     *   ones     ..111.....1111   the granules of the free blocks
     * The last free block may go on behind the chunk. It counts as large enough: it has to be,
     * where no other is. */
    int64_t ones = (int64_t)((others - frees) & ~others);
    for (unsigned i = 0; i < RUN_MASK_STEPS; i++)
        ones &= ones >> shifts[i]; /* an arithmetic shift: behind the chunk the top bit goes on */
    frees &= (uint64_t)ones;
    if (UNLIKELY(frees == 0))
        return GRANULE_NONE;
    unsigned bit = bit_lowest(frees);
    *size = span_of(starts, next, bit);
    return chunk * CHUNK_GRANULES + bit;
}

/* binned_find_any, where the bins say by which: bit i says that the bin of need + i has its first
 * block in this chunk. The usual case is one such size with one or two blocks in the chunk. Then
 * the words of the bin are fetched while the bits are on their way. */
static ALWAYS_INLINE void binned_find_small(const struct shmheap *heap, uint64_t chunk,
                                            uint64_t need, uint64_t which, struct free_block *block)
{
    const struct chunk_bits *bits = &heap->bits[chunk];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start),
             size = need + bit_lowest_or_64(which);
    if (LIKELY(size < BINS)) {
        uint64_t may = binned_maybe(bits, starts, next, size), more = may & (may - 1);
        unsigned first = bit_lowest_or_64(may) & 63, second = bit_lowest_or_64(more) & 63;
        int two = (more != 0) & (span_of(starts, next, second) == size);
        if (LIKELY(((which & (which - 1)) | (more & (more - 1))) == 0 && may != 0 &&
                   span_of(starts, next, first) == size)) {
            block->granule = chunk * CHUNK_GRANULES + first;
            block->size = size;
            block->others = two ? OTHERS_SOME : OTHERS_NONE;
            return;
        }
    }
    uint64_t any_size = SPAN_FAR; /* *block itself stays in registers */
    block->granule = binned_find_any(heap, chunk, need, &any_size);
    block->size = any_size;
}

/* The lowest free block of at least need, more than 64: the last block that begins in its chunk. */
static ALWAYS_INLINE int binned_find_large(const struct shmheap *heap, uint64_t need, uint64_t top,
                                           struct free_block *block)
{
    uint64_t chunk = tree_find(heap, (uint32_t)need, top);
    if (chunk == CHUNK_NONE)
        return 0;
    uint64_t starts = LIKELY(chunk * CHUNK_GRANULES < top) ? load_u64(&heap->bits[chunk].start) : 0;
    if (starts != 0)
        block->granule = chunk * CHUNK_GRANULES + bit_highest(starts);
    return 1;
}

/* The lowest free block of at least need granules, below MAXIMUM_CAP: 1, or 0: there is none. */
static ALWAYS_INLINE int binned_find(const struct shmheap *heap, uint64_t need, uint64_t top,
                                     struct free_block *block)
{
    if (UNLIKELY(need > BINS))
        return binned_find_large(heap, need, top, block);
    uint64_t which;
    uint32_t first = bins_first(heap, need, &which);
    if (first == 0)
        return 0;
    uint64_t chunk = chunk_of_first(first);
    if (LIKELY(chunk * CHUNK_GRANULES < top))
        binned_find_small(heap, chunk, need, which, block);
    return 1;
}

/* The lowest free block of exactly this size, 1 to 63. GRANULE_NONE: there is none. */
static NOINLINE uint64_t binned_find_exact(const struct shmheap *heap, uint64_t size, uint64_t top)
{
    uint64_t chunk = chunk_of_first(load_u32(&heap->control->first[size]));
    if (UNLIKELY(chunk > chunk_of(top))) /* also that of an empty bin */
        return GRANULE_NONE;
    uint64_t blocks = binned_of_size(&heap->bits[chunk], size);
    return blocks != 0 ? chunk * CHUNK_GRANULES + bit_lowest(blocks) : GRANULE_NONE;
}

/* The lowest of the smallest free blocks of need to 63 granules: 1, or 0: there is none. */
static inline int binned_find_best(const struct shmheap *heap, uint64_t need, uint64_t top,
                                   struct free_block *block)
{
    for (uint64_t size = need; size < BINS; size++) {
        if (load_u32(&heap->control->first[size]) == 0)
            continue;
        block->granule = binned_find_exact(heap, size, top);
        block->size = size;
        return 1;
    }
    return 0;
}

/* The size of the block at granule that a search returned with SPAN_FAR: the tree has it. */
uint64_t binned_large_size(const struct shmheap *heap, uint64_t granule);

/* The free block that ends before granule; size 0: there is none. 1, or 0 where the bits contradict
 * the header. span: bits_span_back of granule. */
static ALWAYS_INLINE int binned_before(const struct shmheap *heap, uint64_t granule, unsigned span,
                                       struct free_block *before)
{
    uint64_t size = span;
    *before = free_block_none(granule);
    if (granule == 0 || !bits_is_boundary(heap, granule - 1))
        return 1;
    if (UNLIKELY(span == SPAN_FAR)) /* of GRANULE_NONE: a size above granule, which is refused */
        size = granule - index_start_of(heap, granule - 1);
    return free_block_before(heap, granule, size, before);
}

/* The free block at next, as binned_before. */
static ALWAYS_INLINE int binned_behind(const struct shmheap *heap, uint64_t next, uint64_t top,
                                       struct free_block *behind)
{
    *behind = free_block_none(next);
    if (UNLIKELY(next == heap->end))
        return LIKELY(top == next);
    if (!bits_is_free_start(heap, next))
        return LIKELY(next != top);
    uint64_t header = block_load(heap, next);
    behind->size = next == top ? heap->end - top : bits_size(heap, next, header);
    return LIKELY(free_block_is_sound(heap, behind, header, top));
}

/* Changing the bins and the tree --------------------------------------------------------------- */

static NOINLINE void binned_put_large(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    shared_u32 *first = &heap->control->first[LARGE_FIRST];
    uint32_t mine = first_of_chunk(chunk);
    tree_put(heap, chunk, size);
    if (load_u32(first) < mine)
        store_u32(first, mine);
}

static NOINLINE void binned_take_large(const struct shmheap *heap, uint64_t chunk)
{
    shared_u32 *first = &heap->control->first[LARGE_FIRST];
    tree_put(heap, chunk, 0);
    if (load_u32(first) != first_of_chunk(chunk))
        return;
    uint64_t next = tree_find(heap, 1, heap->end);
    store_u32(first, next != CHUNK_NONE ? first_of_chunk(next) : 0);
}

/* Puts in a block. Size 0: changes nothing. */
static ALWAYS_INLINE void binned_put(const struct shmheap *heap, uint64_t granule, uint64_t size)
{
    if (UNLIKELY(binned_is_large(size)))
        binned_put_large(heap, chunk_of(granule), size);
    else
        bins_put(heap, chunk_of(granule), size);
}

/* Takes out a block. gone: another one that was taken out while the bits still have it; granule:
 * there is none. The caller changes the bits afterwards: a load of a word whose store is on its way
 * has to wait, which costs more than all the rest. */
static ALWAYS_INLINE void binned_take(const struct shmheap *heap, uint64_t granule, uint64_t size,
                                      uint64_t gone)
{
    uint64_t chunk = chunk_of(granule);
    if (UNLIKELY(binned_is_large(size)))
        binned_take_large(heap, chunk);
    else
        bins_take(heap, chunk, size, binned_another(heap, granule, size, gone));
}

static NOINLINE void binned_shrink_large(const struct shmheap *heap, uint64_t granule,
                                         uint64_t behind, uint64_t rest)
{
    if (binned_is_large(rest) && chunk_of(granule) == chunk_of(behind)) {
        tree_put(heap, chunk_of(granule), rest);
        return;
    }
    binned_take_large(heap, chunk_of(granule));
    binned_put(heap, behind, rest);
}

/* [ block           ] => [ TAKEN ][ rest ], or [ TAKEN ] where rest is 0: bins and tree. */
static ALWAYS_INLINE void binned_shrink(const struct shmheap *heap, const struct free_block *block,
                                        uint64_t behind, uint64_t rest)
{
    uint64_t granule = block->granule, chunk = chunk_of(granule), size = block->size;
    if (UNLIKELY(binned_is_large(size))) {
        binned_shrink_large(heap, granule, behind, rest);
        return;
    }
    uint64_t another = LIKELY(block->others != OTHERS_UNKNOWN)
                           ? block->others
                           : binned_another(heap, granule, size, granule);
    if (block->lowest)
        bins_take_first(heap, chunk, size, another);
    else
        bins_take(heap, chunk, size, another);
    bins_put(heap, chunk_of(behind), rest);
}

#endif
