/* size_bins.h: where small free blocks begin: a bin for each size, in it a bit for each chunk.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   level 0   bin s, bit c: a free block of s granules, 1 to 63, begins in chunk c (top left out)
 *   level 1   bin s, bit i: word i of the bin on level 0 is not 0
 *   level k   bin s, bit i: word i of the bin on level k - 1 is not 0, or was not 0 once. The next
 *             search that finds the word 0 clears the bit
 *   first     for each bin its lowest chunk, as FIRST_BASE - chunk; 0: the bin is empty
 *             entry 64: the lowest chunk of the large tree; the entries behind are 0
 *
 * On each level the words of all 64 bins for the same 64 chunks lie side by side. Bin 0 stays
 * empty. So the first chunk with a block of at least n granules is the greatest of 64 numbers, and
 * putting a block in is a few stores without a branch on what is where. Levels 1 and 2 that a small
 * heap lacks are private memory of the connection (spare_bin), where a search finds no other word.
 *
 * Derived, as the bits: a death between two stores leaves bins that recovery rebuilds. All
 * functions need the lock. */
#ifndef SHMHEAP_SIZE_BINS_H
#define SHMHEAP_SIZE_BINS_H

#include "../block/bits.h"
#include "../base/vector.h"

#define FIRST_BASE UINT32_C(0x7fffffff) /* above the number of any chunk */
#define LARGE_FIRST BINS /* control->first[LARGE_FIRST] is the first chunk of the large tree */

static inline uint32_t first_of_chunk(uint64_t chunk) { return FIRST_BASE - (uint32_t)chunk; }
static inline uint64_t chunk_of_first(uint32_t first) { return FIRST_BASE - first; }

/* The word of the bin of this size that has bit i of a level. */
static ALWAYS_INLINE shared_u64 *bin_word(const struct shmheap *heap, unsigned level, uint64_t i,
                                          uint64_t size)
{
    return heap->bin[level] + ((i & ~(uint64_t)(WORD_BITS - 1)) | size);
}

/* 1 where word i of a level covers a chunk of the region. A heap that may still grow has no memory
 * for the other words, and a peer may have set a bit that leads to one. */
static ALWAYS_INLINE int bins_reach(const struct shmheap *heap, unsigned level, uint64_t i)
{
    return (i << 6 * (level + 1)) * CHUNK_GRANULES < heap->end;
}

/* The greatest of the 64 numbers from places[0] on: the lowest chunk as in first, or 0. *which: a
 * bit for each place that has it, or 0, since it takes AVX2 to find these places cheaply. */
static ALWAYS_INLINE uint32_t first_of_bins(const shared_u32 *places, uint64_t *which)
{
#if defined(INDEX_AVX2)
    __m256i a = load_8(places), b = load_8(places + 8), c = load_8(places + 16),
            d = load_8(places + 24);
    __m256i e = load_8(places + 32), f = load_8(places + 40), g = load_8(places + 48),
            h = load_8(places + 56);
    __m256i low = _mm256_max_epi32(_mm256_max_epi32(a, b), _mm256_max_epi32(c, d));
    __m256i high = _mm256_max_epi32(_mm256_max_epi32(e, f), _mm256_max_epi32(g, h));
    __m256i most = greatest_everywhere(_mm256_max_epi32(low, high));
    *which = equal_of_32(a, b, c, d, most) | (uint64_t)equal_of_32(e, f, g, h, most) << 32;
    return at_least_0(_mm256_castsi256_si128(most));
#elif defined(__SSE2__)
    __m128i most = _mm_setzero_si128();
    for (int i = 0; i < BINS; i += 4)
        most = greater_of(load_4(places + i), most);
    *which = 0;
    return greatest_of(most);
#else
    int32_t most = 0;
    for (unsigned i = 0; i < BINS; i++) {
        int32_t number = (int32_t)load_u32(places + i);
        most = number > most ? number : most;
    }
    *which = 0;
    return (uint32_t)most;
#endif
}

/* The first chunk in which a free block of at least need granules, 1 to 64, begins, as in first.
 * *which: bit i: in the bin of need + i; or 0, see first_of_bins. */
static ALWAYS_INLINE uint32_t bins_first(const struct shmheap *heap, uint64_t need, uint64_t *which)
{
    return first_of_bins(heap->control->first + need, which);
}

/* Sets the bits from level 2 on for a chunk of the bin. */
void bins_put_high(const struct shmheap *heap, uint64_t chunk, uint64_t size);

