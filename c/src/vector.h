/* vector.h: the greatest of several numbers, by the instructions that the file is compiled for.
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
static HOT uint32_t greatest_of_4(__m128i four)
{
    four = greater_of(four, _mm_shuffle_epi32(four, 0x4e));
    four = greater_of(four, _mm_shuffle_epi32(four, 0xb1));
    int32_t greatest = _mm_cvtsi128_si32(four);
    return greatest > 0 ? (uint32_t)greatest : 0;
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

#endif
