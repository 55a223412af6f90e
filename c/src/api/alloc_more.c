/* alloc_more.c: the allocations beside shmheap_alloc: many, cleared, aligned, and waiting.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <string.h>
#include <unistd.h>

#include "../free_set/index.h"
#include "../heap/grow.h"
#include "../process/wait.h"
#include "../recovery/recover.h"
#include "shortage.h"

/* Many, cleared -------------------------------------------------------------------------------- */

/* Allocates up to BATCH objects under one lock. Returns how many, or FIT_NONE, FIT_BAD,
 * FIT_NO_LOCK. */
static int64_t alloc_batch(struct shmheap *heap, size_t sz, unsigned count, void **ptrs)
{
    uint64_t granules[BATCH], need = block_granules(heap, sz);
    if (heap_lock(heap) != 0)
        return FIT_NO_LOCK;
    int64_t got = fit_many(heap, need != 0 ? need : HEADER_SIZE_MASK, count, granules);
    if (got == FIT_NONE) {
        int64_t granule = shortage_object(CALL_ALLOC_MANY, heap, sz);
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
            shortage_failed(CALL_ALLOC_MANY, heap, more);
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

/* Aligned -------------------------------------------------------------------------------------- */

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
        return shortage_failed(CALL_ALIGNED_ALLOC, heap, FIT_NO_LOCK);
    uint64_t need = block_granules(heap, size);
    int cancel_state = process_cancel_off();
    int64_t granule = alloc_aligned(heap, need, alignment);
    process_cancel_restore(cancel_state);
    if (granule == FIT_NONE)
        shortage_refused(CALL_ALIGNED_ALLOC, heap, size);
    return alloc_done(CALL_ALIGNED_ALLOC, heap, granule);
}

/* Waiting -------------------------------------------------------------------------------------- */

/* The longest sleep before the thread retries by itself. It is shorter where the heap has
 * caches: a free into a cache wakes no thread. */
enum { WAIT_SLICE_MS = 1000, WAIT_SLICE_CACHES_MS = 100 };

/* The longest sleep, where left_ns nanoseconds remain until the limit. */
static unsigned wait_slice_ms(const struct shmheap *heap, uint64_t left_ns)
{
    uint64_t left_ms = left_ns / 1000000 + 1;
    unsigned slice =
        load_u64(&heap->control->cache_lines) != 0 ? WAIT_SLICE_CACHES_MS : WAIT_SLICE_MS;
    return left_ms < slice ? (unsigned)left_ms : slice;
}

/* Retries until it has a block or limit (monotonic clock, ns) has passed. Returns what
 * shortage_alloc returns, or FIT_NO_LOCK. Each round offers the free memory to the other waiting
 * threads, since the wake may have been meant for them. */
static int64_t alloc_waiting(struct shmheap *heap, uint64_t need, uint64_t limit)
{
    for (enum attempt attempt = ATTEMPT_FIRST;; attempt = ATTEMPT_AGAIN) {
        if (heap_lock(heap) != 0)
            return FIT_NO_LOCK;
        int64_t granule = fit_one(heap, need);
        if (granule == FIT_NONE)
            granule = shortage_alloc(heap, need, attempt);
        uint64_t now = clock_ns(CLOCK_MONOTONIC);
        int goes_on = granule == FIT_NONE && now < limit;
        uint32_t expected = goes_on ? wait_register(heap, need, index_largest_of_all(heap)) : 0;
        recover_wake_waiter(heap);
        heap_unlock(heap);
        if (!goes_on)
            return granule;
        wait_sleep(heap, expected, need, wait_slice_ms(heap, limit - now));
    }
}

void *shmheap_alloc_wait(shmheap_memory_handle mem, size_t sz, int timeout_ms)
{
    int before = errno;
    error_state.muted = 1; /* a call that succeeds later notes nothing */
    void *ptr = shmheap_alloc(mem, sz);
    error_state.muted = 0;
    if (ptr != NULL)
        return ptr;
    uint64_t need = errno == ENOMEM ? block_granules(mem.heap, sz) : 0;
    if (errno != ENOMEM || timeout_ms == 0 || shortage_is_permanent(mem.heap, need))
        return null(call_failed(CALL_ALLOC_WAIT, mem.heap));
    uint64_t limit =
        timeout_ms < 0 ? UINT64_MAX : clock_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ms * 1000000;
    int64_t granule = alloc_waiting(mem.heap, need, limit);
    if (granule >= 0) {
        errno = before;
        return block_payload(mem.heap, (uint64_t)granule);
    }
    if (granule == FIT_NONE)
        return null(call_refused(CALL_ALLOC_WAIT, mem.heap, ETIMEDOUT, CAUSE_NO_SPACE_TIME, sz,
                                 (unsigned)timeout_ms));
    errno = granule != FIT_NO_LOCK ? fit_errno(granule) : errno;
    return null(call_failed(CALL_ALLOC_WAIT, mem.heap));
}
