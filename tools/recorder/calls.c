/* calls.c: wraps the C library's allocating calls and records them. For LD_PRELOAD.
 *
 * An allocation is recorded after the call, a free before it. So the file never has two allocations
 * of an address without a free in between, for any interleaving of threads. A realloc is both at
 * once: it holds the stream's lock during the call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    int ready;
} next;

/* dlsym may allocate before the real calls are known. It gets zeroed memory from here, which is
 * never freed. */
static unsigned char early[1 << 16] __attribute__((aligned(16)));
static size_t early_used;
static __thread int resolving __attribute__((tls_model("initial-exec")));

static void *early_take(size_t size)
{
    size_t len = (size + 31) & ~(size_t)15; /* 16 bytes for the size, which realloc needs */
    size_t at = __atomic_fetch_add(&early_used, len, __ATOMIC_RELAXED);
    if (size > sizeof early || at + len > sizeof early) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(early + at, &size, sizeof size);
    return early + at + 16;
}

static int is_early(const void *memory)
{
    uintptr_t at = (uintptr_t)memory, start = (uintptr_t)early;
    return at >= start && at < start + sizeof early;
}

/* Copies the pointer: ISO C has no cast from an object pointer to a function pointer, but POSIX
 * guarantees the same representation. */
static void find(void *function, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol) {
        static const char text[] =
            "shmheap recorder: the program has no C library whose malloc could be recorded\n";
        ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
        (void)ignored;
        _exit(127);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static void resolve(void)
{
    int saved = errno;
    resolving = 1;
    find(&next.malloc, "malloc");
    find(&next.calloc, "calloc");
    find(&next.realloc, "realloc");
    find(&next.free, "free");
    find(&next.memalign, "memalign");
    find(&next.aligned_alloc, "aligned_alloc");
    find(&next.posix_memalign, "posix_memalign");
    __atomic_store_n(&next.ready, 1, __ATOMIC_RELEASE);
    resolving = 0;
    errno = saved;
}

/* Returns 1 if the real calls can be used; 0 inside dlsym. */
static int known(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (__atomic_load_n(&next.ready, __ATOMIC_ACQUIRE))
        return 1;
    if (resolving)
        return 0;
    pthread_once(&once, resolve);
    return 1;
}

static void record_new(enum raw_op op, size_t alignment, void *made, size_t size)
{
    if (!made || !stream_lock())
        return;
    stream_put(op, alignment ? (unsigned)__builtin_ctzll(alignment) : 0, made, size, NULL);
    stream_unlock();
}

static void record_free(void *memory)
{
    if (!stream_lock())
        return;
    stream_put(RAW_FREE, 0, memory, 0, NULL);
    stream_unlock();
}

#define EXPORT __attribute__((visibility("default")))

EXPORT void *malloc(size_t size)
{
    if (!known())
        return early_take(size);
    void *made = next.malloc(size);
    record_new(RAW_MALLOC, 0, made, size);
    return made;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t total;
    if (!known())
        return __builtin_mul_overflow(count, size, &total) ? NULL : early_take(total);
    void *made = next.calloc(count, size);
    record_new(RAW_CALLOC, 0, made, count * size);
    return made;
}

EXPORT void free(void *memory)
{
    if (!memory || is_early(memory) || !known())
        return;
    record_free(memory);
    next.free(memory);
}

static void *realloc_early(void *memory, size_t size)
{
    size_t before;
    memcpy(&before, (unsigned char *)memory - 16, sizeof before);
    void *made = malloc(size);
    if (made)
        memcpy(made, memory, before < size ? before : size);
    return made;
}

EXPORT void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);
    if (is_early(memory))
        return realloc_early(memory, size);
    known();
    if (!stream_lock())
        return next.realloc(memory, size);
    void *made = next.realloc(memory, size);
    if (made)
        stream_put(RAW_REALLOC, 0, memory, size, made);
    else if (size == 0)
        stream_put(RAW_FREE, 0, memory, 0, NULL); /* the C library frees at size 0 */
    stream_unlock();
    return made;
}

EXPORT void *reallocarray(void *memory, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(memory, total);
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (!known())
        return NULL;
    void *made = next.memalign(alignment, size);
    record_new(RAW_ALIGNED, alignment, made, size);
    return made;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    if (!known())
        return NULL;
    void *made = next.aligned_alloc(alignment, size);
    record_new(RAW_ALIGNED, alignment, made, size);
    return made;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    if (!known())
        return ENOMEM;
    int error = next.posix_memalign(out, alignment, size);
    if (!error)
        record_new(RAW_ALIGNED, alignment, *out, size);
    return error;
}

EXPORT void *valloc(size_t size) { return memalign((size_t)sysconf(_SC_PAGESIZE), size); }

EXPORT void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return size > SIZE_MAX - page ? NULL : memalign(page, (size + page - 1) & ~(page - 1));
}
