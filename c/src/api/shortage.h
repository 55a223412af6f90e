/* shortage.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SHORTAGE_H
#define SHMHEAP_SHORTAGE_H

#include "../heap/fit.h"

enum attempt {
    ATTEMPT_FIRST,
    ATTEMPT_AGAIN
}; /* ATTEMPT_AGAIN: of a thread that waits for space, which may leave asking to another one's look */

/* Not even an empty heap that has grown to its end has room for so many granules. */
static inline int shortage_is_permanent(const struct shmheap *heap, uint64_t need)
{
    return need - 1 >= heap->layout.granules_max;
}

/* Lock held. */
static inline void shortage_count(struct shmheap *heap)
{
    store_add(&heap->control->failed_allocs, 1);
}

/* By first fit, or where caches decide anyhow by best fit, which wastes less room. Lock held. */
static inline int64_t fit_many(struct shmheap *heap, uint64_t need, unsigned count,
                               uint64_t *granules)
{
    const struct fit_calls *fit = heap->fit;
    return (heap->cached ? fit->alloc_best : fit->alloc_many)(heap, need, SHMHEAP_STATE_USED, count,
                                                              granules);
}

static inline int64_t fit_one(struct shmheap *heap, uint64_t need)
{
    uint64_t granule = 0;
    int64_t got = fit_many(heap, need, 1, &granule);
    return got > 0 ? (int64_t)granule : got;
}

/* XXX */
int shortage_reclaim(struct shmheap *heap, enum attempt attempt);

/* XXX */
int64_t shortage_alloc(struct shmheap *heap, uint64_t need, enum attempt attempt);

#endif
