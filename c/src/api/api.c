/* api.c: the public calls: validate, lock, act, unlock. Contracts are in shmheap.h.
 * SPDX-License-Identifier: Apache-2.0 */
#include "shmheap.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "../cache/reclaim.h"
#include "../cache/cache.h"
#include "connect.h"
#include "../inspect/copy.h"
#include "../os/file.h"
#include "../heap/fit.h"
#include "../heap/grow.h"
#include "../segment/huge.h"
#include "../free_set/index.h"
#include "../inspect/inspect.h"
#include "../names/names.h"
#include "ownership.h"
#include "../os/process.h"
#include "../recovery/recover.h"
#include "../segment/segment.h"
#include "../process/slot.h"

/* These files may be compiled in one command with a program: -include shmheap_textbook.h is for the
 * program alone. */
#undef shmheap_create

static const shmheap_options options_default;

static int fail(int reason)
{
    errno = reason;
    return -1;
}

static void *fail_null(int reason)
{
    errno = reason;
    return NULL;
}

static int usable(shmheap_memory_handle mem) { return mem.heap != NULL && mem.heap->open; }

/* Opening and closing --------------------------------------------------- */

/* struct call is private: what a call that opens puts back at its end. */
struct call {
    int error, calm;
};

/* From here to handed_out, or to call_end, the thread is not cancelled. */
static struct call call_begin(void)
{
    struct call call = {errno, process_cancel_off()};
    return call;
}

/* Success leaves errno alone. */
static int call_end(const struct call *call, int result)
{
    process_cancel_restore(call->calm);
    if (result >= 0)
        errno = call->error;
    return result;
}

/* The result of opening. */
static int handed_out(shmheap_memory_handle *out, struct shmheap *heap, struct call call)
{
    out->heap = heap;
    return call_end(&call, heap != NULL ? 0 : -1);
}

int shmheap_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return handed_out(out, connect_open(name, options != NULL ? options : &options_default), call);
}

int shmheap_create_sealed(shmheap_memory_handle *out, const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return handed_out(out, connect_make_sealed(options != NULL ? options : &options_default), call);
}

int shmheap_open_fd(shmheap_memory_handle *out, int fd, const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return handed_out(out, connect_fd(fd, options != NULL ? options : &options_default), call);
}

int shmheap_create_at(shmheap_memory_handle *out, void *memory, size_t bytes,
                      const shmheap_options *options)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return handed_out(
        out, connect_make_at(memory, bytes, options != NULL ? options : &options_default), call);
}

int shmheap_attach_at(shmheap_memory_handle *out, void *memory, size_t bytes)
{
    if (out == NULL)
        return fail(EINVAL);
    struct call call = call_begin();
    return handed_out(out, connect_attach_at(memory, bytes), call);
}

shmheap_memory_handle shmheap_create(const char *name, size_t len)
{
    shmheap_memory_handle mem = {NULL};
    shmheap_options options = options_default;
    options.flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE;
    options.len = len;
    if (len == 0)
        errno = EINVAL; /* in options it would mean the default */
    else
        shmheap_open(&mem, name, &options);
    return mem;
}

shmheap_memory_handle shmheap_connect(const char *name)
{
    shmheap_memory_handle mem = {NULL};
    shmheap_open(&mem, name, NULL);
    return mem;
}

void shmheap_disconnect(shmheap_memory_handle mem)
{
    if (!usable(mem)) {
        errno = EINVAL;
        return;
    }
    struct call call = call_begin();
    connect_close(mem.heap);
    call_end(&call, 0);
}

/* 0, or -1 with errno, as shmheap_destroy says. */
static int name_of_heap_remove(const struct shmheap *heap, const char *name)
{
    char of_socket[PATH_MAX];
    if (!heap->has_file)
        return fail(ENOTSUP);
    if (heap->is_of_socket) {
        if (topology_name(of_socket, sizeof of_socket, name, heap->socket) != 0)
            return -1;
        name = of_socket;
    }
    return file_remove_own(name, heap->is_path, heap->device, heap->inode);
}

/* The name first: as long as this connection uses the file, the name is not given away as that of
 * an unused heap. */
void shmheap_destroy(const char *name, shmheap_memory_handle mem)
{
    if (!usable(mem)) {
        errno = EINVAL;
        return;
    }
    struct call call = call_begin();
    /* What the connection is told by stays known when it is closed, until another one is opened. */
    int failed = name != NULL && name_of_heap_remove(mem.heap, name) != 0 ? errno : 0;
    connect_close(mem.heap);
    if (failed == EMFILE || failed == ENFILE) /* closing has made room */
        failed = name_of_heap_remove(mem.heap, name) != 0 ? errno : 0;
    call_end(&call, 0);
    errno = failed != 0 ? failed : errno;
}

int shmheap_unlink(const char *name) { return name != NULL ? file_remove(name, 0) : fail(EINVAL); }

int shmheap_unlink_unused(const char *name)
{
    struct call call = call_begin();
    return call_end(&call, name != NULL ? heap_file_remove_unused(name, 0, 0) : fail(EINVAL));
}

