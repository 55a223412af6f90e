/* vector.h: searches in arrays of shared numbers by vector instructions, and insertion and removal.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each search has variants for AVX2 (where heap/fit_avx2.c defines INDEX_AVX2), SSE2 and neither.
 * Comparisons are signed, as the instructions are: numbers are below 2^31. Results are sets of
 * places, bit i for numbers[i]. */
#ifndef SHMHEAP_VECTOR_H
#define SHMHEAP_VECTOR_H

#include <stddef.h>
#include <string.h>

#include "shared.h"
#if defined(INDEX_AVX2)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* These functions alone load vectors from shared memory. */
#if defined(INDEX_AVX2)
static ALWAYS_INLINE __m256i load_8(const shared_u32 *numbers)
{
    load_hook_of(numbers, 32);
    return _mm256_loadu_si256((const __m256i *)(const void *)numbers);
}
#elif defined(__SSE2__)
static ALWAYS_INLINE __m128i load_4(const shared_u32 *numbers)
{
    load_hook_of(numbers, 16);
    return _mm_loadu_si128((const __m128i *)(const void *)numbers);
}
#endif

#if defined(INDEX_AVX2) || defined(__SSE2__)
/* Returns the first number, or 0 if it is negative. */
static ALWAYS_INLINE uint32_t at_least_0(__m128i numbers)
{
    int32_t first = _mm_cvtsi128_si32(numbers);
    return first > 0 ? (uint32_t)first : 0;
}
#endif

/* greatest_everywhere has the greatest number in each place. greatest_of returns it, or 0 if it is
 * negative. */
#if defined(INDEX_AVX2)
static ALWAYS_INLINE __m256i greatest_everywhere(__m256i most)
{
    most = _mm256_max_epi32(most, _mm256_permute2x128_si256(most, most, 1));
    most = _mm256_max_epi32(most, _mm256_shuffle_epi32(most, 0x4e));
    return _mm256_max_epi32(most, _mm256_shuffle_epi32(most, 0xb1));
}

static ALWAYS_INLINE uint32_t greatest_of(__m256i numbers)
{
    return at_least_0(_mm256_castsi256_si128(greatest_everywhere(numbers)));
}
#elif defined(__SSE2__)
static ALWAYS_INLINE __m128i greater_of(__m128i a, __m128i b)
{
    __m128i greater = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(greater, a), _mm_andnot_si128(greater, b));
}

static ALWAYS_INLINE uint32_t greatest_of(__m128i most)
{
    most = greater_of(most, _mm_shuffle_epi32(most, 0x4e));
    return at_least_0(greater_of(most, _mm_shuffle_epi32(most, 0xb1)));
}
#endif

#if defined(INDEX_AVX2)
/* Returns the places where the 32 numbers in a to d equal those of one. */
static ALWAYS_INLINE uint32_t equal_of_32(__m256i a, __m256i b, __m256i c, __m256i d, __m256i one)
{
    /* Packing works on each half of a vector, so it interleaves groups of four bytes: reorder. */
    const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    __m256i low = _mm256_packs_epi32(_mm256_cmpeq_epi32(a, one), _mm256_cmpeq_epi32(b, one));
    __m256i high = _mm256_packs_epi32(_mm256_cmpeq_epi32(c, one), _mm256_cmpeq_epi32(d, one));
    return (uint32_t)_mm256_movemask_epi8(
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
}
#endif

#if !defined(INDEX_AVX2) && defined(__SSE2__)
/* Returns the places of 16 numbers that are all ones; the other numbers are 0. */
static ALWAYS_INLINE unsigned ones_of_16(__m128i a, __m128i b, __m128i c, __m128i d)
{
    return (unsigned)_mm_movemask_epi8(
        _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)));
}
#endif

/* above_of_16 returns the places of the numbers above bound. */
static ALWAYS_INLINE unsigned above_of_16(const shared_u32 *numbers, uint32_t bound)
{
#if defined(INDEX_AVX2)
    const __m256i least = _mm256_set1_epi32((int)bound);
    unsigned low = (unsigned)_mm256_movemask_ps(
        _mm256_castsi256_ps(_mm256_cmpgt_epi32(load_8(numbers), least)));
    unsigned high = (unsigned)_mm256_movemask_ps(
        _mm256_castsi256_ps(_mm256_cmpgt_epi32(load_8(numbers + 8), least)));
    return low | high << 8;
#elif defined(__SSE2__)
    const __m128i least = _mm_set1_epi32((int)bound);
    return ones_of_16(
        _mm_cmpgt_epi32(load_4(numbers), least), _mm_cmpgt_epi32(load_4(numbers + 4), least),
        _mm_cmpgt_epi32(load_4(numbers + 8), least), _mm_cmpgt_epi32(load_4(numbers + 12), least));
#else
    unsigned which = 0;
    for (unsigned i = 0; i < 16; i++)
        which |= (unsigned)((int32_t)load_u32(numbers + i) > (int32_t)bound) << i;
    return which;
#endif
}

