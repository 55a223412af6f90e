/* vector.h: the greatest of several numbers, which they are, and which are equal to one, by the instructions that the file is compiled for.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signed, since that is what all of them compare; the results are at least 0. */
#ifndef SHMHEAP_VECTOR_H
#define SHMHEAP_VECTOR_H

#include <stddef.h>
#include <string.h>

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

/* greatest_where: of 64 numbers, the greatest above 0 whose partner in sizes is at least need, 1 to INT32_MAX, and its place; 0: there is none.
 * equal_where: the place of a number that less its partner in minus (NULL: as it is) is value; 64: there is none.
 * count: as many at the front are not 0; of the others as many are looked at as come in handy. */
#if defined(INDEX_AVX512)
static HOT __m512i where_more(const uint32_t *numbers, const uint32_t *sizes, __m512i less)
{
    return _mm512_maskz_mov_epi32(_mm512_cmpgt_epi32_mask(_mm512_loadu_si512(sizes), less), _mm512_loadu_si512(numbers));
}

static HOT uint64_t equal_of_32(const uint32_t *numbers, const uint32_t *minus, __m512i one)
{
    __m512i low = _mm512_loadu_si512(numbers), high = _mm512_loadu_si512(numbers + 16);
    if (minus != NULL) {
        low = _mm512_sub_epi32(low, _mm512_loadu_si512(minus));
        high = _mm512_sub_epi32(high, _mm512_loadu_si512(minus + 16));
    }
    return (uint64_t)_mm512_cmpeq_epi32_mask(low, one) | (uint64_t)_mm512_cmpeq_epi32_mask(high, one) << 16;
}

static HOT uint32_t greatest_where(const uint32_t *numbers, const uint32_t *sizes, uint64_t count, uint32_t need, uint64_t *place)
{
    const __m512i less = _mm512_set1_epi32((int)(need - 1));
    __m512i most = _mm512_max_epi32(where_more(numbers, sizes, less), where_more(numbers + 16, sizes + 16, less));
    if (UNLIKELY(count > 32))
        most = _mm512_max_epi32(most, _mm512_max_epi32(where_more(numbers + 32, sizes + 32, less), where_more(numbers + 48, sizes + 48, less)));
    most = greatest_everywhere(most);
    uint64_t which = equal_of_32(numbers, NULL, most);
    if (UNLIKELY(count > 32))
        which |= equal_of_32(numbers + 32, NULL, most) << 32;
    *place = bit_lowest_or_64(which);
    return at_least_0(_mm512_castsi512_si128(most));
}

static HOT uint64_t equal_where(const uint32_t *numbers, const uint32_t *minus, uint64_t count, uint32_t value)
{
    const __m512i one = _mm512_set1_epi32((int)value);
    uint64_t which = equal_of_32(numbers, minus, one);
    if (UNLIKELY(count > 32))
        which |= equal_of_32(numbers + 32, minus != NULL ? minus + 32 : NULL, one) << 32;
    return bit_lowest_or_64(which);
}
#elif defined(INDEX_AVX2)
static HOT __m256i load_of_8(const uint32_t *numbers) { return _mm256_loadu_si256((const __m256i *)(const void *)numbers); }

static HOT __m256i where_more(const uint32_t *numbers, const uint32_t *sizes, __m256i less)
{
    return _mm256_and_si256(_mm256_cmpgt_epi32(load_of_8(sizes), less), load_of_8(numbers));
}

static HOT __m256i greatest_of_32_where(const uint32_t *numbers, const uint32_t *sizes, __m256i less)
{
    return _mm256_max_epi32(
        _mm256_max_epi32(where_more(numbers, sizes, less), where_more(numbers + 8, sizes + 8, less)),
        _mm256_max_epi32(where_more(numbers + 16, sizes + 16, less), where_more(numbers + 24, sizes + 24, less)));
}

static HOT __m256i difference_of_8(const uint32_t *numbers, const uint32_t *minus, unsigned i)
{
    return minus != NULL ? _mm256_sub_epi32(load_of_8(numbers + i), load_of_8(minus + i)) : load_of_8(numbers + i);
}

