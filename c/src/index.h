/* index.h: the derived search tree: bit planes of the granules, and maxima over chunks of 64 of them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing here is believed: a granule that comes out of the index is within the region, and its header decides.
 * Everything here can be rebuilt from the headers (recover). All but index_is_start is called under the lock.
 *
 *   bits    start  1...1.......1......    blocks begin here
 *           edge   ....1......1.......    first and last granules of free blocks (a block of one granule: one bit)
 *   level 0        the size of the largest free block that begins in each chunk, but not of the tail
 *   level k        the maximum of 16 entries of level k - 1 */
#ifndef SHMHEAP_INDEX_H
#define SHMHEAP_INDEX_H

#include "block.h"
#if defined(INDEX_AVX2) || defined(INDEX_AVX512)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#define CHUNK_NONE UINT64_MAX
#define MAXIMUM_CAP UINT64_C(0x7fffffff) /* entries are saturated, so that they compare as signed numbers too */

static inline uint32_t maximum_of_size(uint64_t size) { return (uint32_t)(size < MAXIMUM_CAP ? size : MAXIMUM_CAP); }

static inline uint64_t chunk_of(uint64_t granule) { return granule / CHUNK_GRANULES; }
static inline uint64_t bit_of(uint64_t granule) { return UINT64_C(1) << granule % CHUNK_GRANULES; }

/* Bits below, and from, a granule's own in its chunk. */
static inline uint64_t bits_below(uint64_t granule) { return bit_of(granule) - 1; }

static inline int index_is_start(const struct shmheap *heap, uint64_t granule)
{
    return (load_acquire(&heap->bits[chunk_of(granule)].start) >> granule % CHUNK_GRANULES) & 1;
}

/* index_live is the header of the live object at granule; 0: none. Needs no lock. */
static inline uint64_t index_live(const struct shmheap *heap, uint64_t granule)
{
    if (UNLIKELY(!index_is_start(heap, granule)))
        return 0;
    uint64_t header = block_load(heap, granule);
    return LIKELY(header_is_live(header)) ? header : 0;
}

static inline int index_is_edge(const struct shmheap *heap, uint64_t granule)
{
    return (load_u64(&heap->bits[chunk_of(granule)].edge) >> granule % CHUNK_GRANULES) & 1;
}

static inline int index_is_free_start(const struct shmheap *heap, uint64_t granule)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    return ((load_u64(&bits->start) & load_u64(&bits->edge)) >> granule % CHUNK_GRANULES) & 1;
}

/* Only the lock's owner changes the planes; a word that readers look at is replaced in one store. */
static inline void start_set(const struct shmheap *heap, uint64_t granule)
{
    uint64_t *word = &heap->bits[chunk_of(granule)].start;
    store_publish(word, load_u64(word) | bit_of(granule));
}

static inline void start_clear(const struct shmheap *heap, uint64_t granule)
{
    uint64_t *word = &heap->bits[chunk_of(granule)].start;
    store_publish(word, load_u64(word) & ~bit_of(granule));
}

static inline void edge_set(const struct shmheap *heap, uint64_t granule)
{
    uint64_t *word = &heap->bits[chunk_of(granule)].edge;
    store_u64(word, load_u64(word) | bit_of(granule));
}

static inline void edge_set_if(const struct shmheap *heap, uint64_t granule, int condition)
{
    uint64_t *word = &heap->bits[chunk_of(granule)].edge;
    store_u64(word, load_u64(word) | (uint64_t)(condition != 0) << granule % CHUNK_GRANULES);
}

static inline void edge_clear(const struct shmheap *heap, uint64_t granule)
{
    uint64_t *word = &heap->bits[chunk_of(granule)].edge;
    store_u64(word, load_u64(word) & ~bit_of(granule));
}

/* Which of a node's 16 entries are at least need (1 to MAXIMUM_CAP), as bits. */
static inline unsigned node_at_least(const uint32_t *node, uint32_t need)
{
#if defined(INDEX_AVX512)
    return _mm512_cmpgt_epi32_mask(_mm512_loadu_si512(node), _mm512_set1_epi32((int)(need - 1)));
#elif defined(INDEX_AVX2)
    const __m256i less = _mm256_set1_epi32((int)(need - 1));
    const __m256i *half = (const __m256i *)(const void *)node;
    unsigned low = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_loadu_si256(half), less)));
    unsigned high = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_loadu_si256(half + 1), less)));
    return low | high << 8;
