/* aligned_search.c: the search for aligned room, by two walks in address order: over chunks with
 * small and with large free blocks.
 *
 * The walk of small blocks reads the words of all bins from need on as one; the walk of large
 * blocks reads the tree. Each step tests the lower of the two chunks: its small blocks on bit
 * masks, its large block by the size in the tree. The first chunk with room ends the search.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aligned_search.h"

#include "size_bins.h"
#include "large_tree.h"

/* struct wanted is the object that the search is for. All in granules. */
struct wanted {
    const struct shmheap *heap;
    uint64_t need, alignment;
    uint64_t first; /* the lowest granule whose payload is aligned */
    uint64_t top;
};

/* Bits from, from + period and so on; period is a power of two. */
static uint64_t bits_every(uint64_t period, uint64_t from)
{
    if (period < WORD_BITS)
        return ~UINT64_C(0) / ((UINT64_C(1) << period) - 1) << from;
    return from < WORD_BITS ? UINT64_C(1) << from : 0;
}

/* The granules of a chunk at which a payload is aligned. */
static uint64_t aligned_bits(const struct wanted *wanted, uint64_t chunk)
{
    uint64_t from = (wanted->first - chunk * CHUNK_GRANULES) & (wanted->alignment - 1);
    return bits_every(wanted->alignment, from);
}

/* Chunks --------------------------------------------------------------------------------------- */

/* Words i of this level, of the bins of need granules and more, in one. */
static uint64_t bins_any(const struct shmheap *heap, unsigned level, uint64_t i, uint64_t need)
{
    const shared_u64 *words = heap->bin[level] + i * BINS;
    uint64_t any = 0;
    for (uint64_t size = need; size < BINS; size++)
        any |= load_u64(words + size);
    return any;
}

/* The first word of level 0 from i on that is not 0 in one of the bins; UINT64_MAX: there is
 * none. Goes up the levels to one with a later bit, then down. Where a bit has nothing below it,
 * the search goes on behind it. */
static uint64_t bins_word_from(const struct shmheap *heap, uint64_t i, uint64_t need)
{
    const struct layout *layout = &heap->layout;
    unsigned level = 1;
    if (layout->bin_levels == 1)
        return bins_reach(heap, 0, i) ? i : UINT64_MAX;
    while (level < layout->bin_levels && bins_reach(heap, level, i / WORD_BITS)) {
        uint64_t later = bins_any(heap, level, i / WORD_BITS, need) & ~bits_below(i);
        if (later == 0) {
            i = i / WORD_BITS + 1;
            level++;
            continue;
        }
        i = (i & ~(uint64_t)(WORD_BITS - 1)) + bit_lowest(later);
        if (--level == 0)
            return bins_reach(heap, 0, i) ? i : UINT64_MAX;
        i *= WORD_BITS;
    }
    return UINT64_MAX;
}

/* struct small_chunks is a walk over the chunks in which a small block of need granules or
 * more begins. */
struct small_chunks {
    uint64_t i, left; /* a word of level 0, and its bits that are still to be visited */
};

/* The chunks of a word that have an aligned granule, or whose next chunk has one. A small block
 * that begins in another chunk has no aligned granule. */
static uint64_t chunks_aligned(const struct wanted *wanted, uint64_t i)
{
    uint64_t period = wanted->alignment / CHUNK_GRANULES, chunk = chunk_of(wanted->first);
    if (period <= 2)
        return ~UINT64_C(0);
    uint64_t from = (chunk - i * WORD_BITS) & (period - 1);
    return bits_every(period, from) | bits_every(period, (from - 1) & (period - 1));
}

/* The next chunk; CHUNK_NONE: there is none. */
static uint64_t small_next(const struct wanted *wanted, struct small_chunks *chunks)
{
    while (chunks->left == 0) {
        chunks->i = bins_word_from(wanted->heap, chunks->i + 1, wanted->need);
        if (chunks->i == UINT64_MAX)
            return CHUNK_NONE;
        chunks->left = bins_any(wanted->heap, 0, chunks->i, wanted->need);
        chunks->left &= chunks_aligned(wanted, chunks->i);
    }
    uint64_t chunk = chunks->i * WORD_BITS + bit_lowest(chunks->left);
    chunks->left &= chunks->left - 1;
    return chunk * CHUNK_GRANULES < wanted->top ? chunk : CHUNK_NONE;
}

/* struct large_chunks is a walk over the chunks in which a large block of need or more
 * begins. */
struct large_chunks {
    uint64_t node; /* the first of NODE_CHILDREN chunks */
    unsigned left; /* its chunks that are still to be visited */
};

/* The size of the large block that begins in the chunk, by the tree; UINT64_MAX: saturated. */
static uint64_t large_size(const struct wanted *wanted, uint64_t chunk)
{
    uint32_t size = load_u32(wanted->heap->level[0] + chunk);
    return size < MAXIMUM_CAP ? size : UINT64_MAX;
}

/* 0 where the object cannot fit, wherever in the chunk the block begins: the next aligned granule
 * is too far behind. */
