/* alloc.c: shmheap_alloc, shmheap_alloc_many, shmheap_calloc, shmheap_aligned_alloc.
 *
 * A connection without caches searches under the lock: alloc_exact. A caching connection takes a
 * block from the thread's cache, without the lock; alloc_not_cached refills the cache.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <string.h>
#include <unistd.h>

#include "../cache/refill.h"
#include "../cache/threads.h"
#include "../heap/grow.h"
#include "../recovery/recover.h"
#include "../segment/huge.h"
#include "shortage.h"

/* Lock held. Takes the size for the note of a failure. */
static COLD int64_t alloc_shortage(enum error_call call, struct shmheap *heap, size_t sz)
{
    int64_t granule = shortage_alloc(heap, block_granules(heap, sz), ATTEMPT_FIRST);
    if (granule == FIT_NONE)
        shortage_refused(call, heap, sz);
    return granule;
}

/* Lock held. cached: the connection caches. */
static ALWAYS_INLINE int64_t alloc_now(struct shmheap *heap, size_t sz, int cached)
{
    uint64_t need = block_granules(heap, sz);
    int64_t granule = UNLIKELY(need == 0) ? FIT_NONE
                      : cached            ? fit_one(heap, need)
                                          : heap->fit->alloc(heap, need);
    return LIKELY(granule != FIT_NONE) ? granule : alloc_shortage(CALL_ALLOC, heap, sz);
}

/* FIT_NONE: shortage_refused has noted the failure. */
static COLD void *alloc_failed(enum error_call call, const struct shmheap *heap, int64_t result)
{
    errno = result != FIT_NO_LOCK ? fit_errno(result) : errno;
    return result != FIT_NONE ? null(call_failed(call, heap)) : NULL;
}

/* Unlocks. */
static ALWAYS_INLINE void *alloc_done(enum error_call call, struct shmheap *heap, int64_t granule)
{
    heap_unlock(heap);
    if (UNLIKELY(granule < 0))
        return alloc_failed(call, heap, granule);
    huge_touch(heap, (uint64_t)granule);
    return block_payload(heap, (uint64_t)granule);
}

/* Not inlined: else shmheap_alloc would save registers for it, which the cached path does not
 * need. */
static NOINLINE void *alloc_exact(struct shmheap *heap, size_t sz)
{
    return LIKELY(heap_lock(heap) == 0) ? alloc_done(CALL_ALLOC, heap, alloc_now(heap, sz, 0))
                                        : alloc_failed(CALL_ALLOC, heap, FIT_NO_LOCK);
}