#elif defined(__SSE2__)
    const __m128i less = _mm_set1_epi32((int)(need - 1));
    const __m128i *quarter = (const __m128i *)(const void *)node;
    __m128i low = _mm_packs_epi32(_mm_cmpgt_epi32(_mm_loadu_si128(quarter), less),
                                  _mm_cmpgt_epi32(_mm_loadu_si128(quarter + 1), less));
    __m128i high = _mm_packs_epi32(_mm_cmpgt_epi32(_mm_loadu_si128(quarter + 2), less),
                                   _mm_cmpgt_epi32(_mm_loadu_si128(quarter + 3), less));
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < NODE_CHILDREN; i++)
        mask |= (unsigned)((int32_t)node[i] >= (int32_t)need) << i;
    return mask;
#endif
}

/* The maximum of a node's 16 entries, one of them left out (16: none); entries that no heap can have (above MAXIMUM_CAP)
 * count as 0. The entry left out is about to change: asked for before it is stored, since a load of 16 bytes over a
 * store of 4 that is still on its way has to wait for it. */
static inline uint32_t node_maximum_without(const uint32_t *node, unsigned without)
{
#if defined(INDEX_AVX512)
    __m512i all = _mm512_maskz_loadu_epi32((__mmask16)~(1u << without), node);
    __m256i both = _mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    __m128i most = _mm_max_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
    int32_t value = _mm_cvtsi128_si32(most);
    return value > 0 ? (uint32_t)value : 0;
#elif defined(INDEX_AVX2)
    const __m256i *half = (const __m256i *)(const void *)node;
    const __m256i skipped = _mm256_set1_epi32((int)without), first = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    const __m256i second = _mm256_set_epi32(15, 14, 13, 12, 11, 10, 9, 8);
    __m256i both = _mm256_max_epi32(_mm256_andnot_si256(_mm256_cmpeq_epi32(first, skipped), _mm256_loadu_si256(half)),
                                    _mm256_andnot_si256(_mm256_cmpeq_epi32(second, skipped), _mm256_loadu_si256(half + 1)));
    __m128i most = _mm_max_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0x4e));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0xb1));
    int32_t value = _mm_cvtsi128_si32(most);
    return value > 0 ? (uint32_t)value : 0;
#elif defined(__SSE2__)
    const __m128i *quarter = (const __m128i *)(const void *)node;
    __m128i most = _mm_setzero_si128(), place = _mm_set_epi32(3, 2, 1, 0);
    const __m128i skipped = _mm_set1_epi32((int)without), four = _mm_set1_epi32(4);
    for (int i = 0; i < 4; i++) {
        __m128i entries = _mm_andnot_si128(_mm_cmpeq_epi32(place, skipped), _mm_loadu_si128(quarter + i));
        __m128i greater = _mm_cmpgt_epi32(entries, most);
        most = _mm_or_si128(_mm_and_si128(greater, entries), _mm_andnot_si128(greater, most));
        place = _mm_add_epi32(place, four);
    }
    for (int i = 0; i < 2; i++) {
        __m128i other = i == 0 ? _mm_shuffle_epi32(most, 0x4e) : _mm_shuffle_epi32(most, 0xb1);
        __m128i greater = _mm_cmpgt_epi32(other, most);
        most = _mm_or_si128(_mm_and_si128(greater, other), _mm_andnot_si128(greater, most));
    }
    return (uint32_t)_mm_cvtsi128_si32(most);
#else
    int32_t most = 0;
    for (unsigned i = 0; i < NODE_CHILDREN; i++)
        most = i != without && (int32_t)node[i] > most ? (int32_t)node[i] : most;
    return (uint32_t)most;
#endif
}

static inline uint32_t node_maximum(const uint32_t *node) { return node_maximum_without(node, NODE_CHILDREN); }

/* The lowest level whose first node covers this chunk: searches for chunks up to it start there. */
static inline unsigned index_level_for(const struct shmheap *heap, uint64_t chunk)
{
    unsigned level = bit_highest(chunk | 1) / 4;
    return level < heap->layout.levels ? level : heap->layout.levels - 1;
}

/* The bits of the 16 chunks of a node, one of which will be asked for: while the node itself is on its way. */
static inline void index_fetch_chunks(const struct shmheap *heap, uint64_t chunk)
{
    const unsigned char *bits = (const unsigned char *)(heap->bits + chunk);
    for (unsigned line = 0; line < NODE_CHILDREN * sizeof(struct chunk_bits); line += 64)
        prefetch(bits + line);
}

/* The first chunk in which a free block of at least need begins, the tail left out. CHUNK_NONE: there is none.
 * A tree that contradicts itself gives some chunk, whose blocks then will not do. */
