/* rows.h: where the small free blocks are: for each size a row of bits, one for each chunk.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   level 0   row s, bit c: a free block of s granules, 1 to 63, begins in chunk c; not the tail
 *   level 1   row s, bit i: word i of this row on level 0 is not 0
 *   level k   row s, bit i: word i of this row on level k - 1 is not 0, or was not; cleared when a search comes by
 *   first     of each row the lowest chunk, as FIRST_BASE - chunk; 0: the row is empty. Entry 64 is that of all large
 *             blocks, those behind it are 0
 *
 * The words of the 64 rows for the same 64 chunks lie side by side, and row 0, of no size, is empty. So the first chunk with a block of at
 * least n granules is the greatest of 64 numbers, and putting in is a few stores without a branch that depends on what is
 * where. Levels 1 and 2 that a small heap lacks are the connection's own memory, where no search finds another word.
 *
 * Derived, as the bits. Called under the lock. */
#ifndef SHMHEAP_ROWS_H
#define SHMHEAP_ROWS_H

#include "bits.h"
#include "vector.h"

#define FIRST_BASE UINT32_C(0x7fffffff) /* above all chunks that a heap can have */

static inline uint32_t first_of_chunk(uint64_t chunk) { return FIRST_BASE - (uint32_t)chunk; }
static inline uint64_t chunk_of_first(uint32_t first) { return FIRST_BASE - first; }

/* The word of a row that has the bit of entry i of a level. */
static HOT uint64_t *row_word(const struct shmheap *heap, unsigned level, uint64_t i, uint64_t size)
{
    return heap->row[level] + ((i & ~(uint64_t)(ROWS - 1)) | size);
}

/* The greatest of the 64 numbers from places[0] on, at least 0: the lowest chunk, or 0. */
static HOT uint32_t first_of_rows(const uint32_t *places)
{
#if defined(INDEX_AVX512)
    return greatest_of_16(_mm512_max_epi32(_mm512_max_epi32(_mm512_loadu_si512(places), _mm512_loadu_si512(places + 16)),
                                           _mm512_max_epi32(_mm512_loadu_si512(places + 32), _mm512_loadu_si512(places + 48))));
#elif defined(INDEX_AVX2)
    const __m256i *eight = (const __m256i *)(const void *)places;
    __m256i one = _mm256_max_epi32(_mm256_loadu_si256(eight), _mm256_loadu_si256(eight + 1));
    __m256i two = _mm256_max_epi32(_mm256_loadu_si256(eight + 2), _mm256_loadu_si256(eight + 3));
    one = _mm256_max_epi32(one, _mm256_max_epi32(_mm256_loadu_si256(eight + 4), _mm256_loadu_si256(eight + 5)));
    two = _mm256_max_epi32(two, _mm256_max_epi32(_mm256_loadu_si256(eight + 6), _mm256_loadu_si256(eight + 7)));
    return greatest_of_8(_mm256_max_epi32(one, two));
#elif defined(__SSE2__)
    const __m128i *four = (const __m128i *)(const void *)places;
    __m128i most = _mm_setzero_si128();
    for (int i = 0; i < ROWS / 4; i++)
        most = greater_of(_mm_loadu_si128(four + i), most);
    return greatest_of_4(most);
#else
    int32_t most = 0;
    for (unsigned i = 0; i < ROWS; i++)
        most = (int32_t)places[i] > most ? (int32_t)places[i] : most;
    return (uint32_t)most;
#endif
}

/* The first chunk in which a free block of at least need granules, 1 to 64, begins, as in first. */
static HOT uint32_t rows_first(const struct shmheap *heap, uint64_t need)
{
    return first_of_rows(heap->control->first + need);
}

/* Sets what level 2 and those above it lack for a chunk of this row. */
void rows_put_high(const struct shmheap *heap, uint64_t chunk, uint64_t size);

/* The row's first chunk behind those that the word of level 1 covers; as in first. */
uint32_t rows_next_far(const struct shmheap *heap, uint64_t chunk, uint64_t size);

/* The row's first chunk by its words. Changes nothing. */
uint32_t rows_lowest(const struct shmheap *heap, uint64_t size);

/* A free block of this size begins in the chunk now. Size 0: nothing does, and nothing changes. */
static HOT void rows_put(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    uint64_t one = size != 0, i = chunk / ROWS, j = i / ROWS;
    store_or(row_word(heap, 0, chunk, size), one << chunk % ROWS);
    store_or(row_word(heap, 1, i, size), one << i % ROWS);
    if (UNLIKELY(~(load_u64(row_word(heap, 2, j, size)) >> j % ROWS) & one))
        rows_put_high(heap, chunk, size);
    uint32_t *first = &heap->control->first[size], was = load_u32(first), mine = first_of_chunk(chunk) & (uint32_t)-(int32_t)one;
    store_u32(first, was > mine ? was : mine);
}

/* The row's first chunk from this one on, as in first; left: the word of level 0 that has its bit. Whether it is in that word or in
 * another that level 1 knows cannot be predicted. */
static HOT uint32_t rows_next(const struct shmheap *heap, uint64_t chunk, uint64_t size, uint64_t left)
{
    uint64_t i = chunk / ROWS, here = left >> chunk % ROWS << chunk % ROWS;
    uint64_t later = load_u64(row_word(heap, 1, i, size)) >> i % ROWS >> 1;
    if (UNLIKELY((here | later) == 0))
        return rows_next_far(heap, chunk, size);
    i = choose(here != 0, i, i + 1 + bit_lowest_or_64(later));
    if (UNLIKELY(i >= heap->layout.row_len[0]))
        return 0;
    uint64_t word = choose(here != 0, here, load_u64(heap->row[0] + i * ROWS + size));
    return LIKELY(word != 0) ? first_of_chunk(i * ROWS + bit_lowest(word)) : 0;
}

/* The last free block of this size that began in the chunk, or one of several where another says so, does so no more. lowest: the
 * caller knows that the chunk is the row's first. */
static HOT void rows_take(const struct shmheap *heap, uint64_t chunk, uint64_t size, uint64_t another, int lowest)
{
    uint64_t i = chunk / ROWS, *word = row_word(heap, 0, chunk, size);
    uint64_t left = load_u64(word) & ~((another ^ 1) << chunk % ROWS);
    uint32_t *first = &heap->control->first[size];
    store_u64(word, left);
    store_and(row_word(heap, 1, i, size), ~((uint64_t)(left == 0) << i % ROWS));
    if (lowest || UNLIKELY(load_u32(first) == first_of_chunk(chunk)))
        store_u32(first, rows_next(heap, chunk, size, left));
}

#endif