static HOT uint64_t equal_where_from(const uint32_t *numbers, const uint32_t *minus, unsigned i, __m256i one)
{
    return (uint64_t)equal_of_32(difference_of_8(numbers, minus, i), difference_of_8(numbers, minus, i + 8),
                                 difference_of_8(numbers, minus, i + 16), difference_of_8(numbers, minus, i + 24), one)
           << i;
}

static HOT uint32_t greatest_where(const uint32_t *numbers, const uint32_t *sizes, uint64_t count, uint32_t need, uint64_t *place)
{
    const __m256i less = _mm256_set1_epi32((int)(need - 1));
    __m256i most = greatest_of_32_where(numbers, sizes, less);
    if (UNLIKELY(count > 32))
        most = _mm256_max_epi32(most, greatest_of_32_where(numbers + 32, sizes + 32, less));
    most = greatest_everywhere(most);
    uint64_t which = equal_where_from(numbers, NULL, 0, most);
    if (UNLIKELY(count > 32))
        which |= equal_where_from(numbers, NULL, 32, most);
    *place = bit_lowest_or_64(which);
    return at_least_0(_mm256_castsi256_si128(most));
}

static HOT uint64_t equal_where(const uint32_t *numbers, const uint32_t *minus, uint64_t count, uint32_t value)
{
    const __m256i one = _mm256_set1_epi32((int)value);
    uint64_t which = equal_where_from(numbers, minus, 0, one);
    if (UNLIKELY(count > 32))
        which |= equal_where_from(numbers, minus, 32, one);
    return bit_lowest_or_64(which);
}
#elif defined(__SSE2__) || defined(__aarch64__)
/* Four numbers, by the instructions that every processor of the kind has. */
typedef int32_t four_numbers __attribute__((vector_size(16)));

static HOT four_numbers load_of_4(const uint32_t *numbers)
{
    four_numbers all;
    memcpy(&all, numbers, sizeof all);
    return all;
}

static HOT four_numbers greater_of_fours(four_numbers a, four_numbers b)
{
    four_numbers greater = a > b;
    return (greater & a) | (~greater & b);
}

static HOT int32_t greatest_in(four_numbers all)
{
    int32_t a = all[0] > all[1] ? all[0] : all[1], b = all[2] > all[3] ? all[2] : all[3];
    return a > b ? a : b;
}

static HOT uint64_t equal_where(const uint32_t *numbers, const uint32_t *minus, uint64_t count, uint32_t value)
{
    const four_numbers one = {(int32_t)value, (int32_t)value, (int32_t)value, (int32_t)value};
    four_numbers places = {1, 2, 3, 4}, found = {0, 0, 0, 0};
    for (unsigned i = 0; i < count; i += 4, places += 4) {
        four_numbers number = load_of_4(numbers + i);
        if (minus != NULL)
            number -= load_of_4(minus + i);
        found |= (number == one) & places;
    }
    int32_t place = greatest_in(found);
    return place != 0 ? (uint64_t)place - 1 : 64;
}

static HOT uint32_t greatest_where(const uint32_t *numbers, const uint32_t *sizes, uint64_t count, uint32_t need, uint64_t *place)
{
    const four_numbers less = {(int32_t)need - 1, (int32_t)need - 1, (int32_t)need - 1, (int32_t)need - 1};
    four_numbers most = {0, 0, 0, 0};
    for (unsigned i = 0; i < count; i += 4)
        most = greater_of_fours((load_of_4(sizes + i) > less) & load_of_4(numbers + i), most);
    uint32_t greatest = (uint32_t)greatest_in(most);
    *place = equal_where(numbers, NULL, count, greatest);
    return greatest;
}
#else
static HOT uint64_t equal_where(const uint32_t *numbers, const uint32_t *minus, uint64_t count, uint32_t value)
{
    for (uint64_t i = 0; i < count; i++)
        if (numbers[i] - (minus != NULL ? minus[i] : 0) == value)
            return i;
    return 64;
}

static HOT uint32_t greatest_where(const uint32_t *numbers, const uint32_t *sizes, uint64_t count, uint32_t need, uint64_t *place)
{
    int32_t greatest = 0;
    for (uint64_t i = 0; i < count; i++) {
        if ((int32_t)sizes[i] < (int32_t)need || (int32_t)numbers[i] <= greatest)
            continue;
        greatest = (int32_t)numbers[i];
        *place = i;
    }
    return (uint32_t)greatest;
}
#endif

#endif