int shmheap_copy(shmheap_memory_handle mem, const char *path)
{
    if (!usable(mem) || path == NULL || path[0] == 0)
        return fail(EINVAL);
    struct call call = call_begin();
    return call_end(&call, copy_make(mem.heap, path));
}

unsigned shmheap_version(void) { return SHMHEAP_VERSION; }

int shmheap_valid(shmheap_memory_handle mem) { return usable(mem); }

static int lend(shmheap_memory_handle mem, int writable)
{
    if (!usable(mem))
        return fail(EINVAL);
    struct call call = call_begin();
    return call_end(&call, connect_lend(mem.heap, writable));
}

int shmheap_fd(shmheap_memory_handle mem) { return lend(mem, 0); }

int shmheap_fd_writable(shmheap_memory_handle mem) { return lend(mem, 1); }

void *shmheap_underlying(shmheap_memory_handle mem)
{
    return usable(mem) ? mem.heap->region : fail_null(EINVAL);
}

int shmheap_socket(void)
{
    struct topology scope;
    struct call call = call_begin();
    return call_end(&call, topology_of_caller(&scope) == 0 ? scope.socket : -1);
}

int shmheap_in_use(int fd)
{
    struct call call = call_begin();
    return call_end(&call, file_in_use(fd));
}

/* Allocating ------------------------------------------------------------ */

enum { FIT_LOCK = -10 }; /* beside the results of fit: the lock was not to be had, errno says why */
enum {
    BATCH = 256, /* objects under one lock */
    WAIT_SLICE_MS = 1000,
    WAIT_SLICE_CACHES_MS = 100 /* a thread that waits for space looks by itself so often */
};

static int fit_errno(int64_t result)
{
    return result == FIT_BAD         ? EBADMSG
           : result == FIT_NONE      ? ENOMEM
           : result == NAMES_NO_USER ? EPERM
                                     : EINVAL;
}

enum looks {
    INSPECT_FIRST,
    INSPECT_AGAIN
}; /* INSPECT_AGAIN: of a thread that waits for space, which may leave asking to another one's look */

/* Takes back what lies in caches, and in heaps for that what dead processes held: 1 if there was
 * anything. Walks over the blocks only where a thread has used its cache, or a process has died,
 * since the last time. Lock held. */
static COLD int wait_found(struct shmheap *heap, enum looks look)
{
    long found = look == INSPECT_AGAIN && reclaim_is_paced(heap) ? 0 : reclaim_caches(heap);
    if (found >= 0 && (heap->format_flags & FORMAT_REAP) && ownership_reap_is_due(heap))
        found += ownership_reap(heap, 0);
    return found + ownership_free_lines(heap, look == INSPECT_AGAIN) > 0;
}

/* Not even an empty heap that has grown to its end has room for so many granules. */
static int never_fits(const struct shmheap *heap, uint64_t need)
{
    return need - 1 >= heap->layout.granules_max;
}

/* Lock held. */
static void count_failed(struct shmheap *heap) { store_add(&heap->control->failed_allocs, 1); }

/* By first fit, or where caches decide anyhow by best fit, which wastes less room. Lock held. */
static int64_t alloc_fitting_many(struct shmheap *heap, uint64_t need, unsigned count,
                                  uint64_t *granules)
{
    const struct fit_calls *fit = heap->fit;
    return (heap->cached ? fit->alloc_best : fit->alloc_many)(heap, need, SHMHEAP_STATE_USED, count,
                                                              granules);
}

static int64_t alloc_fitting(struct shmheap *heap, uint64_t need)
{
    uint64_t granule = 0;
    int64_t got = alloc_fitting_many(heap, need, 1, &granule);
    return got > 0 ? (int64_t)granule : got;
}

/* Grows, or finds space, and tries again; for what never fits neither. Lock held. */
static COLD int64_t alloc_otherwise(struct shmheap *heap, uint64_t need, enum looks look)
{
    int before = errno, calm = process_cancel_off();
    int64_t granule = FIT_NONE;
    if (!never_fits(heap, need)) {
        granule = grow_for(heap, need) == 0 ? alloc_fitting(heap, need)
                  : errno == EBADMSG        ? FIT_BAD
                                            : FIT_NONE;
        if (granule == FIT_NONE && wait_found(heap, look))
            granule = alloc_fitting(heap, need);
    }
    if (granule == FIT_NONE)
        count_failed(heap);
    process_cancel_restore(calm);
    errno = before; /* the caller says what was wrong */
    return granule;
}

static int caches(const struct shmheap *heap) { return heap != NULL && UNLIKELY(heap->cached); }

/* Lock held. cached: by a connection that caches. */
static ALWAYS_INLINE int64_t alloc_now(struct shmheap *heap, size_t sz, int cached)
{
    uint64_t need = block_granules(heap, sz);
    int64_t granule = UNLIKELY(need == 0) ? FIT_NONE
                      : cached            ? alloc_fitting(heap, need)
                                          : heap->fit->alloc(heap, need);
    return LIKELY(granule != FIT_NONE) ? granule : alloc_otherwise(heap, need, INSPECT_FIRST);
}

