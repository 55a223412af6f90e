/* bits.h: the two bit planes of the granules: where blocks start, and the edges of free blocks.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   start  1...1.......1......    blocks begin here
 *   edge   ....1......1.......    first and last granules of free blocks (a block of one granule: one bit)
 *
 * Derived: nothing here is believed, and everything can be rebuilt from the headers (recover). A granule that comes out of
 * here is checked against the region, and its header decides. All but index_is_start is called under the lock. */
#ifndef SHMHEAP_BITS_H
#define SHMHEAP_BITS_H

#include "block.h"

#define SPAN_FAR 65u /* more than the 64 granules that are looked at */

static inline uint64_t chunk_of(uint64_t granule) { return granule / CHUNK_GRANULES; }
static inline uint64_t bit_of(uint64_t granule) { return UINT64_C(1) << granule % CHUNK_GRANULES; }

/* Bits below a granule's own in its chunk. */
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

static inline int index_is_boundary(const struct shmheap *heap, uint64_t granule)
{
    return (load_u64(&heap->bits[chunk_of(granule)].boundary) >> granule % CHUNK_GRANULES) & 1;
}

static inline int index_is_free_start(const struct shmheap *heap, uint64_t granule)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    return ((load_u64(&bits->start) & load_u64(&bits->boundary)) >> granule % CHUNK_GRANULES) & 1;
}

/* Only the lock's owner changes the planes; a word that readers look at is replaced in one store. */
static inline void start_set(const struct shmheap *heap, uint64_t granule)
{
    store_or(&heap->bits[chunk_of(granule)].start, bit_of(granule));
}

static inline void start_clear(const struct shmheap *heap, uint64_t granule)
{
    store_and(&heap->bits[chunk_of(granule)].start, ~bit_of(granule));
}

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

/* Granules from the one at this bit of a chunk to the next start behind it, 1 to 64, or SPAN_FAR; the start bits of that chunk and the next. */
static ALWAYS_INLINE unsigned span_of(uint64_t starts, uint64_t next, unsigned bit)
{
    return bit_lowest_or_64(starts >> bit >> 1 | next << (63 - bit)) + 1;
}

/* The same of a granule. */
static ALWAYS_INLINE unsigned index_span(const struct shmheap *heap, uint64_t granule)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    return span_of(load_u64(&bits[0].start), load_u64(&bits[1].start), granule % CHUNK_GRANULES);
}

/* Granules back from this one, which is not 0, to the last start before it, 1 to 64, or SPAN_FAR. */
static ALWAYS_INLINE unsigned index_span_back(const struct shmheap *heap, uint64_t granule)
{
    uint64_t chunk = chunk_of(granule);
    unsigned bit = granule % CHUNK_GRANULES;
    uint64_t starts = load_u64(&heap->bits[chunk].start),
             before = load_u64(&heap->bits[chunk - (chunk != 0)].start);
    return bits_above_or_64(starts << (63 - bit) << 1 | before >> bit) + 1;
}

/* Where the next block begins, up to the end of the next chunk; else what the header says. */
uint64_t index_size_far(const struct shmheap *heap, uint64_t granule, uint64_t header);

/* The size of the block at granule: up to where the next one begins, or else by its header. What depends on it need not wait for
 * the header to come from memory; the header has to be compared all the same. */
static ALWAYS_INLINE uint64_t index_size(const struct shmheap *heap, uint64_t granule,
                                         uint64_t header)
{
    unsigned span = index_span(heap, granule);
    return LIKELY(span != SPAN_FAR) ? span : index_size_far(heap, granule, header);
}

/* The same where the header says so too, and the block ends within the region; else 0. */
static inline uint64_t index_size_checked(const struct shmheap *heap, uint64_t granule,
                                          uint64_t header)
{
    uint64_t size = index_size(heap, granule, header);
    return opaque_copy(size) == header_size(header) && size - 1 < heap->end - granule ? size : 0;
}

#endif
