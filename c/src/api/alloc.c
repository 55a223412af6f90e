/* alloc.c: shmheap_alloc.
 *
 * A connection without caches searches under the lock: alloc_exact. A caching connection takes a
 * block from the thread's cache, without the lock; alloc_not_cached refills the cache.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../cache/refill.h"
#include "../cache/threads.h"
#include "../recovery/recover.h"
#include "../segment/huge.h"
#include "shortage.h"

/* Lock held. cached: the connection caches. */
static ALWAYS_INLINE int64_t alloc_now(struct shmheap *heap, size_t sz, int cached)
{
    uint64_t need = block_granules(heap, sz);
    int64_t granule = UNLIKELY(need == 0) ? FIT_NONE
                      : cached            ? fit_one(heap, need)
                                          : heap->fit->alloc(heap, need);
    return LIKELY(granule != FIT_NONE) ? granule : shortage_object(CALL_ALLOC, heap, sz);
}

/* Not inlined: else shmheap_alloc would save registers for it, which the cached path does not
 * need. */
static NOINLINE void *alloc_exact(struct shmheap *heap, size_t sz)
{
    return LIKELY(heap_lock(heap) == 0) ? alloc_done(CALL_ALLOC, heap, alloc_now(heap, sz, 0))
                                        : shortage_failed(CALL_ALLOC, heap, FIT_NO_LOCK);
}

/* The thread's cache was empty, or belongs to another connection. */
static COLD void *alloc_not_cached(struct shmheap *heap, size_t sz)
{
    uint64_t need = heap->open ? block_granules(heap, sz) : 0;
    struct cache *cache = need != 0 && need < CACHE_SIZES ? cache_of(heap) : NULL;
    void *ptr = NULL;
    if (cache != NULL && cache_is_of(cache, heap)) {
        /* First without settling, which empties the ring of recently freed blocks. */
        ptr = cache_take_near(cache, need);
        ptr = ptr != NULL ? ptr : cache_take_settled(cache, need, sz);
        ptr = ptr != NULL ? ptr : cache_take_near(cache, need);
    }
    if (ptr != NULL)
        return ptr;
    if (heap_lock(heap) != 0)
        return shortage_failed(CALL_ALLOC, heap, FIT_NO_LOCK);
    if (cache != NULL && cache_is_of(cache, heap) && cache_fill(cache, heap, need) &&
        (ptr = cache_take(cache, sz)) != NULL) {
        heap_unlock(heap);
        huge_touch(heap, block_of_pointer(heap, ptr));
        return ptr;
    }
    int64_t granule = alloc_now(heap, sz, 1);
    if (granule >= 0 && cache != NULL && !cache_is_of(cache, heap))
        cache_start_if_room(cache, heap);
    return alloc_done(CALL_ALLOC, heap, granule);
}

void *shmheap_alloc(shmheap_memory_handle mem, size_t sz)
{
    struct shmheap *heap = mem.heap;
    struct cache *cache = cache_mine;
    if (cache_is_of(cache, heap)) {
        void *ptr = cache_take(cache, sz);
        return LIKELY(ptr != NULL) ? ptr : alloc_not_cached(heap, sz);
    }
    return heap_has_caches(heap) ? alloc_not_cached(heap, sz) : alloc_exact(heap, sz);
}
