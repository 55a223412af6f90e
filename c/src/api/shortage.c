/* shortage.c: what an allocation does when the search finds nothing: growing and reclaiming.
 * SPDX-License-Identifier: Apache-2.0 */
#include "shortage.h"

#include <errno.h>

#include "../cache/reclaim.h"
#include "../heap/grow.h"
#include "../os/process.h"
#include "../ownership/reap.h"

COLD int shortage_reclaim(struct shmheap *heap, enum attempt attempt)
{
    long found = attempt == ATTEMPT_AGAIN && reclaim_is_paced(heap) ? 0 : reclaim_caches(heap);
    if (found >= 0 && (heap->format_flags & FORMAT_REAP) && reap_is_due(heap))
        found += reap_objects(heap, 0);
    return found + reap_cache_lines(heap, attempt == ATTEMPT_AGAIN) > 0;
}

/* grow_for failed, and left why it got no memory. */
static COLD int growth_refused(enum error_call call, const struct shmheap *heap, size_t bytes)
{
    const struct error_state *state = &error_state;
    enum cause cause = state->cause == CAUSE_MEMORY_LEFT  ? CAUSE_GROW_MEMORY
                       : state->cause == CAUSE_DISK_LEFT  ? CAUSE_GROW_DISK
                       : state->cause == CAUSE_FILE_LIMIT ? CAUSE_GROW_LIMIT
                                                          : CAUSE_GROW_REFUSED;
    uint64_t second = cause != CAUSE_GROW_REFUSED ? state->numbers[1] : (unsigned)state->error;
    return call_refused(call, heap, ENOMEM, cause, bytes, second);
}

COLD int shortage_refused(enum error_call call, const struct shmheap *heap, size_t bytes)
{
    int never = shortage_is_permanent(heap, block_granules(heap, bytes));
    if (!never && error_state.error != 0)
        return growth_refused(call, heap, bytes);
    return call_refused(call, heap, ENOMEM, never ? CAUSE_TOO_LARGE : CAUSE_NO_SPACE, bytes,
                        never ? block_payload_len(heap, heap->layout.granules_max)
                              : load_u64(&heap->len_known));
}

COLD int64_t shortage_alloc(struct shmheap *heap, uint64_t need, enum attempt attempt)
{
    int before = errno, cancel_state = process_cancel_off();
    int64_t granule = FIT_NONE;
    error_forget();
    if (!shortage_is_permanent(heap, need)) {
        granule = grow_for(heap, need) == 0 ? fit_one(heap, need)
                  : errno == EBADMSG        ? FIT_BAD
                                            : FIT_NONE;
        if (granule == FIT_NONE && shortage_reclaim(heap, attempt))
            granule = fit_one(heap, need);
    }
    if (granule == FIT_NONE)
        shortage_count(heap);
    process_cancel_restore(cancel_state);
    errno = before; /* the caller sets the errno of the call */
    return granule;
}

COLD int64_t shortage_object(enum error_call call, struct shmheap *heap, size_t bytes)
{
    int64_t granule = shortage_alloc(heap, block_granules(heap, bytes), ATTEMPT_FIRST);
    if (granule == FIT_NONE)
        shortage_refused(call, heap, bytes);
    return granule;
}

COLD void *shortage_failed(enum error_call call, const struct shmheap *heap, int64_t result)
{
    errno = result != FIT_NO_LOCK ? fit_errno(result) : errno;
    return result != FIT_NONE ? null(call_failed(call, heap)) : NULL;
}