/* Gives the lock back. */
static ALWAYS_INLINE void *alloc_done(struct shmheap *heap, int64_t granule)
{
    heap_unlock(heap);
    if (UNLIKELY(granule < 0))
        return fail_null(fit_errno(granule));
    huge_touch(heap, (uint64_t)granule);
    return block_payload(heap, (uint64_t)granule);
}

/* Apart, or it would save registers for the cached alloc, too, which needs none. */
static NOINLINE void *alloc_exact(struct shmheap *heap, size_t sz)
{
    return LIKELY(heap_lock(heap) == 0) ? alloc_done(heap, alloc_now(heap, sz, 0)) : NULL;
}

/* The cache was empty, or is not this connection's. */
static COLD void *alloc_not_cached(struct shmheap *heap, size_t sz)
{
    uint64_t need = heap->open ? block_granules(heap, sz) : 0;
    struct cache *cache = need != 0 && need < CACHE_SIZES ? cache_of(heap) : NULL;
    void *ptr =
        cache != NULL && cache_is_of(cache, heap) ? cache_take_settled(cache, need, sz) : NULL;
    if (ptr != NULL || heap_lock(heap) != 0)
        return ptr;
    if (cache != NULL && cache_is_of(cache, heap) && cache_fill(cache, heap, need) &&
        (ptr = cache_take(cache, sz)) != NULL) {
        heap_unlock(heap);
        huge_touch(heap, block_of_pointer(heap, ptr));
        return ptr;
    }
    int64_t granule = alloc_now(heap, sz, 1);
    if (granule >= 0 && cache != NULL && !cache_is_of(cache, heap))
        cache_start_if_room(cache, heap);
    return alloc_done(heap, granule);
}

void *shmheap_alloc(shmheap_memory_handle mem, size_t sz)
{
    struct shmheap *heap = mem.heap;
    struct cache *cache = cache_mine;
    if (cache_is_of(cache, heap)) {
        void *ptr = cache_take(cache, sz);
        return LIKELY(ptr != NULL) ? ptr : alloc_not_cached(heap, sz);
    }
    return caches(heap) ? alloc_not_cached(heap, sz) : alloc_exact(heap, sz);
}

/* How long to sleep at most, when until limit (ns) so many are left: with caches less, since what a
 * free puts there wakes no thread. */
static unsigned wait_slice_ms(const struct shmheap *heap, uint64_t left_ns)
{
    uint64_t left_ms = left_ns / 1000000 + 1;
    unsigned slice =
        load_u64(&heap->control->cache_lines) != 0 ? WAIT_SLICE_CACHES_MS : WAIT_SLICE_MS;
    return left_ms < slice ? (unsigned)left_ms : slice;
}

/* Waits for what is freed, until limit (of the monotonic clock, ns): the result of alloc_otherwise.
 * Whatever it is, other waiting threads are offered what is left, since the wake may have been for
 * them. */
static int64_t alloc_waiting(struct shmheap *heap, uint64_t need, uint64_t limit)
{
    for (enum looks look = INSPECT_FIRST;; look = INSPECT_AGAIN) {
        if (heap_lock(heap) != 0)
            return FIT_LOCK;
        int64_t granule = alloc_fitting(heap, need);
        if (granule == FIT_NONE)
            granule = alloc_otherwise(heap, need, look);
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
    void *ptr = shmheap_alloc(mem, sz);
    if (ptr != NULL || errno != ENOMEM || timeout_ms == 0)
        return ptr;
    uint64_t need = block_granules(mem.heap, sz);
    if (never_fits(mem.heap, need))
        return NULL;
    uint64_t limit =
        timeout_ms < 0 ? UINT64_MAX : clock_ns(CLOCK_MONOTONIC) + (uint64_t)timeout_ms * 1000000;
    int64_t granule = alloc_waiting(mem.heap, need, limit);
    if (granule >= 0) {
        errno = before;
        return block_payload(mem.heap, (uint64_t)granule);
    }
    return granule == FIT_LOCK ? NULL
                               : fail_null(granule == FIT_NONE ? ETIMEDOUT : fit_errno(granule));
}

/* Up to BATCH objects under one lock: how many; FIT_NONE, FIT_BAD or FIT_LOCK when none. */
static int64_t alloc_batch(struct shmheap *heap, uint64_t need, unsigned count, void **ptrs)
{
    uint64_t granules[BATCH];
    if (heap_lock(heap) != 0)
        return FIT_LOCK;
    int64_t got = alloc_fitting_many(heap, need, count, granules);
    if (got == FIT_NONE) {
        int64_t granule = alloc_otherwise(heap, need, INSPECT_FIRST);
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
        errno = EINVAL;
        return 0;
    }
    uint64_t need = block_granules(heap, sz);
    while (got < count) {
        unsigned wanted = count - got < BATCH ? (unsigned)(count - got) : BATCH;
        int64_t more = alloc_batch(heap, need != 0 ? need : HEADER_SIZE_MASK, wanted, ptrs + got);
        if (more < 0) {
            if (more != FIT_LOCK)
                errno = fit_errno(more);
            break;
        }
        got += (size_t)more;
    }
    return got;
}

void *shmheap_calloc(shmheap_memory_handle mem, size_t count, size_t size)
{
    size_t len;
    if (__builtin_mul_overflow(count, size, &len))
        len = (size_t)-1; /* which fails as any other that is too much */
    void *ptr = shmheap_alloc(mem, len);
    return ptr != NULL ? memset(ptr, 0, len) : NULL;
}

/* Whether addresses so aligned are so in all processes. */
static int alignment_possible(const struct shmheap *heap, size_t alignment)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0 ||
        alignment > (size_t)sysconf(_SC_PAGESIZE))
        return 0;
    return heap->has_file || (uintptr_t)heap->base % alignment == 0; /* files are mapped at pages */
}

