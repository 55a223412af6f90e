/* vector.h: the greatest of several numbers, and which they are, by the instructions that the file is compiled for.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signed, since that is what all of them compare; the results are at least 0. */
#ifndef SHMHEAP_VECTOR_H
#define SHMHEAP_VECTOR_H

#include "platform.h"
#if defined(INDEX_AVX2) || defined(INDEX_AVX512)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

#if defined(INDEX_AVX2) || defined(INDEX_AVX512)
static HOT __m128i greater_of(__m128i a, __m128i b) { return _mm_max_epi32(a, b); }
#elif defined(__SSE2__)
static HOT __m128i greater_of(__m128i a, __m128i b)
{
    __m128i greater = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(greater, a), _mm_andnot_si128(greater, b));
}
#endif

#if defined(INDEX_AVX2) || defined(INDEX_AVX512) || defined(__SSE2__)
/* The first of them, or 0 if that is less. */
static HOT uint32_t at_least_0(__m128i numbers)
{
    int32_t first = _mm_cvtsi128_si32(numbers);
    return first > 0 ? (uint32_t)first : 0;
}

static HOT uint32_t greatest_of_4(__m128i four)
{
    four = greater_of(four, _mm_shuffle_epi32(four, 0x4e));
    four = greater_of(four, _mm_shuffle_epi32(four, 0xb1));
    return at_least_0(four);
}
#endif

#if defined(INDEX_AVX2) || defined(INDEX_AVX512)
static HOT uint32_t greatest_of_8(__m256i eight)
{
    return greatest_of_4(greater_of(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1)));
}
#endif

#if defined(INDEX_AVX512)
static HOT uint32_t greatest_of_16(__m512i all)
{
    return greatest_of_8(_mm256_max_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1)));
}
#endif

/* The greatest number, in each place. */
#if defined(INDEX_AVX512)
static HOT __m512i greatest_everywhere(__m512i most)
{
    most = _mm512_max_epi32(most, _mm512_shuffle_i64x2(most, most, 0x4e));
    most = _mm512_max_epi32(most, _mm512_shuffle_i64x2(most, most, 0xb1));
    most = _mm512_max_epi32(most, _mm512_shuffle_epi32(most, _MM_PERM_BADC));
    return _mm512_max_epi32(most, _mm512_shuffle_epi32(most, _MM_PERM_CDAB));
}
#elif defined(INDEX_AVX2)
static HOT __m256i greatest_everywhere(__m256i most)
{
    most = _mm256_max_epi32(most, _mm256_permute2x128_si256(most, most, 1));
    most = _mm256_max_epi32(most, _mm256_shuffle_epi32(most, 0x4e));
    return _mm256_max_epi32(most, _mm256_shuffle_epi32(most, 0xb1));
}

/* Which of 32 numbers are those of one, as bits. */
static HOT uint32_t equal_of_32(__m256i a, __m256i b, __m256i c, __m256i d, __m256i one)
{
    /* Packing goes by halves of a vector: what belongs together comes apart, four bytes each. */
    const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    __m256i low = _mm256_packs_epi32(_mm256_cmpeq_epi32(a, one), _mm256_cmpeq_epi32(b, one));
    __m256i high = _mm256_packs_epi32(_mm256_cmpeq_epi32(c, one), _mm256_cmpeq_epi32(d, one));
    return (uint32_t)_mm256_movemask_epi8(_mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
}
#endif

#endif
