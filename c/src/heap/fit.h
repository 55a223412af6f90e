/* fit.h: first fit, exactly, on the list of blocks and its index. No lock, no system call: the caller holds the lock.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Of all free blocks that are large enough the one of lowest address is used; what it has too much stays free; free
 * neighbours merge at once. All headers and positions that an operation relies on are checked before its
 * publishing store; where they contradict each other the result is FIT_BAD and nothing has changed. */
#ifndef SHMHEAP_FIT_H
#define SHMHEAP_FIT_H

#include "../block/bits.h"

/* Results below 0; 0 and above are granules, or success. */
enum { FIT_NONE = -1, FIT_BAD = -2, FIT_UNKNOWN = -3 };

/* struct fit_calls is private: first fit as compiled for a processor. */
struct fit_calls {
    /* Makes a used block of need granules or a few more: its granule, FIT_NONE or FIT_BAD. */
    int64_t (*alloc)(struct shmheap *heap, uint64_t need);
    /* The same with the payload at a multiple of alignment, a power of two above the heap's own. exhaustive: also in
     * a block that does not suffice in any case. */
    int64_t (*alloc_aligned)(struct shmheap *heap, uint64_t need, uint64_t alignment,
                             int exhaustive);
    /* Frees the live object at granule: 0, FIT_UNKNOWN (there is none), FIT_BAD. */
    int (*free)(struct shmheap *heap, uint64_t granule);
    /* Makes up to count blocks in this state, each where alloc would have put it: how many, their granules in order of making;
     * FIT_NONE or FIT_BAD when there is not even one. */
    int64_t (*alloc_many)(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                          uint64_t *granules);
    /* The same, not where first fit would put them, but each in the lowest of the smallest free blocks with room: for connections that
     * cache. Of free blocks longer than 63 granules the lowest with room. */
    int64_t (*alloc_best)(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                          uint64_t *granules);
    /* Frees a span that the caller has found to be this many whole blocks, none of them free: 0, FIT_BAD. */
    int (*free_span)(struct shmheap *heap, uint64_t granule, uint64_t size, unsigned blocks);
    /* Makes the live object at granule need granules long in place: 0, FIT_NONE (no room behind it, nothing
     * changed), FIT_UNKNOWN, FIT_BAD. */
    int (*resize)(struct shmheap *heap, uint64_t granule, uint64_t need);
};
extern const struct fit_calls fit_calls_portable __attribute__((visibility("hidden")));
extern const struct fit_calls fit_calls_avx2 __attribute__((visibility("hidden")));

/* fit_place is where the call alloc would put a block of need granules; GRANULE_NONE: nowhere. */
uint64_t fit_place(const struct shmheap *heap, uint64_t need);

/* fit_format makes the region one free block, in memory that is all zero. */
void fit_format(struct shmheap *heap);

/* fit_extend adds the granules from end to new_end, which is behind the region's end for all others yet. len: the region's
 * new length, published here. 0 or FIT_BAD. */
int fit_extend(struct shmheap *heap, uint64_t len, uint64_t new_end);

#endif
