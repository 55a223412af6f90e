/* vector.h: the greatest of several numbers and which they are, which are above or equal to one, by
 * the instructions that the file is compiled for; and moving them up and down.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signed, since that is what all of them compare; the results are at least 0. */
#ifndef SHMHEAP_VECTOR_H
#define SHMHEAP_VECTOR_H

#include <stddef.h>
#include <string.h>

#include "shared.h"
#if defined(INDEX_AVX2) || defined(INDEX_AVX512)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* All loads of vectors from shared memory are these. */
#if defined(INDEX_AVX512)
static ALWAYS_INLINE __m512i load_16(const shared_u32 *numbers)
{
    load_hook_of(numbers, 64);
    return _mm512_loadu_si512(numbers);
}

/* A mask as a number. Neither by a cast nor by _cvtmask16_u32: gcc 12 may store the 16 bits of the
 * mask on the stack, and load 64 from there. */
static ALWAYS_INLINE uint64_t bits_of(__mmask16 mask)
{
    uint32_t bits;
    __asm__("kmovw %1, %0" : "=r"(bits) : "k"(mask));
    return bits;
}

/* 0 in this place. */
static ALWAYS_INLINE __m512i load_16_without(const shared_u32 *numbers, unsigned without)
{
    load_hook_of(numbers, 64);
    return _mm512_maskz_loadu_epi32((__mmask16) ~(1u << without), numbers);
}
#elif defined(INDEX_AVX2)
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

#if defined(INDEX_AVX2) || defined(INDEX_AVX512) || defined(__SSE2__)
/* The first of them, or 0 if that is less. */
static ALWAYS_INLINE uint32_t at_least_0(__m128i numbers)
{
    int32_t first = _mm_cvtsi128_si32(numbers);
    return first > 0 ? (uint32_t)first : 0;
}
#endif

/* greatest_everywhere has the greatest number in each place, greatest_of is that number, or 0 if it
 * is less. */
#if defined(INDEX_AVX512)
static ALWAYS_INLINE __m512i greatest_everywhere(__m512i most)
{
    most = _mm512_max_epi32(most, _mm512_shuffle_i64x2(most, most, 0x4e));
    most = _mm512_max_epi32(most, _mm512_shuffle_i64x2(most, most, 0xb1));
    most = _mm512_max_epi32(most, _mm512_shuffle_epi32(most, _MM_PERM_BADC));
    return _mm512_max_epi32(most, _mm512_shuffle_epi32(most, _MM_PERM_CDAB));
}

static ALWAYS_INLINE uint32_t greatest_of(__m512i numbers)
{
    return at_least_0(_mm512_castsi512_si128(greatest_everywhere(numbers)));
}
#elif defined(INDEX_AVX2)
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

#if defined(INDEX_AVX2) && !defined(INDEX_AVX512)
/* Which of 32 numbers are those of one, as bits. */
static ALWAYS_INLINE uint32_t equal_of_32(__m256i a, __m256i b, __m256i c, __m256i d, __m256i one)
{
    /* Packing goes by halves of a vector: what belongs together comes apart, four bytes each. */
    const __m256i order = _mm256_set_epi32(7, 3, 6, 2, 5, 1, 4, 0);
    __m256i low = _mm256_packs_epi32(_mm256_cmpeq_epi32(a, one), _mm256_cmpeq_epi32(b, one));
    __m256i high = _mm256_packs_epi32(_mm256_cmpeq_epi32(c, one), _mm256_cmpeq_epi32(d, one));
    return (uint32_t)_mm256_movemask_epi8(
        _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
}
#endif

#if !defined(INDEX_AVX2) && !defined(INDEX_AVX512) && defined(__SSE2__)
/* Which of 16 are all ones, of numbers that else are 0. */
static ALWAYS_INLINE unsigned ones_of_16(__m128i a, __m128i b, __m128i c, __m128i d)
{
    return (unsigned)_mm_movemask_epi8(
        _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d)));
}
#endif

/* Which of 16 numbers are above bound, as bits. */
static ALWAYS_INLINE unsigned above_of_16(const shared_u32 *numbers, uint32_t bound)
{
#if defined(INDEX_AVX512)
    return (unsigned)bits_of(
        _mm512_cmpgt_epi32_mask(load_16(numbers), _mm512_set1_epi32((int)bound)));
#elif defined(INDEX_AVX2)
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

/* Which of 32 numbers, with their partners in plus (NULL: by themselves), are value, as bits. */
#if defined(INDEX_AVX512)
static ALWAYS_INLINE __m512i sum_of_16(const shared_u32 *numbers, const shared_u32 *plus)
{
    __m512i all = load_16(numbers);
    return plus != NULL ? _mm512_add_epi32(all, load_16(plus)) : all;
}

static ALWAYS_INLINE uint64_t sums_of_32(const shared_u32 *numbers, const shared_u32 *plus,
                                         uint32_t value)
{
    const __m512i one = _mm512_set1_epi32((int)value);
    return bits_of(_mm512_cmpeq_epi32_mask(sum_of_16(numbers, plus), one)) |
           bits_of(_mm512_cmpeq_epi32_mask(sum_of_16(numbers + 16, plus != NULL ? plus + 16 : NULL),
                                           one))
               << 16;
}
#elif defined(INDEX_AVX2)
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

/* Both of 64 numbers, of which only the first count, at most 64, need be looked at. */
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
    STORE_HOOK();
    memcpy(eight, from, sizeof eight); /* copied, not looked at */
    memcpy(to, eight, sizeof eight);
}

/* Of count numbers, at most 64, behind which there are zeros up to the 64th, the one in this place
 * goes, and those behind come down. */
static ALWAYS_INLINE void numbers_drop(shared_u32 *numbers, uint64_t count, uint64_t place)
{
    for (; place < count && place + 8 < 64; place += 8)
        move_8(numbers + place, numbers + place + 1);
    for (; UNLIKELY(place < count); place++)
        store_u32(numbers + place, place + 1 < 64 ? load_u32(numbers + place + 1) : 0);
}

/* The same, less than 64, and another comes to this place, at most count: those there and behind go
 * up. */
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
