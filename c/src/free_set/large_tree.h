/* large_tree.h: the chunks in which large free blocks begin, and their sizes: a tree of maxima.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A block is large from BINS granules on, which is a chunk's length. So at most one large block
 * begins in a chunk, and it is the last block that does.
 *
 *   level 0   entry c: the size of the large free block that begins in chunk c, at most
 *             MAXIMUM_CAP; 0: there is none, or it is the top block
 *   level k   entry i: the maximum of entries 16 i to 16 i + 15 of level k - 1
 *
 * Derived, as the bits: a death between two stores leaves a tree that recovery rebuilds. All
 * functions need the lock. */
#ifndef SHMHEAP_LARGE_TREE_H
#define SHMHEAP_LARGE_TREE_H

#include "../block/bits.h"
#include "../base/vector.h"

#define CHUNK_NONE UINT64_MAX
#define MAXIMUM_CAP UINT64_C(0x7fffffff) /* the greatest entry: the same signed and unsigned */

static inline uint32_t maximum_of_size(uint64_t size)
{
    return (uint32_t)(size < MAXIMUM_CAP ? size : MAXIMUM_CAP);
}

/* A bit for each of a node's 16 entries that is at least need, 1 to MAXIMUM_CAP. */
static inline unsigned node_at_least(const shared_u32 *node, uint32_t need)
{
    return above_of_16(node, need - 1);
}

/* The maximum of a node's 16 entries without one of them; 16: of all. An entry above MAXIMUM_CAP,
 * which only a hostile peer writes, counts as 0. The caller changes the entry left out, after this
 * call: a load of 16 bytes over a store of 4 that is still on its way has to wait. */
static inline uint32_t node_maximum_without(const shared_u32 *node, unsigned without)
{
#if defined(INDEX_AVX2)
    const __m256i skipped = _mm256_set1_epi32((int)without),
                  first = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i second = _mm256_set_epi32(15, 14, 13, 12, 11, 10, 9, 8);
    return greatest_of(_mm256_max_epi32(
        _mm256_andnot_si256(_mm256_cmpeq_epi32(first, skipped), load_8(node)),
        _mm256_andnot_si256(_mm256_cmpeq_epi32(second, skipped), load_8(node + 8))));
#elif defined(__SSE2__)
    __m128i most = _mm_setzero_si128(), place = _mm_set_epi32(3, 2, 1, 0);
    const __m128i skipped = _mm_set1_epi32((int)without), four = _mm_set1_epi32(4);
    for (int i = 0; i < 4; i++) {
        most = greater_of(_mm_andnot_si128(_mm_cmpeq_epi32(place, skipped), load_4(node + 4 * i)),
                          most);
        place = _mm_add_epi32(place, four);
    }
    return greatest_of(most);
#else
    int32_t most = 0;
    for (unsigned i = 0; i < NODE_CHILDREN; i++) {
        int32_t number = (int32_t)load_u32(node + i);
        most = i != without && number > most ? number : most;
    }
    return (uint32_t)most;
#endif
}

static inline uint32_t node_maximum(const shared_u32 *node)
{
    return node_maximum_without(node, NODE_CHILDREN);
}

/* 1 where entry `entry` of a level covers a chunk of the region. A heap that may still grow has no
 * memory for the nodes behind, and a peer may have written an entry that leads to one. */
static ALWAYS_INLINE int tree_reaches(const struct shmheap *heap, unsigned level, uint64_t entry)
{
    return (entry << 4 * level) * CHUNK_GRANULES < heap->end;
}

/* The lowest level whose first node covers this chunk. A search for chunks up to it begins
 * there. */
static inline unsigned tree_level_for(const struct shmheap *heap, uint64_t chunk)
{
    unsigned level = bit_highest(chunk | 1) / 4;
    return level < heap->layout.levels ? level : heap->layout.levels - 1;
}

/* The first chunk in which a large free block of at least need begins. CHUNK_NONE: there is none
 * below the top block. Where a peer has written into the tree, any chunk: the caller's check
 * refuses it. */
static inline uint64_t tree_find(const struct shmheap *heap, uint32_t need, uint64_t top)
{
    unsigned level = tree_level_for(heap, chunk_of(top));
    unsigned mask = node_at_least(heap->level[level], need);
    if (mask == 0)
        return CHUNK_NONE;
    uint64_t entry = bit_lowest(mask);
    while (level-- > 0) {
        uint64_t node = entry * NODE_CHILDREN;
        if (UNLIKELY(!tree_reaches(heap, level, node)))
            return CHUNK_NONE;
        mask = node_at_least(heap->level[level] + node, need);
        entry = node + bit_lowest(mask | 1u << 15);
    }
    return entry;
}

/* Stores an entry and returns what its parent entry has to be. */
static ALWAYS_INLINE uint32_t tree_store_entry(const struct shmheap *heap, unsigned level,
                                               uint64_t entry, uint32_t value)
{
    shared_u32 *node = heap->level[level] + (entry & ~(uint64_t)(NODE_CHILDREN - 1));
    uint32_t others = node_maximum_without(node, entry % NODE_CHILDREN);
    store_u32(node + entry % NODE_CHILDREN, value);
    return others > value ? others : value;
}

/* Stores a smaller entry of level 0, and the entries above it that become smaller. How far up
 * cannot be predicted, but it is seldom above the second level: up to there all entries are
 * stored. */
static inline void tree_store_less(const struct shmheap *heap, uint64_t chunk, uint32_t value)
{
    uint64_t entry = chunk / NODE_CHILDREN;
    value = tree_store_entry(heap, 0, chunk, value);
    for (unsigned level = 1; level + 1 < heap->layout.levels; level++, entry /= NODE_CHILDREN) {
        uint32_t was = load_u32(heap->level[level + 1] + entry / NODE_CHILDREN);
        value = tree_store_entry(heap, level, entry, value);
        if (value == was)
            return;
    }
    store_u32(heap->level[heap->layout.levels - 1] + entry, value);
}

static ALWAYS_INLINE void tree_store_if_more(const struct shmheap *heap, unsigned level,
                                             uint64_t entry, uint32_t value)
{
    shared_u32 *place = heap->level[level] + entry;
    uint32_t was = load_u32(place);
    store_u32(place, was > value ? was : value);
}

/* Stores a larger entry of level 0, and the entries above it that become larger. */
static inline void tree_store_more(const struct shmheap *heap, uint64_t chunk, uint32_t value)
{
    uint64_t entry = chunk / NODE_CHILDREN / NODE_CHILDREN;
    tree_store_if_more(heap, 0, chunk, value);
    tree_store_if_more(heap, 1, chunk / NODE_CHILDREN, value);
    for (unsigned level = 2; level < heap->layout.levels; level++, entry /= NODE_CHILDREN) {
        shared_u32 *place = heap->level[level] + entry;
        if (load_u32(place) >= value)
            return;
        store_u32(place, value);
    }
}

/* Stores the size of the large free block that begins in the chunk; 0: there is none. */
static inline void tree_put(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint32_t value = maximum_of_size(size);
    if (value > load_u32(heap->level[0] + chunk))
        tree_store_more(heap, chunk, value);
    else
        tree_store_less(heap, chunk, value);
}

/* The first chunk from this one on in which a large free block of at least need begins; CHUNK_NONE:
 * there is none. */
uint64_t tree_find_from(const struct shmheap *heap, uint32_t need, uint64_t chunk);

/* The last chunk before this one in which a large free block begins; CHUNK_NONE: there is none. */
uint64_t tree_find_before(const struct shmheap *heap, uint64_t chunk);

#endif
