/* named.c: objects with a name: allocate, find, keep, remove.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../heap/grow.h"
#include "../recovery/recover.h"
#include "shortage.h"

/* Lock held. */
static int64_t named_use(struct shmheap *heap, const struct name *name, size_t size)
{
    int before = errno, cancel_state = process_cancel_off();
    error_forget();
    int64_t granule = names_use(heap, name, size);
    if (granule == FIT_NONE && !shortage_is_permanent(heap, block_granules(heap, size))) {
        if (grow_for(heap, names_space_needed(heap, name, size)) == 0)
            granule = names_use(heap, name, size);
        if (granule == FIT_NONE && shortage_reclaim(heap, ATTEMPT_FIRST))
            granule = names_use(heap, name, size);
    }
    if (granule == FIT_NONE)
        shortage_count(heap);
    process_cancel_restore(cancel_state);
    errno = before;
    return granule;
}

/* Sets errno for a result below 0 of a call with an existing name. */
static void name_errno(int64_t result)
{
    errno = fit_errno(result);
    if (result == FIT_UNKNOWN)
        error_cause(ENOENT, CAUSE_NAME_UNKNOWN, 0, 0);
}

/* Notes that a call with the name of an object failed. Returns -1. */
static COLD int named_failed(enum error_call call, const struct shmheap *heap, const char *name)
{
    call_failed(call, heap);
    error_note_object(name);
    return -1;
}

static COLD void *named_refused(enum error_call call, const struct shmheap *heap, const char *name,
                                size_t size, int64_t result)
{
    errno = fit_errno(result);
    if (result == FIT_NONE)
        shortage_refused(call, heap, size);
    else if (result == NAMES_TOO_SHORT)
        call_refused(call, heap, EINVAL, CAUSE_NAME_SHORTER, size, 0);
    else
        call_failed(call, heap);
    error_note_object(name);
    return NULL;
}

static void *named_alloc(enum error_call call, shmheap_memory_handle mem, const char *name,
                         size_t size)
{
    struct name wanted;
    if (!usable(mem))
        return null(call_not_open(call));
    if (name_set(mem.heap, &wanted, name) != 0 || heap_lock(mem.heap) != 0)
        return null(named_failed(call, mem.heap, name));
    wanted.kept = call == CALL_ALLOC_KEPT;
    int64_t granule = named_use(mem.heap, &wanted, size);
    heap_unlock(mem.heap);
    return granule >= 0 ? block_payload(mem.heap, (uint64_t)granule)
                        : named_refused(call, mem.heap, name, size, granule);
}

void *shmheap_alloc_named(shmheap_memory_handle mem, const char *name, size_t size)
{
    return named_alloc(CALL_ALLOC_NAMED, mem, name, size);
}

void *shmheap_alloc_kept(shmheap_memory_handle mem, const char *name, size_t size)
{
    return named_alloc(CALL_ALLOC_KEPT, mem, name, size);
}

/* Calls change with the name under the lock. Returns its result, or -1 with errno. */
static int named_change(enum error_call call, shmheap_memory_handle mem, const char *name,
                        int (*change)(struct shmheap *, const struct name *))
{
    struct name wanted;
    int before = errno;
    if (!usable(mem))
        return call_not_open(call);
    if (name_set(mem.heap, &wanted, name) != 0 || heap_lock(mem.heap) != 0)
        return named_failed(call, mem.heap, name);
    int cancel_state = process_cancel_off(), result = change(mem.heap, &wanted);
    process_cancel_restore(cancel_state);
    heap_unlock_freed(mem.heap);
    if (result < 0) {
        name_errno(result);
        return named_failed(call, mem.heap, name);
    }
    errno = before; /* The probes of processes may have set it. */
    return result;
}

int shmheap_name_keep(shmheap_memory_handle mem, const char *name)
{
    return named_change(CALL_NAME_KEEP, mem, name, names_keep);
}

int shmheap_name_remove(shmheap_memory_handle mem, const char *name)
{
    return named_change(CALL_NAME_REMOVE, mem, name, names_remove);
}

/* For shmheap_find, where names change too fast for a search without the lock. */
static COLD int64_t named_find_locked(struct shmheap *heap, const struct name *name, uint64_t *len)
{
    if (heap->read_only) {
        error_cause(EAGAIN, CAUSE_READ_CHANGES, 0, 0);
        return FIT_NO_LOCK;
    }
    if (heap_lock(heap) != 0)
        return FIT_NO_LOCK;
    int64_t granule = names_find(heap, name, 1, len);
    heap_unlock(heap);
    return granule;
}

void *shmheap_find(shmheap_memory_handle mem, const char *name, size_t *size)
{
    struct shmheap *heap = mem.heap;
    struct name wanted;
    uint64_t len = 0;
    if (!usable(mem))
        return null(call_not_open(CALL_FIND));
    if (name_set(heap, &wanted, name) != 0 || catch_up(heap) != 0)
        return null(named_failed(CALL_FIND, heap, name));
    int64_t granule = names_find(heap, &wanted, 0, &len);
    if (granule == NAMES_BUSY)
        granule = named_find_locked(heap, &wanted, &len);
    if (granule < 0) {
        if (granule != FIT_NO_LOCK)
            name_errno(granule);
        return null(named_failed(CALL_FIND, heap, name));
    }
    if (size != NULL)
        *size = (size_t)len;
    return block_payload(heap, (uint64_t)granule);
}
