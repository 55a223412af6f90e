/* block.h: the headers of blocks, and the way from one block to the next.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A block is named by its granule: the one where its header lies. This file alone turns granules
 * into pointers and pointers into granules.
 *
 * Each change of the sequence of blocks is one store to one header, the publishing store. All
 * headers that it needs are stored before, inside a block, where no walk looks:
 *
 *   [ from            ]          the header of rest is prepared inside from, which is still free
 *   [ USED ][ rest    ]          the store to from's header publishes both blocks
 *
 * A death before the publishing store leaves the old blocks; a death after it leaves the new
 * ones. */
#ifndef SHMHEAP_BLOCK_H
#define SHMHEAP_BLOCK_H

#include "../segment/connection.h"
#include "shmheap.h"

/* struct block is a header, taken apart. */
struct block {
    uint64_t size; /* granules */
    unsigned state, slot, generation;
};

static inline uint64_t header_make(uint64_t size, unsigned state, unsigned slot,
                                   unsigned generation)
{
    return size | (uint64_t)state << HEADER_STATE_SHIFT | (uint64_t)slot << HEADER_SLOT_SHIFT |
           (uint64_t)generation << HEADER_GENERATION_SHIFT;
}

/* In a free header the state (SHMHEAP_STATE_FREE), the slot and the generation are 0. */
static inline uint64_t header_free(uint64_t size) { return size; }
static inline uint64_t header_size(uint64_t header) { return header & HEADER_SIZE_MASK; }
static inline unsigned header_state(uint64_t header)
{
    return (unsigned)(header >> HEADER_STATE_SHIFT) & HEADER_STATE_MASK;
}
static inline unsigned header_slot(uint64_t header)
{
    return (unsigned)(header >> HEADER_SLOT_SHIFT) & HEADER_SLOT_MASK;
}
static inline unsigned header_generation(uint64_t header)
{
    return (unsigned)(header >> HEADER_GENERATION_SHIFT);
}

/* 1 where the header is that of a free block: a size and nothing else. */
static inline int header_is_free(uint64_t header) { return header <= HEADER_SIZE_MASK; }

/* 1 where the block is a live object: used or shared. */
static inline int header_is_live(uint64_t header)
{
    return header_state(header) - SHMHEAP_STATE_USED <= SHMHEAP_STATE_SHARED - SHMHEAP_STATE_USED;
}

/* The upper half of a header holds all but the size, where the size is below UPPER_SIZES. Only the
 * lock owner changes a block's size. A call without the lock changes a header by a
 * compare-exchange of the whole word or by a store to the upper half. So a late store of such a
 * call cannot bring back an old size, and the walk still reaches the end. */
#define UPPER_SIZES (UINT64_C(1) << 32)
#define UPPER_GENERATION_SHIFT (HEADER_GENERATION_SHIFT - 32)

static inline uint32_t header_upper(uint64_t header) { return (uint32_t)(header >> 32); }

/* header_is_live of a header whose size is below UPPER_SIZES. */
static inline int upper_is_live(uint32_t upper)
{
    const uint32_t used = header_upper((uint64_t)SHMHEAP_STATE_USED << HEADER_STATE_SHIFT);
    const uint32_t mask = header_upper((UINT64_C(1) << HEADER_SLOT_SHIFT) - 1);
    /* SHMHEAP_STATE_SHARED is twice SHMHEAP_STATE_USED. */
    return ((upper - used) & mask & ~used) == 0;
}

static inline struct block header_open(uint64_t header)
{
    struct block block = {header_size(header), header_state(header), header_slot(header),
                          header_generation(header)};
    return block;
}

/* The granule is below connection_end. */
static inline shared_u64 *block_header(const struct shmheap *heap, uint64_t granule)
{
    return (shared_u64 *)(void *)(heap->region + REGION_LEAD + (granule << heap->shift));
}

static inline uint64_t block_payload_off(const struct shmheap *heap, uint64_t granule)
{
    return REGION_LEAD + HEADER_SIZE + (granule << heap->shift);
}

static inline void *block_payload(const struct shmheap *heap, uint64_t granule)
{
    return heap->region + block_payload_off(heap, granule);
}

static inline uint64_t block_payload_len(const struct shmheap *heap, uint64_t size)
{
    return (size << heap->shift) - HEADER_SIZE;
}

#define GRANULE_NONE UINT64_MAX

/* The granule of the block whose payload begins at ptr; GRANULE_NONE: no payload can begin
 * there. */
static inline uint64_t block_of_pointer(const struct shmheap *heap, const void *ptr)
{
    uint64_t off =
        (uint64_t)((uintptr_t)ptr - (uintptr_t)heap->region) - (REGION_LEAD + HEADER_SIZE);
    uint64_t granule = off >> heap->shift; /* huge where ptr lies before the region */
    if (UNLIKELY(granule >= connection_end(heap) || granule << heap->shift != off))
        return GRANULE_NONE;
    return granule;
}

/* The first granule from this one on at which a block's payload is aligned and the gap before it is
 * empty or long enough for a block. alignment: a power of two above the heap's own. */
