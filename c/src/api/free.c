/* free.c: shmheap_free, shmheap_try_free, shmheap_free_many.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../cache/refill.h"
#include "../cache/threads.h"
#include "../free_set/index.h"
#include "../recovery/recover.h"

/* First fit has refused. Of an object with a name, gives back one use; else fails. Lock held.
 * Unlocks. */
static COLD int free_refused(struct shmheap *heap, void *ptr, int result)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    uint64_t lowest = GRANULE_NONE;
    if (result == FIT_UNKNOWN && granule != GRANULE_NONE)
        result = names_release(heap, granule, &lowest);
    names_taken(heap, lowest);
    heap_unlock_freed(heap);
    if (result == FIT_BAD) {
        errno = EBADMSG;
        return call_failed(CALL_FREE, heap);
    }
    if (result == NAMES_NO_USER)
        return call_refused(CALL_FREE, heap, EPERM, CAUSE_NO_USE, (uintptr_t)ptr, 0);
    return result == 0 ? 0 : call_no_object(CALL_FREE, heap, ptr);
}

/* Lock held. Unlocks. */
static ALWAYS_INLINE int free_locked(struct shmheap *heap, void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    int result = LIKELY(granule != GRANULE_NONE) ? heap->fit->free(heap, granule) : FIT_UNKNOWN;
    if (UNLIKELY(result != 0))
        return free_refused(heap, ptr, result);
    heap_unlock_freed(heap);
    return 0;
}

static int free_exact(struct shmheap *heap, void *ptr)
{
    if (UNLIKELY(ptr == NULL))
        return 0;
    /* The header arrives while the thread acquires the lock. */
    prefetch((const void *)((uintptr_t)ptr - HEADER_SIZE));
    return LIKELY(heap_lock(heap) == 0) ? free_locked(heap, ptr) : call_failed(CALL_FREE, heap);
}

/* The size of the live object at ptr, where caches keep that size; else 0. */
static uint64_t cached_size(const struct shmheap *heap, const void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    uint64_t size = granule != GRANULE_NONE ? header_size(bits_live_header(heap, granule)) : 0;
    return size < CACHE_SIZES ? size : 0;
}

/* The thread's cache was full, or belongs to another connection. */
static COLD int free_not_cached(struct shmheap *heap, void *ptr)
{
    uint64_t size = heap->open && ptr != NULL ? cached_size(heap, ptr) : 0;
    struct cache *cache = size != 0 ? cache_of(heap) : NULL;
    if (cache == NULL)
        return free_exact(heap, ptr);
    if (cache_is_of(cache, heap) && cache_add(cache, ptr))
        return 0;
    if (heap_lock(heap) != 0)
        return call_failed(CALL_FREE, heap);
    if (!cache_flush(cache, heap, size) || !cache_add(cache, ptr))
        return free_locked(heap, ptr);
    heap_unlock_freed(heap);
    return 0;
}

static ALWAYS_INLINE int free_any(struct shmheap *heap, void *ptr)
{
    struct cache *cache = cache_mine;
    if (cache_is_of(cache, heap))
        return LIKELY(cache_add(cache, ptr)) ? 0 : free_not_cached(heap, ptr);
    return heap_has_caches(heap) ? free_not_cached(heap, ptr) : free_exact(heap, ptr);
}

int shmheap_try_free(shmheap_memory_handle mem, void *ptr) { return free_any(mem.heap, ptr); }

void shmheap_free(shmheap_memory_handle mem, void *ptr) { free_any(mem.heap, ptr); }

/* Accepts NULL, or releases one use of an object with a name, as names_release: 1, else 0. Lock
 * held. */
static int free_unusual(struct shmheap *heap, void *ptr, uint64_t *lowest)
{
    uint64_t granule = ptr != NULL ? block_of_pointer(heap, ptr) : GRANULE_NONE;
    return ptr == NULL || (granule != GRANULE_NONE && names_release(heap, granule, lowest) == 0);
}

/* Frees a prefix of the entries under one lock, neighbouring objects as one span. Returns how
 * many entries it has processed; adds those accepted to *accepted. */
static size_t free_batch(struct shmheap *heap, void *const *ptrs, size_t count, size_t *accepted)
{
    size_t done = 0;
    uint64_t lowest_name = GRANULE_NONE;
    if (heap_lock(heap) != 0)
        return 0;
    while (done < count) {
        uint64_t first = GRANULE_NONE, size = 0;
        unsigned blocks = 0;
        for (; done < count; done++) {
            uint64_t granule =
                ptrs[done] != NULL ? block_of_pointer(heap, ptrs[done]) : GRANULE_NONE;
            uint64_t header = granule != GRANULE_NONE ? bits_live_header(heap, granule) : 0;
            uint64_t more = header != 0 ? bits_size_checked(heap, granule, header) : 0;
            if (more == 0 || (blocks != 0 && granule != first + size))
                break;
            first = blocks == 0 ? granule : first;
            size += more;
            blocks++;
        }
        if (blocks != 0)
            *accepted += heap->fit->free_span(heap, first, size, blocks) == 0 ? blocks : 0;
        else
            *accepted += free_unusual(heap, ptrs[done++], &lowest_name);
    }
    names_taken(heap, lowest_name);
    heap_unlock_freed(heap);
    return done;
}

size_t shmheap_free_many(shmheap_memory_handle mem, void *const *ptrs, size_t count)
{
    size_t accepted = 0, done = 0;
    if (!usable(mem) || (ptrs == NULL && count != 0)) {
        call_argument_null(CALL_FREE_MANY, mem, ARGUMENT_PTRS);
        return 0;
    }
    while (done < count) {
        size_t more = free_batch(mem.heap, ptrs + done, count - done < BATCH ? count - done : BATCH,
                                 &accepted);
        if (more == 0) {
            call_failed(CALL_FREE_MANY, mem.heap);
            return accepted;
        }
        done += more;
    }
    if (accepted != count)
        call_refused(CALL_FREE_MANY, mem.heap, EINVAL, CAUSE_NOT_ALL_FREED, count - accepted,
                     count);
    return accepted;
}
