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

static void *named_alloc(shmheap_memory_handle mem, const char *name, size_t size, unsigned kept)
{
    struct name wanted;
    if (!usable(mem))
        return fail_null(EINVAL);
    if (name_set(mem.heap, &wanted, name) != 0 || heap_lock(mem.heap) != 0)
        return NULL;
    wanted.kept = kept;
    int64_t granule = named_use(mem.heap, &wanted, size);
    heap_unlock(mem.heap);
    return granule >= 0 ? block_payload(mem.heap, (uint64_t)granule)
                        : fail_null(fit_errno(granule));
}

void *shmheap_alloc_named(shmheap_memory_handle mem, const char *name, size_t size)
{
    return named_alloc(mem, name, size, 0);
}

void *shmheap_alloc_kept(shmheap_memory_handle mem, const char *name, size_t size)
{
    return named_alloc(mem, name, size, 1);
}

/* Calls change with the name under the lock. Returns its result, or -1 with errno. */
static int named_change(shmheap_memory_handle mem, const char *name,
                        int (*change)(struct shmheap *, const struct name *))
{
    struct name wanted;
    int before = errno;
    if (!usable(mem))
        return fail(EINVAL);
    if (name_set(mem.heap, &wanted, name) != 0 || heap_lock(mem.heap) != 0)
        return -1;
    int cancel_state = process_cancel_off(), result = change(mem.heap, &wanted);
    process_cancel_restore(cancel_state);
    heap_unlock_freed(mem.heap);
    if (result < 0)
        return fail(result == FIT_UNKNOWN ? ENOENT : fit_errno(result));
    errno = before; /* The probes of processes may have set it. */
    return result;
}

int shmheap_name_keep(shmheap_memory_handle mem, const char *name)
{
    return named_change(mem, name, names_keep);
}

int shmheap_name_remove(shmheap_memory_handle mem, const char *name)
{
    return named_change(mem, name, names_remove);
}

/* For shmheap_find, where names change too fast for a search without the lock. */
static COLD int64_t named_find_locked(struct shmheap *heap, const struct name *name, uint64_t *len)
{
    if (heap->read_only) {
        errno = EAGAIN;
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
        return fail_null(EINVAL);
    if (name_set(heap, &wanted, name) != 0)
        return NULL;
    if (catch_up(heap) != 0)
        return NULL;
    int64_t granule = names_find(heap, &wanted, 0, &len);
    if (granule == NAMES_BUSY)
        granule = named_find_locked(heap, &wanted, &len);
    if (granule < 0)
        return granule == FIT_NO_LOCK
                   ? NULL
                   : fail_null(granule == FIT_UNKNOWN ? ENOENT : fit_errno(granule));
    if (size != NULL)
        *size = (size_t)len;
    return block_payload(heap, (uint64_t)granule);
}