/* As never_fits; what lies before the lowest place that is aligned cannot be had. */
static int never_fits_aligned(const struct shmheap *heap, uint64_t need, size_t alignment)
{
    uint64_t lost = (uint64_t)(-(uintptr_t)block_payload(heap, 0) & (alignment - 1)) >> heap->shift;
    return never_fits(heap, need) || need > heap->layout.granules_max - lost;
}

static int64_t alloc_aligned(struct shmheap *heap, uint64_t need, size_t alignment)
{
    if (never_fits_aligned(heap, need, alignment)) {
        count_failed(heap);
        return FIT_NONE;
    }
    int64_t granule = heap->fit->alloc_aligned(heap, need, alignment, 0);
    if (granule == FIT_NONE &&
        grow_for(heap, need + (alignment >> heap->shift) + heap->block_min) == 0)
        granule = heap->fit->alloc_aligned(heap, need, alignment, 0);
    if (granule == FIT_NONE)
        granule = heap->fit->alloc_aligned(heap, need, alignment, 1);
    if (granule == FIT_NONE && wait_found(heap, INSPECT_FIRST))
        granule = heap->fit->alloc_aligned(heap, need, alignment, 1);
    if (granule == FIT_NONE)
        count_failed(heap);
    return granule;
}

void *shmheap_aligned_alloc(shmheap_memory_handle mem, size_t alignment, size_t size)
{
    struct shmheap *heap = mem.heap;
    if (!usable(mem) || !alignment_possible(heap, alignment))
        return fail_null(EINVAL);
    if (alignment <= (size_t)1 << heap->shift)
        return shmheap_alloc(mem, size);
    if (heap_lock(heap) != 0)
        return NULL;
    uint64_t need = block_granules(heap, size);
    int calm = process_cancel_off();
    int64_t granule = alloc_aligned(heap, need, alignment);
    process_cancel_restore(calm);
    return alloc_done(heap, granule);
}

/* Lock held; gives it back. */
static ALWAYS_INLINE int free_locked(struct shmheap *heap, void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    int result = LIKELY(granule != GRANULE_NONE) ? heap->fit->free(heap, granule) : FIT_UNKNOWN;
    if (UNLIKELY(result == FIT_UNKNOWN && granule != GRANULE_NONE))
        result = names_release(heap, granule);
    heap_unlock_freed(heap);
    return LIKELY(result == 0) ? 0 : fail(fit_errno(result));
}

static int free_exact(struct shmheap *heap, void *ptr)
{
    if (UNLIKELY(ptr == NULL))
        return 0;
    prefetch((const void *)((uintptr_t)ptr -
                            HEADER_SIZE)); /* on its way while the lock is being taken */
    return LIKELY(heap_lock(heap) == 0) ? free_locked(heap, ptr) : -1;
}

/* Another connection may have made the region longer since this one looked last: 0, or -1 with
 * errno. No lock. */
static inline int catch_up(struct shmheap *heap)
{
    return LIKELY(load_u64(&heap->control->len) == load_u64(&heap->len_known))
               ? 0
               : segment_refresh(heap);
}

/* As block_of_pointer, also where the region has grown elsewhere. */
static ALWAYS_INLINE uint64_t granule_of_pointer(struct shmheap *heap, const void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    return LIKELY(granule != GRANULE_NONE) || catch_up(heap) != 0 ? granule
                                                                  : block_of_pointer(heap, ptr);
}

/* The size of the live object at ptr, if such are cached; else 0. */
static uint64_t size_cached(const struct shmheap *heap, const void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    uint64_t size = granule != GRANULE_NONE ? header_size(index_live(heap, granule)) : 0;
    return size < CACHE_SIZES ? size : 0;
}

/* The cache was full, or is not this connection's. */
static COLD int free_not_cached(struct shmheap *heap, void *ptr)
{
    uint64_t size = heap->open && ptr != NULL ? size_cached(heap, ptr) : 0;
    struct cache *cache = size != 0 ? cache_of(heap) : NULL;
    if (cache == NULL)
        return free_exact(heap, ptr);
    if (cache_is_of(cache, heap) && cache_add(cache, ptr))
        return 0;
    if (heap_lock(heap) != 0)
        return -1;
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
    return caches(heap) ? free_not_cached(heap, ptr) : free_exact(heap, ptr);
}

