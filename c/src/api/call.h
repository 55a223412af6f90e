/* call.h: what the public calls share: errno, the check of the connection, cancellation, growth by
 * peers.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CALL_H
#define SHMHEAP_CALL_H

#include <errno.h>
#include <stddef.h>

#include "shmheap.h"
#include "../heap/fit.h"
#include "../names/names.h"
#include "../os/process.h"
#include "../segment/segment.h"

static inline int fail(int reason)
{
    errno = reason;
    return -1;
}

static inline void *fail_null(int reason)
{
    errno = reason;
    return NULL;
}

static inline int usable(shmheap_memory_handle mem) { return mem.heap != NULL && mem.heap->open; }

/* struct call is private: the state that call_end restores. */
struct call {
    int error, cancel_state;
};

/* Disables cancellation of the thread until call_end. */
static inline struct call call_begin(void)
{
    struct call call = {errno, process_cancel_off()};
    return call;
}

/* Restores cancellation; after success also errno. */
static inline int call_end(const struct call *call, int result)
{
    process_cancel_restore(call->cancel_state);
    if (result >= 0)
        errno = call->error;
    return result;
}

/* Beside the results of fit.h: the lock was not acquired, errno says why. */
enum { FIT_NO_LOCK = -10 };

static inline int fit_errno(int64_t result)
{
    return result == FIT_BAD         ? EBADMSG
           : result == FIT_NONE      ? ENOMEM
           : result == NAMES_NO_USER ? EPERM
                                     : EINVAL;
}

/* Takes note where another connection has grown the region: 0, or -1 with errno. Needs no lock. */
static inline int catch_up(struct shmheap *heap)
{
    return LIKELY(load_u64(&heap->control->len) == load_u64(&heap->len_known))
               ? 0
               : segment_refresh(heap);
}

/* As block_of_pointer, also for an object in memory that another connection has added. */
static ALWAYS_INLINE uint64_t granule_of_pointer(struct shmheap *heap, const void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    return LIKELY(granule != GRANULE_NONE) || catch_up(heap) != 0 ? granule
                                                                  : block_of_pointer(heap, ptr);
}

static inline int heap_has_caches(const struct shmheap *heap)
{
    return heap != NULL && UNLIKELY(connection_caches(heap));
}

enum { BATCH = 256 }; /* objects that one lock covers */

#endif
