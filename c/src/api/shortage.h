/* shortage.h: what an allocation does when the search finds no free block, and how it ends.
 *
 * It grows the region, then reclaims: blocks in threads' caches, and in heaps made with
 * SHMHEAP_REAP the objects of dead processes. Then it searches once more. All calls need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SHORTAGE_H
#define SHMHEAP_SHORTAGE_H

#include "../heap/fit.h"
#include "../recovery/recover.h"
#include "../segment/huge.h"
#include "call.h"

/* ATTEMPT_AGAIN: a waiting thread retries. It may leave the reclaiming to another thread that
 * waits. */
enum attempt { ATTEMPT_FIRST, ATTEMPT_AGAIN };

/* The heap has no room for so many granules, even empty and grown to its maximum. */
static inline int shortage_is_permanent(const struct shmheap *heap, uint64_t need)
{
    return need - 1 >= heap->layout.granules_max;
}

static inline void shortage_count(struct shmheap *heap)
{
    store_add(&heap->control->failed_allocs, 1);
}

/* First fit. On a caching connection best fit, which wastes less: caches choose the places
 * anyhow. */
static inline int64_t fit_many(struct shmheap *heap, uint64_t need, unsigned count,
                               uint64_t *granules)
{
    const struct fit_calls *fit = heap->fit;
    return (connection_caches(heap) ? fit->alloc_best : fit->alloc_many)(
        heap, need, SHMHEAP_STATE_USED, count, granules);
}

static inline int64_t fit_one(struct shmheap *heap, uint64_t need)
{
    uint64_t granule = 0;
    int64_t got = fit_many(heap, need, 1, &granule);
    return got > 0 ? (int64_t)granule : got;
}

/* Reclaims blocks in caches and, as the heap's flags say, objects of dead processes. Returns 1
 * if it freed a block, else 0. Walks over the blocks only where a thread has used its cache, or
 * a process has died, since the last walk. */
int shortage_reclaim(struct shmheap *heap, enum attempt attempt);

/* Grows the region or reclaims, and searches again. Returns a granule, FIT_NONE or FIT_BAD.
 * Counts the failure. errno stays. */
int64_t shortage_alloc(struct shmheap *heap, uint64_t need, enum attempt attempt);

/* shortage_refused is call_refused of an allocation of so many bytes, for which shortage_alloc has
 * found nothing. */
int shortage_refused(enum error_call call, const struct shmheap *heap, size_t bytes);

/* shortage_object is shortage_alloc for an object of so many bytes. It notes the failure. */
int64_t shortage_object(enum error_call call, struct shmheap *heap, size_t bytes);

/* shortage_failed sets errno for a result below 0, and notes it, except FIT_NONE, which
 * shortage_refused has noted. Returns NULL. */
void *shortage_failed(enum error_call call, const struct shmheap *heap, int64_t result);

/* alloc_done unlocks, and returns the new object, or fails. */
static ALWAYS_INLINE void *alloc_done(enum error_call call, struct shmheap *heap, int64_t granule)
{
    heap_unlock(heap);
    if (UNLIKELY(granule < 0))
        return shortage_failed(call, heap, granule);
    huge_touch(heap, (uint64_t)granule);
    return block_payload(heap, (uint64_t)granule);
}

#endif