int shmheap_try_free(shmheap_memory_handle mem, void *ptr) { return free_any(mem.heap, ptr); }

void shmheap_free(shmheap_memory_handle mem, void *ptr) { free_any(mem.heap, ptr); }

/* NULL, or an object with a name: 1, else 0. Lock held. */
static int free_other(struct shmheap *heap, void *ptr)
{
    uint64_t granule = ptr != NULL ? block_of_pointer(heap, ptr) : GRANULE_NONE;
    return ptr == NULL || (granule != GRANULE_NONE && names_release(heap, granule) == 0);
}

/* Frees what objects there are among count entries, under one lock, neighbours in one go: how many
 * entries are done with. */
static size_t free_batch(struct shmheap *heap, void *const *ptrs, size_t count, size_t *accepted)
{
    size_t done = 0;
    if (heap_lock(heap) != 0)
        return 0;
    while (done < count) {
        uint64_t first = GRANULE_NONE, size = 0;
        unsigned blocks = 0;
        for (; done < count; done++) {
            uint64_t granule =
                ptrs[done] != NULL ? block_of_pointer(heap, ptrs[done]) : GRANULE_NONE;
            uint64_t header = granule != GRANULE_NONE ? index_live(heap, granule) : 0;
            uint64_t more = header != 0 ? index_size_checked(heap, granule, header) : 0;
            if (more == 0 || (blocks != 0 && granule != first + size))
                break;
            first = blocks == 0 ? granule : first;
            size += more;
            blocks++;
        }
        if (blocks != 0)
            *accepted += heap->fit->free_span(heap, first, size, blocks) == 0 ? blocks : 0;
        else
            *accepted += free_other(heap, ptrs[done++]);
    }
    heap_unlock_freed(heap);
    return done;
}

size_t shmheap_free_many(shmheap_memory_handle mem, void *const *ptrs, size_t count)
{
    size_t accepted = 0, done = 0;
    if (!usable(mem) || (ptrs == NULL && count != 0)) {
        errno = EINVAL;
        return 0;
    }
    while (done < count) {
        size_t more = free_batch(mem.heap, ptrs + done, count - done < BATCH ? count - done : BATCH,
                                 &accepted);
        if (more == 0)
            return accepted;
        done += more;
    }
    if (accepted != count)
        errno = EINVAL;
    return accepted;
}

/* The payload that the object at ptr can hold; 0 and EINVAL when there is none. */
static size_t usable_len(struct shmheap *heap, const void *ptr)
{
    if (catch_up(heap) != 0) /* it may lie, or end, where the region has grown */
        return 0;
    uint64_t end = connection_end(heap), granule = block_of_pointer(heap, ptr);
    uint64_t header = granule != GRANULE_NONE ? index_live(heap, granule) : 0;
    uint64_t size =
        header != 0 && granule < end ? block_size_checked(heap, granule, header, end) : 0;
    if (size == 0) {
        errno = EINVAL;
        return 0;
    }
    return (size_t)block_payload_len(heap, size);
}

size_t shmheap_usable_size(shmheap_memory_handle mem, const void *ptr)
{
    if (!usable(mem)) {
        errno = EINVAL;
        return 0;
    }
    if (ptr == NULL)
        return 0;
    int before = errno;
    size_t len = usable_len(mem.heap, ptr), named = 0;
    uint64_t granule = len == 0 ? block_of_pointer(mem.heap, ptr) : GRANULE_NONE;
    if (granule != GRANULE_NONE && (named = names_object_len(mem.heap, granule)) != 0)
        errno = before;
    return len != 0 ? len : named;
}

/* The lock is not held while bytes move: who dies here leaves both objects, nothing torn. */
static void *realloc_moved(shmheap_memory_handle mem, void *ptr, size_t size)
{
    size_t old = usable_len(mem.heap, ptr);
    void *moved = old != 0 ? shmheap_alloc(mem, size) : NULL;
    if (moved == NULL)
        return NULL;
    memmove(moved, ptr, old < size ? old : size); /* in a damaged heap they may overlap */
    if (shmheap_try_free(mem, ptr) == 0)
        return moved;
    int reason = errno;
    shmheap_free(mem, moved);
    return fail_null(reason);
}

void *shmheap_realloc(shmheap_memory_handle mem, void *ptr, size_t size)
{
    struct shmheap *heap = mem.heap;
    if (ptr == NULL)
        return shmheap_alloc(mem, size);
    if (heap_lock(heap) != 0)
        return NULL;
    uint64_t need = block_granules(heap, size), granule = block_of_pointer(heap, ptr);
    int result = granule == GRANULE_NONE
                     ? FIT_UNKNOWN
                     : heap->fit->resize(heap, granule, need != 0 ? need : HEADER_SIZE_MASK);
    heap_unlock_freed(heap);
    if (result == 0)
        return ptr;
    return result == FIT_NONE ? realloc_moved(mem, ptr, size) : fail_null(fit_errno(result));
}