static inline uint64_t index_find_chunk(const struct shmheap *heap, uint32_t need, uint64_t tail)
{
    unsigned level = index_level_for(heap, chunk_of(tail));
    unsigned mask = node_at_least(heap->level[level], need);
    if (mask == 0)
        return CHUNK_NONE;
    uint64_t entry = bit_lowest(mask);
    while (level-- > 0) {
        /* Within the level also if the entry above lied: then entry may lie behind the last node. */
        uint64_t node = entry * NODE_CHILDREN;
        if (UNLIKELY(node >= heap->layout.level_len[level]))
            return CHUNK_NONE;
        if (level == 0)
            index_fetch_chunks(heap, node);
        mask = node_at_least(heap->level[level] + node, need);
        entry = node + bit_lowest(mask | 1u << 15);
    }
    return entry;
}

/* The size of the block at granule: up to where the next one begins, by the bits of this chunk and the next, or else by its
 * header. What depends on it need not wait for the header to come from memory; the header has to be compared all the same. */
static HOT uint64_t index_size(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    uint64_t here = load_u64(&bits[0].start) & ~(bits_below(granule) | bit_of(granule)), next = load_u64(&bits[1].start);
    uint64_t word = here != 0 ? here : next, off = here != 0 ? 0 : CHUNK_GRANULES;
    return LIKELY(word != 0) ? off + bit_lowest(word) - granule % CHUNK_GRANULES : header_size(header);
}

/* The same where the header says so too, and the block ends within the region; else 0. */
static inline uint64_t index_size_checked(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    uint64_t size = index_size(heap, granule, header);
    return value_copy(size) == header_size(header) && size - 1 < heap->end - granule ? size : 0;
}

/* Where at least `more` bits in a row, from this one upwards, have no start behind them; bits above the chunk count
 * as such. By doubling, without branches: which of several free blocks will do cannot be predicted. */
static HOT uint64_t index_runs(uint64_t starts, uint64_t more)
{
    uint64_t run = ~(starts >> 1) | UINT64_C(1) << 63, have = 1;
    run |= (uint64_t)-(int64_t)(more == 0);
    for (int i = 0; i < 6; i++) {
        uint64_t missing = more > have ? more - have : 0, step = missing < have ? missing : have;
        run &= (uint64_t)((int64_t)run >> step); /* arithmetic: the top bit is set, and ones move in */
        have += step;
    }
    return run;
}

/* The first block of at least need in a chunk whose maximum promises one, as far as the bits tell; the last to begin
 * there may extend behind it, so its size has to tell. GRANULE_NONE: the bits hold no such block. */
static inline uint64_t index_find_block(const struct shmheap *heap, uint64_t chunk, uint64_t need)
{
    uint64_t starts = load_u64(&heap->bits[chunk].start);
    uint64_t frees = starts & load_u64(&heap->bits[chunk].edge);
    frees &= index_runs(starts, need - 1 < 63 ? need - 1 : 63);
    return frees != 0 ? chunk * CHUNK_GRANULES + bit_lowest(frees) : GRANULE_NONE;
}

/* The size of the free block that begins at granule and is the last to begin in its chunk. */
static inline uint64_t index_size_over(const struct shmheap *heap, uint64_t granule)
{
    uint64_t next = chunk_of(granule) + 1, starts = load_u64(&heap->bits[next].start);
    if (LIKELY(starts != 0))
        return next * CHUNK_GRANULES + bit_lowest(starts) - granule;
    return granule < connection_end(heap) ? header_size(block_load(heap, granule)) : 0;
}

/* What level 0 has to hold for a chunk. limit: the tail, which is left out. */
static inline uint32_t index_chunk_maximum(const struct shmheap *heap, uint64_t chunk, uint64_t limit)
{
    uint64_t starts = load_u64(&heap->bits[chunk].start);
    uint64_t frees = starts & load_u64(&heap->bits[chunk].edge);
    uint64_t most = 0;
    if (UNLIKELY(chunk == chunk_of(limit)))
        frees &= bits_below(limit);
    while (frees != 0) {
        unsigned bit = bit_lowest(frees);
        uint64_t behind = starts & ~((UINT64_C(2) << bit) - 1);
        uint64_t size = behind != 0 ? bit_lowest(behind) - bit : index_size_over(heap, chunk * CHUNK_GRANULES + bit);
        most = size > most ? size : most;
        frees &= frees - 1;
    }
    return maximum_of_size(most);
}

/* Stores an entry and returns what its parent has to be. */
static HOT uint32_t index_store_entry(const struct shmheap *heap, unsigned level, uint64_t entry, uint32_t value)
{
    uint32_t *node = heap->level[level] + (entry & ~(uint64_t)(NODE_CHILDREN - 1));
    uint32_t others = node_maximum_without(node, entry % NODE_CHILDREN);
    store_u32(node + entry % NODE_CHILDREN, value);
    return others > value ? others : value;
}

