/* fit.h: exact first fit on the sequence of blocks and its index: the interface.
 * SPDX-License-Identifier: Apache-2.0
 *
 * first_fit.h says how alloc and free work. The caller holds the lock, except in fit_format, when
 * no other process knows the heap. No call here takes a lock or makes a system call.
 *
 * First fit is compiled twice, since AVX2 saves instructions (README.md):
 *
 *   fit_portable.c  -- includes --> first_fit.h, carve.h, aligned.h, resize.h
 *   fit_avx2.c      -- includes --> the same files, with INDEX_AVX2 defined
 *
 * So both compile the static functions of the headers below (block/bits.h, base/vector.h and those
 * of free_set), which have branches for INDEX_AVX2. Each variant ends in a table of calls, and
 * heap->fit is the table that suits the processor (fit_choose.h). */
#ifndef SHMHEAP_FIT_H
#define SHMHEAP_FIT_H

#include "../block/bits.h"

/* Results below 0. Results from 0 on are granules, counts, or success. FIT_NONE: no room. FIT_BAD:
 * headers or index contradict each other. FIT_UNKNOWN: no live object begins there. None of them
 * has changed anything. */
enum { FIT_NONE = -1, FIT_BAD = -2, FIT_UNKNOWN = -3 };

/* struct fit_calls is first fit as compiled for a processor (fit_choose.h). */
struct fit_calls {
    /* alloc makes a used block of need granules or a few more, in the lowest free block with room.
     * Returns its granule, FIT_NONE or FIT_BAD. */
    int64_t (*alloc)(struct shmheap *heap, uint64_t need);
    /* alloc_aligned is alloc with the payload at a multiple of alignment, a power of two above the
     * heap's own. It takes the lowest free block that has room wherever it begins; exhaustive: the
     * lowest one in which the object happens to fit. */
    int64_t (*alloc_aligned)(struct shmheap *heap, uint64_t need, uint64_t alignment,
                             int exhaustive);
    /* free frees the live object at granule. Returns 0, FIT_UNKNOWN or FIT_BAD. */
    int (*free)(struct shmheap *heap, uint64_t granule);
    /* alloc_many makes up to count blocks in this state, each where alloc would put it, and stores
     * their granules in order. Returns how many; FIT_NONE or FIT_BAD: not one. */
    int64_t (*alloc_many)(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                          uint64_t *granules);
    /* alloc_best is alloc_many, but each block comes from the lowest of the smallest free blocks
     * with room: for connections that cache. Free blocks of 64 granules and more count as equally
     * small. */
    int64_t (*alloc_best)(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                          uint64_t *granules);
    /* free_span frees a span of so many whole blocks, none of them free, as the caller has found.
     * Returns 0 or FIT_BAD. */
    int (*free_span)(struct shmheap *heap, uint64_t granule, uint64_t size, unsigned blocks);
    /* resize makes the live object at granule need granules long in its place, or a few more.
     * Returns 0, FIT_NONE (no room behind it), FIT_UNKNOWN or FIT_BAD. */
    int (*resize)(struct shmheap *heap, uint64_t granule, uint64_t need);
};
extern const struct fit_calls fit_calls_portable __attribute__((visibility("hidden")));
extern const struct fit_calls fit_calls_avx2 __attribute__((visibility("hidden")));

/* fit_place returns the granule where alloc would put a block of need granules; GRANULE_NONE: there
 * is no room. */
uint64_t fit_place(const struct shmheap *heap, uint64_t need);

/* fit_format makes the region one free block. The memory is all zero. */
void fit_format(struct shmheap *heap);

/* fit_extend adds the granules from heap->end to new_end to the region, and publishes len, its new
 * length in bytes. Returns 0 or FIT_BAD. */
int fit_extend(struct shmheap *heap, uint64_t len, uint64_t new_end);

#endif
