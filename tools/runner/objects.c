/* objects.c: the objects of the program, each with a block of the heap.
 *
 * The word before an object holds twice the bytes that it can hold. So a forked child knows them
 * without the heap of its parent, which changes. An alignment beyond a page is not the heap's
 * matter: the object lies inside a longer block, at a distance from the block's payload. Its word
 * is odd, and the word before that is the distance.
 *
 *   payload of the block    distance        object
 *   |                       | distance | W+1 | ...
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "c/src/api/call.h"
#include "process.h"
#include "settings.h"

enum { WORD = 8, GRANULE = 16 };

/* A program that requests this much tries how malloc fails. */
static const size_t BEYOND_MEMORY = PTRDIFF_MAX / 2;

static uint64_t *word_of(const void *object) { return (uint64_t *)(uintptr_t)object - 1; }

/* What a block holds at least: whole granules without the header. */
static size_t usable_for(size_t size)
{
    return ((size + WORD + GRANULE - 1) & ~(size_t)(GRANULE - 1)) - WORD;
}

static void *payload_of(const struct mirror *mirror, void *object)
{
    uint64_t displaced = *word_of(object) & 1;
    size_t distance = displaced ? word_of(object)[-1] : 0;
    return distance > (size_t)((char *)object - mirror->base)
               ? NULL
               : (char *)object - distance + mirror->to_region;
}

static int is_own(const struct mirror *mirror)
{
    return process_is_on() && mirror == process_mirror;
}

/* Objects lie, from now on, as far as this end. Returns whether one may have lain there before. */
static int note_end(struct mirror *mirror, const void *object, size_t len)
{
    size_t start = (size_t)((const char *)object - mirror->base), end = start + len;
    size_t fresh = __atomic_load_n(&mirror->fresh, __ATOMIC_RELAXED);
    int used = start < fresh;
    while (fresh < end && !__atomic_compare_exchange_n(&mirror->fresh, &fresh, end, 1,
                                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    return used;
}

static void say_why(size_t size, int error)
{
    shmheap_stats stats;
    const char *name = process_heap_name();
    if (error == ENOMEM && shmheap_stat(process_heap, &stats) == 0) {
        if (size + RUN_FIRST_LEN < stats.max_len - stats.len)
            process_say("the heap '%s' cannot grow: the system lacks memory for it, or a limit "
                        "forbids; malloc of %zu bytes fails",
                        name, size);
        else
            process_say("the heap '%s' is full: malloc of %zu bytes fails; use a --len above %llu",
                        name, size, (unsigned long long)stats.max_len);
        return;
    }
    process_say("the heap '%s' fails: %s; malloc fails, too", name, strerror(error));
}

static void *refuse(size_t size, int error)
{
    static int said;
    if (size < BEYOND_MEMORY && !__atomic_exchange_n(&said, 1, __ATOMIC_RELAXED)) {
        process_inside = 1;
        say_why(size, error);
        process_inside = 0;
    }
    errno = ENOMEM;
    return NULL;
}

static void *place(size_t alignment, size_t size, int *used)
{
    struct mirror *mirror = process_mirror;
    if (size > PTRDIFF_MAX)
        return refuse(size, ENOMEM);
    process_inside = 1;
    char *payload = alignment <= GRANULE ? shmheap_alloc(process_heap, size)
                                         : shmheap_aligned_alloc(process_heap, alignment, size);
    process_inside = 0;
    if (!payload)
        return refuse(size, errno);
    char *object = payload - mirror->to_region;
    size_t usable = usable_for(size);
    *word_of(object) = usable << 1;
    *used = note_end(mirror, object, usable);
    return object;
}

void *object_alloc(size_t size)
{
    int used;
    return place(GRANULE, size, &used);
}

void *object_calloc(size_t size)
{
    int used;
    void *object = place(GRANULE, size, &used);
    return object && used ? memset(object, 0, usable_for(size)) : object;
}

void *object_aligned(size_t alignment, size_t size)
{
    int used;
    if (alignment <= (size_t)sysconf(_SC_PAGESIZE))
        return place(alignment, size, &used);
    char *object = size > PTRDIFF_MAX ? NULL : place(GRANULE, size + alignment, &used);
    if (!object)
        return refuse(size, ENOMEM);
    size_t distance = -(uintptr_t)object & (alignment - 1);
    if (distance == 0)
        return object;
    size_t usable = (*word_of(object) >> 1) - distance;
    *word_of(object + distance) = usable << 1 | 1;
    word_of(object + distance)[-1] = distance;
    return object + distance;
}

static void no_object(const void *object)
{
    process_inside = 1;
    process_say("%p is not the start of a live object of the heap '%s': freed twice?", object,
                process_heap_name());
    abort();
}

void object_free(const struct mirror *mirror, void *object)
{
    int saved = errno;
    if (!is_own(mirror))
        return;
    void *payload = payload_of(mirror, object);
    process_inside = 1;
    int failed = payload ? shmheap_try_free(process_heap, payload) : (errno = EINVAL, -1);
    process_inside = 0;
    /* Other errors are a peer's doing: the memory is lost, the program continues. */
    if (failed && errno == EINVAL)
        no_object(object);
    errno = saved;
}

int object_resize(struct mirror *mirror, void *object, size_t size)
{
    int saved = errno;
    if (*word_of(object) & 1 || !is_own(mirror) || size > PTRDIFF_MAX)
        return 0;
    process_inside = 1;
    int result = resize_in_place(process_heap.heap, (char *)object + mirror->to_region, size);
    process_inside = 0;
    if (result == FIT_UNKNOWN)
        no_object(object);
    errno = saved;
    if (result != 0)
        return 0;
    *word_of(object) = usable_for(size) << 1;
    note_end(mirror, object, usable_for(size));
    return 1;
}

size_t object_usable(const struct mirror *mirror, const void *object)
{
    size_t usable = *word_of(object) >> 1;
    if (usable > mirror->len - (size_t)((const char *)object - mirror->base))
        no_object(object);
    return usable;
}