/* Handles --------------------------------------------------------------- */

static int granule_known(struct shmheap *heap, uint64_t granule)
{
    if (LIKELY(granule < connection_end(heap)))
        return 1;
    return catch_up(heap) == 0 && granule < connection_end(heap);
}

/* Marks the object as shared: its header then, or 0 with errno. Takes no lock: the header is
 * replaced only if it is still the one seen, which a free or another object at this place would
 * have changed. */
static uint64_t share(struct shmheap *heap, uint64_t granule, uint64_t header)
{
    const uint64_t used = (uint64_t)SHMHEAP_STATE_USED << HEADER_STATE_SHIFT;
    const uint64_t shared = (uint64_t)SHMHEAP_STATE_SHARED << HEADER_STATE_SHIFT;
    for (int i = 0; i < 4 && header != 0 && header_state(header) == SHMHEAP_STATE_USED; i++) {
        if (heap->read_only) {
            errno = EACCES;
            return 0;
        }
        if (block_republish(heap, granule, header, header - used + shared))
            return header;
        header = index_live(heap, granule);
    }
    if (header == 0 || header_state(header) != SHMHEAP_STATE_SHARED) {
        errno = EINVAL;
        return 0;
    }
    return header;
}

static shmheap_object_handle handle_make(const struct shmheap *heap, uint64_t granule,
                                         uint64_t header)
{
    shmheap_object_handle handle = {0};
    if (header != 0)
        handle.bits = heap->handle_tag |
                      (uint64_t)header_generation(header) << HANDLE_GENERATION_SHIFT | granule;
    return handle;
}

/* The header of the object with a name at granule; 0: there is none. */
static COLD uint64_t header_named(const struct shmheap *heap, uint64_t granule)
{
    uint64_t header = index_is_start(heap, granule) ? block_load(heap, granule) : 0;
    return header_state(header) == SHMHEAP_STATE_NAMED ? header : 0;
}

/* On a connection that caches, an object of this process that is not shared yet becomes so without
 * an atomic instruction. That would wait for all that the caller has stored so far, such as the
 * previous handle, in a line that its receiver is reading. Only the upper half is loaded: the
 * processor forwards it from the store of the alloc and does not wait for the line. Returns the
 * upper half, or 0 where the object is not this process's. */
static ALWAYS_INLINE uint32_t share_at_once(const struct shmheap *heap, uint64_t granule)
{
    const uint64_t mine = header_make(0, SHMHEAP_STATE_USED, heap->slot, 0);
    const uint64_t shared = header_make(0, SHMHEAP_STATE_SHARED, heap->slot, 0);
    if (!heap->cached || heap->slot == 0 || UNLIKELY(!index_is_start(heap, granule)))
        return 0;
    uint32_t upper = load_upper(block_header(heap, granule)),
             generation = upper >> UPPER_GENERATION_SHIFT << UPPER_GENERATION_SHIFT;
    if ((upper ^ generation) == header_upper(mine))
        store_publish_upper(block_header(heap, granule), generation | header_upper(shared));
    else if ((upper ^ generation) != header_upper(shared))
        return 0;
    return upper;
}

shmheap_object_handle shmheap_ptr_to_handle(shmheap_memory_handle mem, void *ptr)
{
    struct shmheap *heap = mem.heap;
    uint64_t granule = usable(mem) ? granule_of_pointer(heap, ptr) : GRANULE_NONE;
    uint32_t upper = granule != GRANULE_NONE ? share_at_once(heap, granule) : 0;
    if (upper != 0)
        return handle_make(heap, granule, (uint64_t)upper << 32);
    uint64_t header = granule != GRANULE_NONE ? index_live(heap, granule) : 0;
    if (header == 0 && granule != GRANULE_NONE && (header = header_named(heap, granule)) != 0)
        return handle_make(heap, granule, header);
    return handle_make(heap, granule, share(heap, granule, header));
}

void *shmheap_handle_to_ptr(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    struct shmheap *heap = mem.heap;
    uint64_t granule = hdl.bits & HEADER_SIZE_MASK,
             generation = hdl.bits >> HANDLE_GENERATION_SHIFT & GENERATION_MASK;
    if (UNLIKELY(!usable(mem) ||
                 hdl.bits >> HANDLE_TAG_SHIFT != heap->handle_tag >> HANDLE_TAG_SHIFT ||
                 !granule_known(heap, granule)))
        return fail_null(EINVAL);
    uint64_t header = index_live(heap, granule);
    if (UNLIKELY(header == 0))
        header = header_named(heap, granule);
    if (UNLIKELY(header == 0 || header_generation(header) != generation))
        return fail_null(ESTALE);
    return block_payload(heap, granule);
}

/* Holding --------------------------------------------------------------- */

/* The granule of an object that is to be sent; GRANULE_NONE with errno. */
static ALWAYS_INLINE uint64_t granule_to_send(shmheap_memory_handle mem, const void *ptr)
{
    uint64_t granule =
        usable(mem) && !mem.heap->read_only ? granule_of_pointer(mem.heap, ptr) : GRANULE_NONE;
    if (UNLIKELY(granule == GRANULE_NONE))
        errno = usable(mem) && mem.heap->read_only ? EACCES : EINVAL;
    return granule;
}