/* The thread's cache was empty, or belongs to another connection. */
static COLD void *alloc_not_cached(struct shmheap *heap, size_t sz)
{
    uint64_t need = heap->open ? block_granules(heap, sz) : 0;
    struct cache *cache = need != 0 && need < CACHE_SIZES ? cache_of(heap) : NULL;
    void *ptr = NULL;
    if (cache != NULL && cache_is_of(cache, heap)) {
        /* First without settling: each settle makes the next frees find recent empty. */
        ptr = cache_take_near(cache, need);
        ptr = ptr != NULL ? ptr : cache_take_settled(cache, need, sz);
        ptr = ptr != NULL ? ptr : cache_take_near(cache, need);
    }
    if (ptr != NULL)
        return ptr;
    if (heap_lock(heap) != 0)
        return alloc_failed(CALL_ALLOC, heap, FIT_NO_LOCK);
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

/* Allocates up to BATCH objects under one lock. Returns how many, or FIT_NONE, FIT_BAD,
 * FIT_NO_LOCK. */
static int64_t alloc_batch(struct shmheap *heap, size_t sz, unsigned count, void **ptrs)
{
    uint64_t granules[BATCH], need = block_granules(heap, sz);
    if (heap_lock(heap) != 0)
        return FIT_NO_LOCK;
    int64_t got = fit_many(heap, need != 0 ? need : HEADER_SIZE_MASK, count, granules);
    if (got == FIT_NONE) {
        int64_t granule = alloc_shortage(CALL_ALLOC_MANY, heap, sz);
        granules[0] = granule >= 0 ? (uint64_t)granule : 0;
        got = granule >= 0 ? 1 : granule;
    }
    heap_unlock(heap);
    for (int64_t i = 0; i < got; i++)
        ptrs[i] = block_payload(heap, granules[i]);
    if (got > 0)
        huge_touch(heap, granules[got - 1]);
    return got;
}

size_t shmheap_alloc_many(shmheap_memory_handle mem, size_t sz, size_t count, void **ptrs)
{
    struct shmheap *heap = mem.heap;
    size_t got = 0;
    if (!usable(mem) || (ptrs == NULL && count != 0)) {
        call_argument_null(CALL_ALLOC_MANY, mem, ARGUMENT_PTRS);
        return 0;
    }
    while (got < count) {
        unsigned wanted = count - got < BATCH ? (unsigned)(count - got) : BATCH;
        int64_t more = alloc_batch(heap, sz, wanted, ptrs + got);
        if (more < 0) {
            alloc_failed(CALL_ALLOC_MANY, heap, more);
            break;
        }
        got += (size_t)more;
    }
    return got;
}

void *shmheap_calloc(shmheap_memory_handle mem, size_t count, size_t size)
{
    size_t len;
    int overflows = __builtin_mul_overflow(count, size, &len);
    if (overflows)
        len = (size_t)-1; /* which fails as any request that is too large */
    void *ptr = shmheap_alloc(mem, len);
    if (ptr != NULL)
        return memset(ptr, 0, len);
    call_renamed(CALL_CALLOC, NULL);
    return null(overflows && errno == ENOMEM
                    ? call_refused(CALL_CALLOC, mem.heap, ENOMEM, CAUSE_OVERFLOW, count, size)
                    : -1);
}

static int alignment_valid(size_t alignment)
{
    return alignment != 0 && (alignment & (alignment - 1)) == 0 &&
           alignment <= (size_t)sysconf(_SC_PAGESIZE);
}

/* An address with this alignment has it in every process that maps the heap. */
static int alignment_possible(const struct shmheap *heap, size_t alignment)
{
    /* a file is mapped at a page boundary */
    return alignment_valid(alignment) && (heap->has_file || (uintptr_t)heap->base % alignment == 0);
}

static void *alignment_refused(const struct shmheap *heap, size_t alignment)
{
    enum cause cause = alignment_valid(alignment) ? CAUSE_MEMORY_ALIGNMENT : CAUSE_OBJECT_ALIGNMENT;
    return null(
        call_refused(CALL_ALIGNED_ALLOC, heap, EINVAL, cause, alignment, (uintptr_t)heap->base));
}

/* As shortage_is_permanent. The granules before the first aligned address cannot serve the
 * request. */
static int never_fits_aligned(const struct shmheap *heap, uint64_t need, size_t alignment)
{
    uint64_t lost = (uint64_t)(-(uintptr_t)block_payload(heap, 0) & (alignment - 1)) >> heap->shift;
    return shortage_is_permanent(heap, need) || need > heap->layout.granules_max - lost;
}

static int64_t alloc_aligned(struct shmheap *heap, uint64_t need, size_t alignment)
{
    error_forget();
    if (never_fits_aligned(heap, need, alignment)) {
        shortage_count(heap);
        return FIT_NONE;
    }
    int64_t granule = heap->fit->alloc_aligned(heap, need, alignment, 0);
    if (granule == FIT_NONE &&
        grow_for(heap, need + (alignment >> heap->shift) + heap->block_min) == 0)
        granule = heap->fit->alloc_aligned(heap, need, alignment, 0);
    if (granule == FIT_NONE)
        granule = heap->fit->alloc_aligned(heap, need, alignment, 1);
    if (granule == FIT_NONE && shortage_reclaim(heap, ATTEMPT_FIRST))
        granule = heap->fit->alloc_aligned(heap, need, alignment, 1);
    if (granule == FIT_NONE)
        shortage_count(heap);
    return granule;
}

void *shmheap_aligned_alloc(shmheap_memory_handle mem, size_t alignment, size_t size)
{
    struct shmheap *heap = mem.heap;
    if (!usable(mem))
        return null(call_not_open(CALL_ALIGNED_ALLOC));
    if (!alignment_possible(heap, alignment))
        return alignment_refused(heap, alignment);
    if (alignment <= (size_t)1 << heap->shift)
        return call_renamed(CALL_ALIGNED_ALLOC, shmheap_alloc(mem, size));
    if (heap_lock(heap) != 0)
        return alloc_failed(CALL_ALIGNED_ALLOC, heap, FIT_NO_LOCK);
    uint64_t need = block_granules(heap, size);
    int cancel_state = process_cancel_off();
    int64_t granule = alloc_aligned(heap, need, alignment);
    process_cancel_restore(cancel_state);
    if (granule == FIT_NONE)
        shortage_refused(CALL_ALIGNED_ALLOC, heap, size);
    return alloc_done(CALL_ALIGNED_ALLOC, heap, granule);
}
