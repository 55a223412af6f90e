/* calls.c: wraps the C library's allocating calls and records them. For LD_PRELOAD.
 *
 * An allocation is recorded after the call, a free before it. So the file never has two allocations
 * of an address without a free in between, for any interleaving of threads. A realloc is both at
 * once: it holds the stream's lock during the call.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tools/preload/next.h"

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

EXPORT void *malloc(size_t size)
{
    const struct next *next = next_calls();
    if (!next)
        return early_take(size);
    void *made = next->malloc(size);
    record_new(RAW_MALLOC, 0, made, size);
    return made;
}

EXPORT void *calloc(size_t count, size_t size)
{
    const struct next *next = next_calls();
    size_t total;
    if (!next)
        return __builtin_mul_overflow(count, size, &total) ? NULL : early_take(total);
    void *made = next->calloc(count, size);
    record_new(RAW_CALLOC, 0, made, count * size);
    return made;
}

EXPORT void free(void *memory)
{
    const struct next *next;
    if (!memory || early_is(memory) || !(next = next_calls()))
        return;
    record_free(memory);
    next->free(memory);
}

static void *realloc_early(void *memory, size_t size)
{
    size_t before = early_size(memory);
    void *made = malloc(size);
    if (made)
        memcpy(made, memory, before < size ? before : size);
    return made;
}

EXPORT void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);
    if (early_is(memory))
        return realloc_early(memory, size);
    const struct next *next = next_calls(); /* known: memory comes from there */
    if (!stream_lock())
        return next->realloc(memory, size);
    void *made = next->realloc(memory, size);
    if (made)
        stream_put(RAW_REALLOC, 0, memory, size, made);
    else if (size == 0)
        stream_put(RAW_FREE, 0, memory, 0, NULL); /* the C library frees at size 0 */
    stream_unlock();
    return made;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    const struct next *next = next_calls();
    if (!next)
        return NULL;
    void *made = next->memalign(alignment, size);
    record_new(RAW_ALIGNED, alignment, made, size);
    return made;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    const struct next *next = next_calls();
    if (!next)
        return NULL;
    void *made = next->aligned_alloc(alignment, size);
    record_new(RAW_ALIGNED, alignment, made, size);
    return made;
}

EXPORT int posix_memalign(void **out, size_t alignment, size_t size)
{
    const struct next *next = next_calls();
    if (!next)
        return ENOMEM;
    int error = next->posix_memalign(out, alignment, size);
    if (!error)
        record_new(RAW_ALIGNED, alignment, *out, size);
    return error;
}
