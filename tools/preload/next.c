/* next.c: finds the C library's own allocating calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "next.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { EARLY_HEADER = 16 }; /* for the size; keeps the alignment */

static struct next next;
static int ready;
static unsigned char early[1 << 16] __attribute__((aligned(16)));
static size_t early_used;
static __thread int resolving __attribute__((tls_model("initial-exec")));

void *early_take(size_t size)
{
    size_t len = (size + EARLY_HEADER + 15) & ~(size_t)15;
    size_t at = __atomic_fetch_add(&early_used, len, __ATOMIC_RELAXED);
    if (size > sizeof early || at + len > sizeof early) {
        errno = ENOMEM;
        return NULL;
    }
    memcpy(early + at, &size, sizeof size);
    return early + at + EARLY_HEADER;
}

int early_is(const void *memory)
{
    uintptr_t at = (uintptr_t)memory, start = (uintptr_t)early;
    return at >= start && at < start + sizeof early;
}

size_t early_size(const void *memory)
{
    size_t size;
    memcpy(&size, (const unsigned char *)memory - EARLY_HEADER, sizeof size);
    return size;
}

/* Copies the pointer: ISO C has no cast from an object pointer to a function pointer, but POSIX
 * guarantees the same representation. */
static void find(void *function, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol) {
        static const char text[] =
            "shmheap: the program has no C library whose malloc could be replaced\n";
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
    find(&next.malloc_usable_size, "malloc_usable_size");
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
    resolving = 0;
    errno = saved;
}

const struct next *next_calls(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE))
        return &next;
    if (resolving)
        return NULL;
    pthread_once(&once, resolve);
    return &next;
}