static int large_may_fit(const struct wanted *wanted, uint64_t chunk)
{
    uint64_t gap = (wanted->first - chunk * CHUNK_GRANULES) & (wanted->alignment - 1);
    uint64_t least = gap < CHUNK_GRANULES ? 0 : gap - (CHUNK_GRANULES - 1);
    uint64_t size = large_size(wanted, chunk);
    return size >= wanted->need && least <= size - wanted->need;
}

/* The next chunk in which the object may fit; CHUNK_NONE: there is none. */
static uint64_t large_next(const struct wanted *wanted, struct large_chunks *chunks)
{
    const uint32_t need = maximum_of_size(wanted->need);
    for (;;) {
        while (chunks->left == 0) {
            uint64_t chunk = tree_find_from(wanted->heap, need, chunks->node + NODE_CHILDREN);
            if (chunk == CHUNK_NONE)
                return CHUNK_NONE;
            chunks->node = chunk & ~(uint64_t)(NODE_CHILDREN - 1);
            chunks->left = node_at_least(wanted->heap->level[0] + chunks->node, need);
        }
        uint64_t chunk = chunks->node + bit_lowest(chunks->left);
        chunks->left &= chunks->left - 1;
        if (chunk * CHUNK_GRANULES >= wanted->top)
            return CHUNK_NONE;
        if (large_may_fit(wanted, chunk))
            return chunk;
    }
}

/* Blocks --------------------------------------------------------------------------------------- */

/* Leaves the bits of two consecutive words that begin a run of n ones (run_masks). */
static void runs_only(uint64_t words[2], uint64_t n)
{
    for (unsigned i = 0; i < RUN_MASK_STEPS; i++) {
        unsigned shift = run_masks[n].shifts[i];
        words[0] &= words[0] >> shift | words[1] << 1 << (63 - shift);
        words[1] &= words[1] >> shift;
    }
}

/* The lowest free block that begins in the chunk and has room for the object at an aligned granule
 * of this chunk or the next one.
 *   frees    ..1.........1....   where free blocks begin
 *   room     ..1111......111..   their granules; then only those that begin a run of need granules
 *   aligned  ...1...1...1...1.   where an object may begin */
static uint64_t small_fitting(const struct wanted *wanted, uint64_t chunk)
{
    const struct shmheap *heap = wanted->heap;
    const struct chunk_bits *bits = &heap->bits[chunk];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t frees = starts & load_u64(&bits[0].boundary);
    if (chunk == chunk_of(wanted->top))
        frees &= bits_below(wanted->top);
    uint64_t others = starts ^ frees, behind = next != 0 ? (next & -next) - 1 : ~UINT64_C(0);
    uint64_t room[2] = {(others - frees) & ~others, frees > others ? behind : 0};
    runs_only(room, wanted->need);
    room[0] &= aligned_bits(wanted, chunk);
    room[1] &= aligned_bits(wanted, chunk + 1);
    for (unsigned gap = 1; gap < heap->block_min; gap++) { /* a gap too short for a block */
        room[0] &= ~(frees << gap);
        room[1] &= ~(frees >> (64 - gap));
    }
    if (room[0] != 0)
        frees &= bits_below(bit_lowest(room[0])) << 1 | 1;
    else if (room[1] == 0)
        return GRANULE_NONE;
    return frees != 0 ? chunk * CHUNK_GRANULES + bit_highest(frees) : GRANULE_NONE;
}

/* The large block that begins in the chunk, if it has room for the object. */
static uint64_t large_fitting(const struct wanted *wanted, uint64_t chunk)
{
    const struct shmheap *heap = wanted->heap;
    uint64_t starts = load_u64(&heap->bits[chunk].start), size = large_size(wanted, chunk);
    if (starts == 0)
        return GRANULE_NONE;
    uint64_t granule = chunk * CHUNK_GRANULES + bit_highest(starts);
    if (size == UINT64_MAX)
        size = header_size(block_load(heap, granule));
    uint64_t at = block_align(heap, granule, wanted->alignment << heap->shift);
    return size >= wanted->need && at - granule <= size - wanted->need ? granule : GRANULE_NONE;
}

uint64_t aligned_search(const struct shmheap *heap, uint64_t need, uint64_t alignment, uint64_t top)
{
    struct wanted wanted = {heap, need, alignment >> heap->shift, 0, top};
    struct small_chunks smalls = {UINT64_MAX, 0};
    struct large_chunks larges = {-(uint64_t)NODE_CHILDREN, 0};
    uint64_t granule = GRANULE_NONE;
    wanted.first = (-(uint64_t)(uintptr_t)block_payload(heap, 0) & (alignment - 1)) >> heap->shift;
    uint64_t small = need < BINS ? small_next(&wanted, &smalls) : CHUNK_NONE;
    uint64_t large = large_next(&wanted, &larges);
    while (granule == GRANULE_NONE && (small != CHUNK_NONE || large != CHUNK_NONE)) {
        if (small <= large) { /* the large block of a chunk is its last */
            granule = small_fitting(&wanted, small);
            small = small_next(&wanted, &smalls);
        } else {
            granule = large_fitting(&wanted, large);
            large = large_next(&wanted, &larges);
        }
    }
    return granule;
}
