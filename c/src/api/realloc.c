/* realloc.c: shmheap_realloc, shmheap_usable_size.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <string.h>

#include "../cache/cache.h"
#include "../free_set/index.h"
#include "../recovery/recover.h"

/* The bytes that the object at ptr can hold; 0 with errno EINVAL where there is no object. */
static size_t usable_len(struct shmheap *heap, const void *ptr)
{
    if (catch_up(heap) != 0) /* another connection may have added the memory */
        return 0;
    uint64_t end = connection_end(heap), granule = block_of_pointer(heap, ptr);
    uint64_t header = granule != GRANULE_NONE ? bits_live_header(heap, granule) : 0;
    uint64_t size =
        header != 0 && granule < end ? block_size_checked(heap, granule, header, end) : 0;
    if (size == 0)
        errno = EINVAL;
    return size != 0 ? (size_t)block_payload_len(heap, size) : 0;
}

size_t shmheap_usable_size(shmheap_memory_handle mem, const void *ptr)
{
    if (!usable(mem))
        call_not_open(CALL_USABLE_SIZE);
    if (!usable(mem) || ptr == NULL)
        return 0;
    int before = errno;
    size_t len = usable_len(mem.heap, ptr), named = 0;
    uint64_t granule = len == 0 ? block_of_pointer(mem.heap, ptr) : GRANULE_NONE;
    if (granule != GRANULE_NONE && (named = names_object_len(mem.heap, granule)) != 0)
        errno = before;
    else if (len == 0)
        errno == EINVAL ? call_no_object(CALL_USABLE_SIZE, mem.heap, ptr)
                        : call_failed(CALL_USABLE_SIZE, mem.heap);
    return len != 0 ? len : named;
}

/* Moves len bytes into the object moved and frees ptr: moved, or NULL where that fails. Without the
 * lock. A death in here leaves both objects, each whole. */
static void *realloc_into(shmheap_memory_handle mem, void *moved, void *ptr, size_t len)
{
    memmove(moved, ptr, len); /* in a damaged heap they may overlap */
    if (shmheap_try_free(mem, ptr) == 0)
        return moved;
    int reason = errno;
    shmheap_free(mem, moved);
    errno = reason;
    return NULL;
}

static void *realloc_elsewhere(shmheap_memory_handle mem, void *ptr, size_t size)
{
    size_t old = usable_len(mem.heap, ptr);
    void *moved = old != 0 ? shmheap_alloc(mem, size) : NULL;
    return moved != NULL ? realloc_into(mem, moved, ptr, old < size ? old : size) : NULL;
}

static void *realloc_moved(shmheap_memory_handle mem, void *ptr, size_t size)
{
    error_state.muted = 1;
    void *moved = realloc_elsewhere(mem, ptr, size);
    error_state.muted = 0;
    if (moved != NULL)
        return moved;
    return null(errno == EINVAL ? call_no_object(CALL_REALLOC, mem.heap, ptr)
                                : call_failed(CALL_REALLOC, mem.heap));
}

static COLD void *realloc_refused(struct shmheap *heap, void *ptr, int result)
{
    errno = fit_errno(result);
    return null(result == FIT_UNKNOWN ? call_no_object(CALL_REALLOC, heap, ptr)
                                      : call_failed(CALL_REALLOC, heap));
}

int resize_in_place(struct shmheap *heap, void *ptr, size_t size)
{
    if (heap_lock(heap) != 0)
        return FIT_NO_LOCK;
    uint64_t need = block_granules(heap, size), granule = block_of_pointer(heap, ptr);
    int result = granule == GRANULE_NONE
                     ? FIT_UNKNOWN
                     : heap->fit->resize(heap, granule, need != 0 ? need : HEADER_SIZE_MASK);
    heap_unlock_freed(heap);
    return result;
}

/* Grows a small object without the lock: it stays where its block suffices, else it moves into a
 * block of the thread's cache, which for so few bytes is faster than growing in place under the
 * lock. NULL: the cache has no such block, or the object is not a small one. */
static void *realloc_cached(shmheap_memory_handle mem, void *ptr, size_t size)
{
    struct shmheap *heap = mem.heap;
    struct cache *cache = cache_mine;
    uint64_t granule = block_of_pointer(heap, ptr), need = block_granules(heap, size);
    if (granule >= cache->limit)
        return NULL;
    uint64_t old = header_size(bits_live_header(heap, granule));
    if (old == 0 || need < old || need >= CACHE_SIZES)
        return NULL;
    if (need == old)
        return ptr;
    void *moved = cache_take(cache, size);
    return moved != NULL ? realloc_into(mem, moved, ptr, (size_t)block_payload_len(heap, old))
                         : NULL;
}

void *shmheap_realloc(shmheap_memory_handle mem, void *ptr, size_t size)
{
    struct shmheap *heap = mem.heap;
    void *cached;
    if (ptr == NULL)
        return call_renamed(CALL_REALLOC, shmheap_alloc(mem, size));
    if (cache_is_of(cache_mine, heap) && (cached = realloc_cached(mem, ptr, size)) != NULL)
        return cached;
    int result = resize_in_place(heap, ptr, size);
    if (result == 0)
        return ptr;
    if (result == FIT_NO_LOCK)
        return null(call_failed(CALL_REALLOC, heap));
    return result == FIT_NONE ? realloc_moved(mem, ptr, size) : realloc_refused(heap, ptr, result);
}
