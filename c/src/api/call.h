/* call.h: what the public calls share: errno, the check of the connection, cancellation, growth by
 * peers.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CALL_H
#define SHMHEAP_CALL_H

#include <errno.h>
#include <stddef.h>

#include "shmheap.h"
#include "../base/error.h"
#include "../heap/fit.h"
#include "../names/names.h"
#include "../os/process.h"
#include "../segment/segment.h"

/* How a call fails: each sets or keeps errno, notes it for shmheap_error_text, and returns -1.
 *   call_failed         errno is set; also its cause, where errno does not tell
 *   call_failed_named   the same, for a call without a connection: name is the heap's
 *   call_refused        with this errno and cause (base/error.h)
 *   call_not_open       the connection is not open
 *   call_no_object      no live object begins at ptr, or one whose name forbids the call
 *   call_argument_null  this argument is NULL, unless the connection is not open */
int call_failed(enum error_call call, const struct shmheap *heap);
int call_failed_named(enum error_call call, const char *name);
int call_refused(enum error_call call, const struct shmheap *heap, int error, enum cause cause,
                 uint64_t first, uint64_t second);
int call_not_open(enum error_call call);
int call_no_object(enum error_call call, const struct shmheap *heap, const void *ptr);
int call_argument_null(enum error_call call, shmheap_memory_handle mem, enum argument argument);

/* call_renamed returns result. NULL: a call that this one made has failed, and the note is of this
 * one. */
void *call_renamed(enum error_call call, void *result);

/* null makes a failed call's result a null pointer. */
static inline void *null(int failed)
{
    (void)failed;
    return NULL;
}

static inline int usable(shmheap_memory_handle mem) { return mem.heap != NULL && mem.heap->open; }

/* struct call is the state that call_end restores. */
struct call {
    enum error_call which;
    int error, cancel_state;
};

/* Disables cancellation of the thread until call_end. */
static inline struct call call_begin(enum error_call which)
{
    struct call call = {which, errno, process_cancel_off()};
    error_forget();
    return call;
}

/* Restores cancellation; after success also errno. After a failure it notes errno. */
static inline int call_end(const struct call *call, int result, const struct shmheap *heap)
{
    process_cancel_restore(call->cancel_state);
    if (result < 0)
        return call_failed(call->which, heap);
    errno = call->error;
    return result;
}

/* call_end of a call without a connection: name is the heap's. */
static inline int call_end_named(const struct call *call, int result, const char *name)
{
    process_cancel_restore(call->cancel_state);
    if (result < 0)
        return call_failed_named(call->which, name);
    errno = call->error;
    return result;
}

/* Beside the results of fit.h: the lock was not acquired, errno says why. */
enum { FIT_NO_LOCK = -10 };

/* resize_in_place resizes the object at ptr where it lies: 0; FIT_NONE where it would have to move;
 * FIT_UNKNOWN where there is no object; FIT_BAD; FIT_NO_LOCK. For shmheap_realloc, and for
 * tools/runner, whose objects have their bytes elsewhere. */
int resize_in_place(struct shmheap *heap, void *ptr, size_t size);

static inline int fit_errno(int64_t result)
{
    return result == FIT_BAD ? EBADMSG : result == FIT_NONE ? ENOMEM : EINVAL;
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