/* Stores a smaller entry of level 0, and what becomes smaller above it. How far that goes cannot be predicted, but
 * seldom beyond the second level: up to there it is done in any case. */
static inline void index_store_less(const struct shmheap *heap, uint64_t chunk, uint32_t value)
{
    uint64_t entry = chunk / NODE_CHILDREN;
    value = index_store_entry(heap, 0, chunk, value);
    for (unsigned level = 1; level + 1 < heap->layout.levels; level++, entry /= NODE_CHILDREN) {
        uint32_t was = load_u32(heap->level[level + 1] + entry / NODE_CHILDREN);
        value = index_store_entry(heap, level, entry, value);
        if (value == was)
            return;
    }
    store_u32(heap->level[heap->layout.levels - 1] + entry, value);
}

static HOT void index_store_if_more(const struct shmheap *heap, unsigned level, uint64_t entry, uint32_t value)
{
    uint32_t *place = heap->level[level] + entry, was = load_u32(place);
    store_u32(place, was > value ? was : value);
}

/* Stores a larger entry of level 0, and what becomes larger above it: as above. */
static inline void index_store_more(const struct shmheap *heap, uint64_t chunk, uint32_t value)
{
    uint64_t entry = chunk / NODE_CHILDREN / NODE_CHILDREN;
    index_store_if_more(heap, 0, chunk, value);
    index_store_if_more(heap, 1, chunk / NODE_CHILDREN, value);
    for (unsigned level = 2; level < heap->layout.levels; level++, entry /= NODE_CHILDREN) {
        uint32_t *place = heap->level[level] + entry;
        if (load_u32(place) >= value)
            return;
        store_u32(place, value);
    }
}

/* A free block of this size begins in the chunk now; what it took the place of there is smaller. After all index_lower of the
 * operation: those load whole nodes, which cannot be served from a store of one entry that is still on its way to the cache,
 * perhaps behind a header's that misses it. */
static inline void index_raise(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    index_store_more(heap, chunk, maximum_of_size(size));
}

/* A free block of this size begins in the chunk no more (or is smaller now). The bits are up to date. */
static inline void index_lower(const struct shmheap *heap, uint64_t chunk, uint64_t size, uint64_t tail)
{
    uint32_t old = load_u32(heap->level[0] + chunk);
    if (maximum_of_size(size) < old)
        return; /* another is larger */
    uint32_t value = index_chunk_maximum(heap, chunk, tail);
    index_store_less(heap, chunk, value);
}

/* Fetches the headers that the bits of a chunk name, some chunks ahead of a walk, which else would wait for each
 * header to learn where the next one is. The bits may be wrong: then it is slow, no more. */
static inline void index_fetch_ahead(const struct shmheap *heap, uint64_t chunk, uint64_t end)
{
    chunk += 8;
    if (chunk * CHUNK_GRANULES < end)
        for (uint64_t starts = load_u64(&heap->bits[chunk].start); starts != 0; starts &= starts - 1)
            prefetch(block_header(heap, chunk * CHUNK_GRANULES + bit_lowest(starts)));
}

/* The first block that begins at from or behind it; the end if none does. */
uint64_t index_next_start(const struct shmheap *heap, uint64_t from);

/* struct index_expected is private: what the index has to say of one chunk after another, read off the headers. */
struct index_expected {
    const struct shmheap *heap;
    uint64_t end;
    struct block_step step;
    uint64_t edge_later;   /* the last granule of a free block that ends in a later chunk */
    uint64_t chunk;        /* the one described */
    uint64_t start, edge;
    uint32_t maximum;
    uint64_t tail, used_granules, used_blocks, free_blocks; /* so far; tail is the end unless the last block is free */
    int bad;               /* step.granule holds no header that can be there */
};

void index_expect(struct index_expected *expected, const struct shmheap *heap, uint64_t end);

/* index_expect_next describes the next chunk: 1; 0 after the last one, or where a header is bad. */
int index_expect_next(struct index_expected *expected);

/* index_rebuild writes the whole index and its figures anew from headers that were checked. Each word of the start bits is
 * replaced by one store, so that who resolves handles meanwhile finds all objects. */
void index_rebuild(struct shmheap *heap);

/* The start of the free block whose last granule is given; GRANULE_NONE: the bits hold none. */
uint64_t index_start_far(const struct shmheap *heap, uint64_t granule);

static inline uint64_t index_start_of(const struct shmheap *heap, uint64_t granule)
{
    uint64_t starts = load_u64(&heap->bits[chunk_of(granule)].start) & (bit_of(granule) | bits_below(granule));
    if (LIKELY(starts != 0))
        return (granule & ~UINT64_C(63)) + bit_highest(starts);
    return index_start_far(heap, granule);
}

#endif