static inline uint64_t block_align(const struct shmheap *heap, uint64_t granule, uint64_t alignment)
{
    /* By address, not offset: the caller has checked that both agree in every mapping. */
    uint64_t address = (uint64_t)(uintptr_t)block_payload(heap, granule);
    uint64_t gap = (round_up(address, alignment) - address) >> heap->shift;
    if (gap != 0 && gap < heap->block_min)
        gap += alignment >> heap->shift;
    return granule + gap;
}

/* Granules of a block for len bytes of payload; 0: no heap can have so many. */
static inline uint64_t block_granules(const struct shmheap *heap, size_t len)
{
    if (UNLIKELY(len > (size_t)-1 / 2))
        return 0;
    uint64_t size = ((uint64_t)len + HEADER_SIZE + (UINT64_C(1) << heap->shift) - 1) >> heap->shift;
    return size < heap->block_min ? heap->block_min : size;
}

static inline uint64_t block_load(const struct shmheap *heap, uint64_t granule)
{
    return load_acquire(block_header(heap, granule));
}

/* The size in the header, if a block of that size can lie at granule; else 0. */
static inline uint64_t block_size_checked(const struct shmheap *heap, uint64_t granule,
                                          uint64_t header, uint64_t end)
{
    uint64_t size = header_size(header);
    return size >= heap->block_min && size <= end - granule ? size : 0;
}

/* Prefetches the header at granule, which may be any number. */
static inline void block_fetch(const struct shmheap *heap, uint64_t granule)
{
    prefetch((const void *)((uintptr_t)heap->region + REGION_LEAD +
                            (uintptr_t)(granule << heap->shift)));
}

/* Stores a header inside a block, where no walk reads it. A death here leaves that block as it
 * is. */
static inline void block_prepare(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    store_u64(block_header(heap, granule), header);
}

/* The publishing store. A death before it leaves the old blocks. A death after it leaves the new
 * blocks and an old index, which recovery rebuilds. */
static inline void block_publish(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    store_publish(block_header(heap, granule), header);
}

/* The publishing store to a live object's header, which a peer may turn from used to shared
 * meanwhile. 1, or 0 where the header is no longer what was seen. */
static inline int block_republish(const struct shmheap *heap, uint64_t granule, uint64_t seen,
                                  uint64_t header)
{
    return compare_exchange(block_header(heap, granule), seen, header);
}

/* struct block_step is a walk over the headers.
 *   [ block ][ block ]...[ block ] end
 * It ends: each step is at least block_min granules long. */
struct block_step {
    uint64_t granule, header, size;
};

enum block_walk { BLOCK_WALK_BLOCK, BLOCK_WALK_END, BLOCK_WALK_BAD };

static inline enum block_walk block_walk_at(const struct shmheap *heap, struct block_step *step,
                                            uint64_t end)
{
    if (step->granule >= end)
        return BLOCK_WALK_END;
    step->header = block_load(heap, step->granule);
    step->size = block_size_checked(heap, step->granule, step->header, end);
    return step->size != 0 ? BLOCK_WALK_BLOCK : BLOCK_WALK_BAD;
}

static inline void block_walk_next(struct block_step *step) { step->granule += step->size; }

/* 1 where the state is one of the format's. */
static inline int header_state_known(uint64_t header)
{
    return header_state(header) <= SHMHEAP_STATE_NAMED;
}

/* struct free_block is a free block as the free set reports it. size 0: there is none at
 * granule. The last two members spare the set a search when it takes the block out. */
enum others { OTHERS_NONE, OTHERS_SOME, OTHERS_UNKNOWN };
struct free_block {
    uint64_t granule, size;
    uint64_t place;     /* in the free list; LIST_MAX: it is not in the list */
    int lowest;         /* 1: no block of its size begins in an earlier chunk */
    enum others others; /* whether other blocks of its size begin in its chunk */
};

static ALWAYS_INLINE struct free_block free_block_none(uint64_t granule)
{
    struct free_block block = {granule, 0, LIST_MAX, 1, OTHERS_UNKNOWN};
    return block;
}

/* [ before ]|granule   Fills in the free block of this size that ends before granule. 1, or 0 where
 * the header is not that of such a block. */
static ALWAYS_INLINE int free_block_before(const struct shmheap *heap, uint64_t granule,
                                           uint64_t size, struct free_block *before)
{
    if (UNLIKELY(size > granule))
        return 0;
    before->size = size;
    before->granule = granule - size;
    return LIKELY(block_load(heap, before->granule) == header_free(opaque_copy(size)));
}

/* 1 where the header is that of the free block, which ends within the region, and at its end if and
 * only if it is the top block. */
static ALWAYS_INLINE int free_block_is_sound(const struct shmheap *heap,
                                             const struct free_block *block, uint64_t header,
                                             uint64_t top)
{
    uint64_t granule = block->granule, size = block->size, end = heap->end;
    return header == header_free(opaque_copy(size)) && size - 1 < end - granule &&
           (granule + size == end) == (granule == top);
}

#endif