static ALWAYS_INLINE uint64_t above_of_32(const shared_u32 *numbers, uint32_t bound)
{
    return above_of_16(numbers, bound) | (uint64_t)above_of_16(numbers + 16, bound) << 16;
}

/* sums_of_32 returns the places where numbers[i] + plus[i] is value (plus NULL: numbers[i]). */
#if defined(INDEX_AVX2)
static ALWAYS_INLINE __m256i sum_of_8(const shared_u32 *numbers, const shared_u32 *plus, unsigned i)
{
    __m256i all = load_8(numbers + i);
    return plus != NULL ? _mm256_add_epi32(all, load_8(plus + i)) : all;
}

static ALWAYS_INLINE uint64_t sums_of_32(const shared_u32 *numbers, const shared_u32 *plus,
                                         uint32_t value)
{
    return equal_of_32(sum_of_8(numbers, plus, 0), sum_of_8(numbers, plus, 8),
                       sum_of_8(numbers, plus, 16), sum_of_8(numbers, plus, 24),
                       _mm256_set1_epi32((int)value));
}
#elif defined(__SSE2__)
static ALWAYS_INLINE __m128i equal_of_4(const shared_u32 *numbers, const shared_u32 *plus,
                                        unsigned i, __m128i one)
{
    __m128i all = load_4(numbers + i);
    if (plus != NULL)
        all = _mm_add_epi32(all, load_4(plus + i));
    return _mm_cmpeq_epi32(all, one);
}

static ALWAYS_INLINE uint64_t sums_of_32(const shared_u32 *numbers, const shared_u32 *plus,
                                         uint32_t value)
{
    const __m128i one = _mm_set1_epi32((int)value);
    uint64_t which = 0;
    for (unsigned i = 0; i < 32; i += 16)
        which |= (uint64_t)ones_of_16(
                     equal_of_4(numbers, plus, i, one), equal_of_4(numbers, plus, i + 4, one),
                     equal_of_4(numbers, plus, i + 8, one), equal_of_4(numbers, plus, i + 12, one))
                 << i;
    return which;
}
#else
static ALWAYS_INLINE uint64_t sums_of_32(const shared_u32 *numbers, const shared_u32 *plus,
                                         uint32_t value)
{
    uint64_t which = 0;
    for (unsigned i = 0; i < 32; i++)
        which |=
            (uint64_t)(load_u32(numbers + i) + (plus != NULL ? load_u32(plus + i) : 0) == value)
            << i;
    return which;
}
#endif

/* The same for 64 numbers. Only the first count, at most 64, need be searched. */
static ALWAYS_INLINE uint64_t above_of_64(const shared_u32 *numbers, uint64_t count, uint32_t bound)
{
    uint64_t which = above_of_32(numbers, bound);
    return LIKELY(count <= 32) ? which : which | above_of_32(numbers + 32, bound) << 32;
}

static ALWAYS_INLINE uint64_t sums_of_64(const shared_u32 *numbers, const shared_u32 *plus,
                                         uint64_t count, uint32_t value)
{
    uint64_t which = sums_of_32(numbers, plus, value);
    return LIKELY(count <= 32)
               ? which
               : which | sums_of_32(numbers + 32, plus != NULL ? plus + 32 : NULL, value) << 32;
}

static ALWAYS_INLINE void move_8(shared_u32 *to, const shared_u32 *from)
{
    uint32_t eight[8];
    load_hook_of(from, sizeof eight);
    STORE_HOOK(to);
    memcpy(eight, from, sizeof eight); /* moved unchecked: no value is used */
    memcpy(to, eight, sizeof eight);
}

/* numbers_drop removes the number at place and moves the later ones down. There are count numbers,
 * at most 64, and zeros behind them up to the 64th. */
static ALWAYS_INLINE void numbers_drop(shared_u32 *numbers, uint64_t count, uint64_t place)
{
    for (; place < count && place + 8 < 64; place += 8)
        move_8(numbers + place, numbers + place + 1);
    for (; UNLIKELY(place < count); place++)
        store_u32(numbers + place, place + 1 < 64 ? load_u32(numbers + place + 1) : 0);
}

/* numbers_insert inserts number at place, at most count, and moves the later ones up. count is
 * below 64. */
static ALWAYS_INLINE void numbers_insert(shared_u32 *numbers, uint64_t count, uint64_t place,
                                         uint32_t number)
{
    uint64_t rest = count - place;
    if (LIKELY(count <= 56))
        for (uint64_t at = place + ((rest + 7) & ~(uint64_t)7); at > place; at -= 8)
            move_8(numbers + at - 7, numbers + at - 8);
    else
        for (; count > place; count--)
            store_u32(numbers + count, load_u32(numbers + count - 1));
    store_u32(numbers + place, number);
}

#endif
