/* bits.h: two bits for each granule: where blocks start, and where free blocks begin and end.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   blocks    [ A ][ free ][ B  ][f][ C ]
 *   start     1    1       1     1  1        the first granule of each block
 *   boundary       1    1        1           the first and the last granule of each free block
 *
 * While the free blocks are in the free list, all boundary bits are 0 (free_set.h).
 *
 * Both are derived from the headers, and recovery rebuilds them: a death between two stores here
 * costs a walk. A peer may write anything into them. So a caller checks each granule that it reads
 * off the bits against the region's end, and trusts the header there alone.
 *
 * All functions need the lock, except bits_is_start and bits_live_header. */
#ifndef SHMHEAP_BITS_H
#define SHMHEAP_BITS_H

#include "block.h"
#include "run_masks.h"

#define SPAN_FAR 65u /* a span of more than 64 granules, the most that two words of bits can tell */

/* The position of the lowest set bit, and how many bits lie above the highest; 64 for word 0.
 * INDEX_AVX2: heap/fit_avx2.c includes this file (heap/fit.h). */
#if defined(INDEX_AVX2)
static inline unsigned bit_lowest_or_64(uint64_t word)
{
    return (unsigned)__builtin_ia32_tzcnt_u64(word);
}
static inline unsigned bits_above_or_64(uint64_t word)
{
    return (unsigned)__builtin_ia32_lzcnt_u64(word);
}
#else
static inline unsigned bit_lowest_or_64(uint64_t word)
{
    return word != 0 ? (unsigned)__builtin_ctzll(word) : 64u;
}
static inline unsigned bits_above_or_64(uint64_t word)
{
    return word != 0 ? (unsigned)__builtin_clzll(word) : 64u;
}
#endif

static inline uint64_t chunk_of(uint64_t granule) { return granule / CHUNK_GRANULES; }

/* The bit of a granule in the word of its chunk, and likewise of a chunk in its word of a bin. */
static inline uint64_t bit_of(uint64_t granule) { return UINT64_C(1) << granule % CHUNK_GRANULES; }

/* The bits below that bit. */
static inline uint64_t bits_below(uint64_t granule) { return bit_of(granule) - 1; }

static inline int bits_is_start(const struct shmheap *heap, uint64_t granule)
{
    return (load_acquire(&heap->bits[chunk_of(granule)].start) >> granule % CHUNK_GRANULES) & 1;
}

/* The header of the live object at granule; 0: there is none. Needs no lock. */
static inline uint64_t bits_live_header(const struct shmheap *heap, uint64_t granule)
{
    if (UNLIKELY(!bits_is_start(heap, granule)))
        return 0;
    uint64_t header = block_load(heap, granule);
    return LIKELY(header_is_live(header)) ? header : 0;
}

static inline int bits_is_boundary(const struct shmheap *heap, uint64_t granule)
{
    return (load_u64(&heap->bits[chunk_of(granule)].boundary) >> granule % CHUNK_GRANULES) & 1;
}

static inline int bits_is_free_start(const struct shmheap *heap, uint64_t granule)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    return ((load_u64(&bits->start) & load_u64(&bits->boundary)) >> granule % CHUNK_GRANULES) & 1;
}

/* Only the lock owner changes the bits. Threads without the lock read start words, so each change
 * of one is a single store. */
static inline void start_set(const struct shmheap *heap, uint64_t granule)
{
    store_or(&heap->bits[chunk_of(granule)].start, bit_of(granule));
}

static inline void start_clear(const struct shmheap *heap, uint64_t granule)
{
    store_and(&heap->bits[chunk_of(granule)].start, ~bit_of(granule));
}

/* Clears the start bits of [ from, to ). */
void starts_clear(const struct shmheap *heap, uint64_t from, uint64_t to);

/* The _if forms have no branch: they store the word unchanged where the condition is 0. */
static inline void boundary_set_if(const struct shmheap *heap, uint64_t granule, int condition)
{
    store_or(&heap->bits[chunk_of(granule)].boundary, (uint64_t)(condition != 0)
                                                          << granule % CHUNK_GRANULES);
}

static inline void boundary_clear_if(const struct shmheap *heap, uint64_t granule, int condition)
{
    store_and(&heap->bits[chunk_of(granule)].boundary,
              ~((uint64_t)(condition != 0) << granule % CHUNK_GRANULES));
}

static inline void boundary_set(const struct shmheap *heap, uint64_t granule)
{
    boundary_set_if(heap, granule, 1);
}
static inline void boundary_clear(const struct shmheap *heap, uint64_t granule)
{
    boundary_clear_if(heap, granule, 1);
}

/* Granules from this bit of a chunk to the next start bit behind it: 1 to 64, or SPAN_FAR. starts,
 * next: the start words of the chunk and of the one behind it. */
static ALWAYS_INLINE unsigned span_of(uint64_t starts, uint64_t next, unsigned bit)
{
    return bit_lowest_or_64(starts >> bit >> 1 | next << (63 - bit)) + 1;
}

/* span_of the granule. */
static ALWAYS_INLINE unsigned bits_span(const struct shmheap *heap, uint64_t granule)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    return span_of(load_u64(&bits[0].start), load_u64(&bits[1].start), granule % CHUNK_GRANULES);
}

/* Granules from the last start before this granule, which is not 0, up to it: 1 to 64, or
 * SPAN_FAR. */
static ALWAYS_INLINE unsigned bits_span_back(const struct shmheap *heap, uint64_t granule)
{
    uint64_t chunk = chunk_of(granule);
    unsigned bit = granule % CHUNK_GRANULES;
    uint64_t starts = load_u64(&heap->bits[chunk].start),
             before = load_u64(&heap->bits[chunk - (chunk != 0)].start);
    return bits_above_or_64(starts << (63 - bit) << 1 | before >> bit) + 1;
}

/* bits_size where the span is SPAN_FAR: up to the next start, if one lies in the next chunk; else
 * the size in the header. */
uint64_t bits_size_far(const struct shmheap *heap, uint64_t granule, uint64_t header);

/* The size of the block at granule, read off the start bits, or off the header where they do not
 * tell. Code that uses the size need not wait for the header to come from memory. The caller still
 * compares it with the header. */
static ALWAYS_INLINE uint64_t bits_size(const struct shmheap *heap, uint64_t granule,
                                        uint64_t header)
{
    unsigned span = bits_span(heap, granule);
    return LIKELY(span != SPAN_FAR) ? span : bits_size_far(heap, granule, header);
}

/* bits_size, where the header agrees and the block ends within the region; else 0. */
static inline uint64_t bits_size_checked(const struct shmheap *heap, uint64_t granule,
                                         uint64_t header)
{
    uint64_t size = bits_size(heap, granule, header);
    return opaque_copy(size) == header_size(header) && size - 1 < heap->end - granule ? size : 0;
}

#endif
