/* alloc_wait.c: shmheap_alloc_wait, which sleeps until memory is freed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../free_set/index.h"
#include "../process/wait.h"
#include "../recovery/recover.h"
#include "shortage.h"

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

/* Where the system refused the heap memory, the text says that instead of the time. */
static COLD void *wait_timed_out(const struct shmheap *heap, size_t sz, int timeout_ms)
{
    if (error_state.error == 0)
        return null(call_refused(CALL_ALLOC_WAIT, heap, ETIMEDOUT, CAUSE_NO_SPACE_TIME, sz,
                                 (unsigned)timeout_ms));
    shortage_refused(CALL_ALLOC_WAIT, heap, sz);
    error_state.record.error = errno = ETIMEDOUT;
    return NULL;
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
        return wait_timed_out(mem.heap, sz, timeout_ms);
    errno = granule != FIT_NO_LOCK ? fit_errno(granule) : errno;
    return null(call_failed(CALL_ALLOC_WAIT, mem.heap));
}