/* The bin's first chunk behind those that this chunk's word of level 1 covers, as in first. */
uint32_t bins_next_far(const struct shmheap *heap, uint64_t chunk, uint64_t size);

/* Puts in a block of this size that begins in the chunk. Size 0: changes nothing. */
static ALWAYS_INLINE void bins_put(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint64_t one = size != 0, i = chunk / WORD_BITS, j = i / WORD_BITS;
    store_or(bin_word(heap, 0, chunk, size), one << chunk % WORD_BITS);
    store_or(bin_word(heap, 1, i, size), one << i % WORD_BITS);
    if (UNLIKELY(~(load_u64(bin_word(heap, 2, j, size)) >> j % WORD_BITS) & one))
        bins_put_high(heap, chunk, size);
    shared_u32 *first = &heap->control->first[size];
    uint32_t was = load_u32(first), mine = first_of_chunk(chunk) & (uint32_t) - (int32_t)one;
    store_u32(first, was > mine ? was : mine);
}

/* The bin's first chunk from this one on, as in first. left: its word of level 0, without the
 * blocks taken out. Without branches: whether the next chunk is in this word, in another word that
 * level 1 names, or nowhere cannot be predicted. */
static ALWAYS_INLINE uint32_t bins_next(const struct shmheap *heap, uint64_t chunk, uint64_t size,
                                        uint64_t left)
{
    uint64_t i = chunk / WORD_BITS, j = i / WORD_BITS,
             here = left >> chunk % WORD_BITS << chunk % WORD_BITS;
    uint64_t later = load_u64(bin_word(heap, 1, i, size)) >> i % WORD_BITS >> 1;
    uint64_t far = load_u64(bin_word(heap, 2, j, size)) >> j % WORD_BITS >> 1 |
                   (heap->layout.bin_levels > BIN_LEVELS_MIN);
    if (UNLIKELY(select_u64(here | later, 0, far) != 0))
        return bins_next_far(heap, chunk, size);
    uint64_t ahead = select_u64(later, i + 1 + bit_lowest_or_64(later), i);
    if (UNLIKELY(!bins_reach(heap, 0, ahead)))
        return 0;
    uint64_t there = select_u64(later, load_u64(heap->bin[0] + ahead * BINS + size), 0);
    uint64_t next =
        select_u64(there, first_of_chunk(ahead * WORD_BITS + bit_lowest_or_64(there)), 0);
    return (uint32_t)select_u64(here, first_of_chunk(i * WORD_BITS + bit_lowest_or_64(here)), next);
}

/* Clears the chunk's bit in word, the bin's word of level 0, unless another block of the size
 * begins in the chunk; and the bit of level 1 where no bit is left. Returns the word. */
static ALWAYS_INLINE uint64_t bins_clear(const struct shmheap *heap, uint64_t chunk, uint64_t size,
                                         uint64_t word, uint64_t another)
{
    uint64_t i = chunk / WORD_BITS, left = word & ~((another ^ 1) << chunk % WORD_BITS);
    store_u64(bin_word(heap, 0, chunk, size), left);
    store_and(bin_word(heap, 1, i, size), ~((uint64_t)(left == 0) << i % WORD_BITS));
    return left;
}

/* Takes out a block of this size that begins in the chunk. another: 1 where a further one does. */
static ALWAYS_INLINE void bins_take(const struct shmheap *heap, uint64_t chunk, uint64_t size,
                                    uint64_t another)
{
    uint64_t left =
        bins_clear(heap, chunk, size, load_u64(bin_word(heap, 0, chunk, size)), another);
    shared_u32 *first = &heap->control->first[size];
    if (UNLIKELY(load_u32(first) == first_of_chunk(chunk)))
        store_u32(first, bins_next(heap, chunk, size, left));
}

/* bins_take of the bin's first chunk. It looks up the next chunk before it knows whether another
 * block keeps this one: the loads need not wait for that answer. */
static ALWAYS_INLINE void bins_take_first(const struct shmheap *heap, uint64_t chunk, uint64_t size,
                                          uint64_t another)
{
    uint64_t word = load_u64(bin_word(heap, 0, chunk, size));
    uint32_t next = bins_next(heap, chunk, size, word & ~(UINT64_C(1) << chunk % WORD_BITS));
    bins_clear(heap, chunk, size, word, another);
    store_u32(&heap->control->first[size],
              (uint32_t)select_u64(another, first_of_chunk(chunk), next));
}

#endif
