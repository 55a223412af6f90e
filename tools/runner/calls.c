/* calls.c: the allocating calls of the C library, on the heap of `shmheap run`. For LD_PRELOAD.
 *
 * The files of this folder: mirror.c has the memory, objects.c the objects in it, process.c the
 * heap of the process and what fork() changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "objects.h"
#include "process.h"
#include "tools/preload/next.h"

EXPORT void *malloc(size_t size)
{
    if (process_is_on())
        return object_alloc(size);
    const struct next *next = next_calls();
    return next ? next->malloc(size) : early_take(size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    if (process_is_on())
        return object_calloc(total);
    const struct next *next = next_calls();
    return next ? next->calloc(count, size) : early_take(total);
}

EXPORT void free(void *memory)
{
    if (!memory || early_is(memory))
        return;
    struct mirror *mirror = process_mirror_of(memory);
    const struct next *next = mirror ? NULL : next_calls();
    if (mirror)
        object_free(mirror, memory);
    else if (next)
        next->free(memory);
}

static void *moved(void *memory, size_t before, size_t size)
{
    void *made = malloc(size);
    if (!made)
        return NULL;
    memcpy(made, memory, before < size ? before : size);
    free(memory);
    return made;
}

EXPORT void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);
    if (early_is(memory))
        return moved(memory, early_size(memory), size);
    struct mirror *mirror = process_mirror_of(memory);
    if (!mirror)
        return next_calls()->realloc(memory, size); /* known: memory comes from there */
    if (size == 0) {
        free(memory); /* as the C library does */
        return NULL;
    }
    return object_resize(mirror, memory, size) ? memory
                                               : moved(memory, object_usable(mirror, memory), size);
}

/* The alignment of every object at least, and a power of two: the C library rounds up, too. */
static size_t alignment_round(size_t alignment)
{
    size_t rounded = 16;
    while (rounded < alignment)
        rounded *= 2;
    return rounded;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment > (size_t)PTRDIFF_MAX + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (process_is_on())
        return object_aligned(alignment_round(alignment), size);
    const struct next *next = next_calls();
    return next ? next->memalign(alignment, size) : NULL;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    int saved = errno;
    if (alignment % sizeof(void *) || alignment & (alignment - 1) || alignment == 0)
        return EINVAL;
    void *made = memalign(alignment, size);
    errno = saved;
    if (!made)
        return ENOMEM;
    *out = made;
    return 0;
}

EXPORT size_t malloc_usable_size(void *memory)
{
    if (!memory)
        return 0;
    if (early_is(memory))
        return early_size(memory);
    const struct mirror *mirror = process_mirror_of(memory);
    return mirror ? object_usable(mirror, memory) : next_calls()->malloc_usable_size(memory);
}
