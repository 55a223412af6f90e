/* block.h: headers of blocks: reading, checking, split, merge, step. The only file that turns
 * offsets into pointers, and pointers into offsets.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Blocks are named by the granule where their header is. Every change of the list of blocks is one
 * publishing store to one header; what it needs is stored before inside a block, where no walk
 * looks. */
#ifndef SHMHEAP_BLOCK_H
#define SHMHEAP_BLOCK_H

#include "../segment/connection.h"
#include "shmheap.h"

/* struct block is private: a header, taken apart. */
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

static inline uint64_t header_free(uint64_t size)
{
    return size;
} /* SHMHEAP_STATE_FREE, slot and stamp are 0 */
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

/* Free, and nothing but a size in it. */
static inline int header_is_free(uint64_t header) { return header <= HEADER_SIZE_MASK; }

/* A live object: used or shared. */
static inline int header_is_live(uint64_t header)
{
    return header_state(header) - SHMHEAP_STATE_USED <= SHMHEAP_STATE_SHARED - SHMHEAP_STATE_USED;
}

/* The upper half of a header has all but the size, where that is below UPPER_SIZES. Only the lock's
 * owner changes a block's size: a call without the lock either swaps the whole header by a
 * compare-and-swap, or stores the upper half alone. So no such store, however late it comes, puts
 * an old size back, and the walk leads to the end. */
#define UPPER_SIZES (UINT64_C(1) << 32)
#define UPPER_GENERATION_SHIFT (HEADER_GENERATION_SHIFT - 32)

static inline uint32_t header_upper(uint64_t header) { return (uint32_t)(header >> 32); }

/* As header_is_live, of a size below UPPER_SIZES. */
static inline int upper_is_live(uint32_t upper)
{
    const uint32_t used = header_upper((uint64_t)SHMHEAP_STATE_USED << HEADER_STATE_SHIFT);
    const uint32_t mask = header_upper((UINT64_C(1) << HEADER_SLOT_SHIFT) - 1);
    return ((upper - used) & mask & ~used) ==
           0; /* SHMHEAP_STATE_SHARED is twice SHMHEAP_STATE_USED */
}

static inline struct block header_open(uint64_t header)
{
    struct block block = {header_size(header), header_state(header), header_slot(header),
                          header_generation(header)};
    return block;
}

/* The granule must be below connection_end. */
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

/* The granule of the block whose payload begins at ptr; GRANULE_NONE where none can begin. */
static inline uint64_t block_of_pointer(const struct shmheap *heap, const void *ptr)
{
    uint64_t off =
        (uint64_t)((uintptr_t)ptr - (uintptr_t)heap->region) - (REGION_LEAD + HEADER_SIZE);
    uint64_t granule = off >> heap->shift; /* a pointer before the region makes a huge one */
    if (UNLIKELY(granule >= connection_end(heap) || granule << heap->shift != off))
        return GRANULE_NONE;
    return granule;
}

/* Granules of a block for len bytes of payload; 0 when that is more than a heap can have. */
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

/* The size that a block at granule has, if its header is that of a block that may lie there; else
 * 0. */
static inline uint64_t block_size_checked(const struct shmheap *heap, uint64_t granule,
                                          uint64_t header, uint64_t end)
{
    uint64_t size = header_size(header);
    return size >= heap->block_min && size <= end - granule ? size : 0;
}

/* Has the header there fetched meanwhile; any granule may be given. */
static inline void block_fetch(const struct shmheap *heap, uint64_t granule)
{
    prefetch((const void *)((uintptr_t)heap->region + REGION_LEAD +
                            (uintptr_t)(granule << heap->shift)));
}

/* Stores a header inside a block, where no walk sees it. A death here leaves the block as it was.
 * */
static inline void block_prepare(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    store_u64(block_header(heap, granule), header);
}

/* The publishing store. A death before it: nothing happened; after it: it happened, and the index
 * is rebuilt. */
static inline void block_publish(const struct shmheap *heap, uint64_t granule, uint64_t header)
{
    store_publish(block_header(heap, granule), header);
}

/* A publishing store to a live object's header, which its holders may turn from used to shared
 * meanwhile: 1, or 0 when it is no longer what was seen. */
static inline int block_republish(const struct shmheap *heap, uint64_t granule, uint64_t seen,
                                  uint64_t header)
{
    return compare_exchange(block_header(heap, granule), seen, header);
}

/* struct block_step is private: a walk over the truth.
 *   [ block ][ block ]...[ block ] end        bounded: each step is a block_min at least */
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

static inline int header_state_known(uint64_t header)
{
    return header_state(header) <= SHMHEAP_STATE_NAMED;
}

#endif