shmheap_object_handle shmheap_send(shmheap_memory_handle mem, void *ptr)
{
    uint64_t granule = granule_to_send(mem, ptr);
    return handle_make(mem.heap, granule,
                       granule != GRANULE_NONE ? ownership_send(mem.heap, granule) : 0);
}

shmheap_object_handle shmheap_send_labelled(shmheap_memory_handle mem, void *ptr,
                                            const uint64_t *words, size_t count)
{
    const shmheap_object_handle null = {0};
    if (UNLIKELY(words == NULL || count == 0)) {
        errno = EINVAL;
        return null;
    }
    uint64_t granule = granule_to_send(mem, ptr), header = 0;
    if (granule != GRANULE_NONE)
        header = ownership_send_labelled(mem.heap, granule, words, count);
    /* The block may reach into a part of the region that this connection has not seen yet. */
    if (UNLIKELY(header == 0 && granule != GRANULE_NONE && errno == EBADMSG) &&
        catch_up(mem.heap) == 0)
        header = ownership_send_labelled(mem.heap, granule, words, count);
    return handle_make(mem.heap, granule, header);
}

/* Whether an object in transit may be claimed: 1, or 0 with errno. */
static ALWAYS_INLINE int may_receive(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    struct shmheap *heap = mem.heap;
    int known = usable(mem) &&
                hdl.bits >> HANDLE_TAG_SHIFT == heap->handle_tag >> HANDLE_TAG_SHIFT &&
                granule_known(heap, hdl.bits & HEADER_SIZE_MASK);
    if (UNLIKELY(!known || heap->read_only)) {
        errno = known ? EACCES : EINVAL;
        return 0;
    }
    return LIKELY(load_acquire_u32(&heap->ready)) || recover_take_slot(heap) == 0;
}

void *shmheap_receive(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    uint64_t granule = hdl.bits & HEADER_SIZE_MASK,
             generation = hdl.bits >> HANDLE_GENERATION_SHIFT & GENERATION_MASK;
    if (!may_receive(mem, hdl))
        return NULL;
    return ownership_receive(mem.heap, granule, (unsigned)generation) != 0
               ? block_payload(mem.heap, granule)
               : NULL;
}

void *shmheap_receive_labelled(shmheap_memory_handle mem, shmheap_object_handle hdl, uint64_t label,
                               size_t least)
{
    uint64_t granule = hdl.bits & HEADER_SIZE_MASK,
             generation = hdl.bits >> HANDLE_GENERATION_SHIFT & GENERATION_MASK;
    if (!may_receive(mem, hdl))
        return NULL;
    uint64_t header =
        ownership_receive_labelled(mem.heap, granule, (unsigned)generation, label, least);
    /* As in shmheap_send_labelled. */
    if (UNLIKELY(header == 0 && errno == EBADMSG) && catch_up(mem.heap) == 0)
        header = ownership_receive_labelled(mem.heap, granule, (unsigned)generation, label, least);
    return header != 0 ? block_payload(mem.heap, granule) : NULL;
}

int shmheap_put_back(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    uint64_t granule = hdl.bits & HEADER_SIZE_MASK,
             generation = hdl.bits >> HANDLE_GENERATION_SHIFT & GENERATION_MASK;
    return may_receive(mem, hdl) ? ownership_put_back(mem.heap, granule, (unsigned)generation) : -1;
}

size_t shmheap_peek(shmheap_memory_handle mem, shmheap_object_handle hdl, ptrdiff_t offset,
                    void *buffer, size_t bytes)
{
    struct shmheap *heap = mem.heap;
    uint64_t granule = hdl.bits & HEADER_SIZE_MASK,
             generation = hdl.bits >> HANDLE_GENERATION_SHIFT & GENERATION_MASK;
    const struct ownership_part part = {offset < 0 ? -(uint64_t)offset : (uint64_t)offset,
                                        offset < 0, bytes, buffer};
    if (!usable(mem) || (buffer == NULL && bytes != 0) ||
        hdl.bits >> HANDLE_TAG_SHIFT != heap->handle_tag >> HANDLE_TAG_SHIFT ||
        !granule_known(heap, granule)) {
        errno = EINVAL;
        return 0;
    }
    int before = errno;
    uint64_t len = ownership_peek(heap, granule, (unsigned)generation, &part);
    /* The block may reach into a part of the region that this connection has not seen yet. */
    if (UNLIKELY(len == 0 && errno == EBADMSG) && catch_up(heap) == 0)
        len = ownership_peek(heap, granule, (unsigned)generation, &part);
    if (len != 0)
        errno = before;
    return (size_t)len;
}

