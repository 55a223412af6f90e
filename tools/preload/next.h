/* next.h: the C library's own allocating calls, for libraries that take their place (LD_PRELOAD).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_PRELOAD_NEXT_H
#define SHMHEAP_PRELOAD_NEXT_H

#include <stddef.h>

#define EXPORT __attribute__((visibility("default")))

struct next {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    size_t (*malloc_usable_size)(void *);
};

/* next_calls returns the calls. It looks them up at the first call, by dlsym, which may allocate:
 * for calls that come from there it returns NULL. If the program has no such calls, it ends the
 * process. It keeps errno. */
const struct next *next_calls(void);

/* early_take returns zeroed memory while next_calls returns NULL. It is never freed. Returns NULL
 * with errno ENOMEM when there is no more. early_is tells whether memory comes from there,
 * early_size how many bytes were requested. */
void *early_take(size_t size);
int early_is(const void *memory);
size_t early_size(const void *memory);

#endif