long shmheap_reap(shmheap_memory_handle mem, unsigned flags)
{
    struct shmheap *heap = mem.heap;
    int before = errno;
    if ((flags & ~(unsigned)SHMHEAP_REAP_SHARED) != 0)
        return fail(EINVAL);
    if (heap_lock(heap) != 0)
        return -1;
    int calm = process_cancel_off();
    long freed = ownership_reap(heap, (flags & SHMHEAP_REAP_SHARED) != 0);
    process_cancel_restore(calm);
    heap_unlock_freed(heap);
    if (freed >= 0)
        errno = before;
    return freed;
}

/* Names ----------------------------------------------------------------- */

/* Lock held. */
static int64_t use_named(struct shmheap *heap, const struct name *name, size_t size)
{
    int before = errno, calm = process_cancel_off();
    int64_t granule = names_use(heap, name, size);
    if (granule == FIT_NONE && !never_fits(heap, block_granules(heap, size))) {
        if (grow_for(heap, names_namespace(heap, name, size)) == 0)
            granule = names_use(heap, name, size);
        if (granule == FIT_NONE && wait_found(heap, INSPECT_FIRST))
            granule = names_use(heap, name, size);
    }
    if (granule == FIT_NONE)
        count_failed(heap);
    process_cancel_restore(calm);
    errno = before;
    return granule;
}

static void *alloc_named(shmheap_memory_handle mem, const char *name, size_t size, unsigned kept)
{
    struct name wanted;
    if (!usable(mem))
        return fail_null(EINVAL);
    if (name_set(mem.heap, &wanted, name) != 0 || heap_lock(mem.heap) != 0)
        return NULL;
    wanted.kept = kept;
    int64_t granule = use_named(mem.heap, &wanted, size);
    heap_unlock(mem.heap);
    return granule >= 0 ? block_payload(mem.heap, (uint64_t)granule)
                        : fail_null(fit_errno(granule));
}

void *shmheap_alloc_named(shmheap_memory_handle mem, const char *name, size_t size)
{
    return alloc_named(mem, name, size, 0);
}

void *shmheap_alloc_kept(shmheap_memory_handle mem, const char *name, size_t size)
{
    return alloc_named(mem, name, size, 1);
}

/* Does change with the name, under the lock: its result, or -1 with errno. */
static int name_change(shmheap_memory_handle mem, const char *name,
                       int (*change)(struct shmheap *, const struct name *))
{
    struct name wanted;
    int before = errno;
    if (!usable(mem))
        return fail(EINVAL);
    if (name_set(mem.heap, &wanted, name) != 0 || heap_lock(mem.heap) != 0)
        return -1;
    int calm = process_cancel_off(), result = change(mem.heap, &wanted);
    process_cancel_restore(calm);
    heap_unlock_freed(mem.heap);
    if (result < 0)
        return fail(result == FIT_UNKNOWN ? ENOENT : fit_errno(result));
    errno = before; /* asking after processes is not the caller's business */
    return result;
}

int shmheap_name_keep(shmheap_memory_handle mem, const char *name)
{
    return name_change(mem, name, names_keep);
}

int shmheap_name_remove(shmheap_memory_handle mem, const char *name)
{
    return name_change(mem, name, names_remove);
}

/* Names change too fast: under the lock. */
static COLD int64_t find_locked(struct shmheap *heap, const struct name *name, uint64_t *len)
{
    if (heap->read_only) {
        errno = EAGAIN;
        return FIT_LOCK;
    }
    if (heap_lock(heap) != 0)
        return FIT_LOCK;
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
        granule = find_locked(heap, &wanted, &len);
    if (granule < 0)
        return granule == FIT_LOCK
                   ? NULL
                   : fail_null(granule == FIT_UNKNOWN ? ENOENT : fit_errno(granule));
    if (size != NULL)
        *size = (size_t)len;
    return block_payload(heap, (uint64_t)granule);
}

/* Looking --------------------------------------------------------------- */

int shmheap_names(shmheap_memory_handle mem, int (*visit)(const shmheap_name_info *, void *),
                  void *context)
{
    return visit != NULL && usable(mem) ? inspect_names(mem.heap, visit, context) : fail(EINVAL);
}

int shmheap_check(shmheap_memory_handle mem, shmheap_report *report)
{
    shmheap_report unseen;
    return usable(mem) ? inspect_check(mem.heap, report != NULL ? report : &unseen) : fail(EINVAL);
}

int shmheap_stat(shmheap_memory_handle mem, shmheap_stats *stats)
{
    shmheap_stats found;
    if (stats == NULL || !usable(mem))
        return fail(EINVAL);
    if (inspect_stat(mem.heap, &found) != 0)
        return -1;
    *stats = found;
    return 0;
}

int shmheap_walk(shmheap_memory_handle mem, int (*visit)(const shmheap_block_info *, void *),
                 void *context)
{
    return visit != NULL && usable(mem) ? inspect_walk(mem.heap, visit, context) : fail(EINVAL);
}

int shmheap_processes(shmheap_memory_handle mem, int (*visit)(const shmheap_process_info *, void *),
                      void *context)
{
    return visit != NULL && usable(mem) ? inspect_processes(mem.heap, visit, context)
                                        : fail(EINVAL);
}
