/* live.c: samples of heaps that change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/live/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/shmheap/heaps/shm_folder.h"
#include "tools/shmheap/live/pressure.h"
#include "tools/shmheap/command_line/say.h"

enum { PROBE_MS = 50 };

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void heap_drop(struct live_heap *heap)
{
    free(heap->name);
    memset(heap, 0, sizeof *heap);
}

static int append(struct live *live, const struct live_heap *heap)
{
    struct live_heap *bigger = reallocarray(live->heaps, live->count + 1, sizeof *bigger);
    if (!bigger) {
        errno = ENOMEM;
        return -1;
    }
    live->heaps = bigger;
    live->heaps[live->count++] = *heap;
    return 0;
}

/* Returns 1 if name is a heap, perhaps one that cannot be read now; 0 if it is none; -1 with errno
 * if it cannot be opened. */
static int sample(struct live_heap *heap)
{
    shmheap_memory_handle mem;
    heap->taken_ns = now_ns(CLOCK_MONOTONIC);
    heap->time_ns = now_ns(CLOCK_REALTIME);
    if (heap_ref_open_now(&heap->ref, &mem))
        return errno == EAGAIN ? 1 : errno == EBADMSG || errno == ETIMEDOUT ? 0 : -1;
    heap->is_seen = shmheap_stat(mem, &heap->stats) == 0;
    shmheap_disconnect(mem);
    return 1;
}

/* Returns 0, or -1 with errno. */
static int add_heap(struct live *live, const char *name)
{
    struct live_heap heap = {.name = strdup(name)};
    if (!heap.name) {
        errno = ENOMEM;
        return -1;
    }
    int found = heap_ref_set(&heap.ref, heap.name, live->is_file) ? 0 : sample(&heap);
    if (found == 0)
        errno = EBADMSG;
    int is_wanted = found > 0 || (live->names && live->is_running);
    if (is_wanted && append(live, &heap) == 0)
        return 0;
    int error = errno;
    heap_drop(&heap);
    errno = error;
    return live->names || error == ENOMEM ? -1 : 0;
}

static int add_file(const char *name, const struct stat *status, int readable, void *context)
{
    return readable && status->st_size && add_heap(context, name) ? STATUS_FAILED : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct live_heap *)a)->name, ((const struct live_heap *)b)->name);
}

static double per_second(uint64_t now, uint64_t before, uint64_t ns)
{
    return now < before || ns == 0 ? 0 : (double)(now - before) * 1e9 / (double)ns;
}

/* A heap of the same name that was made anew has another id. */
static void compare(struct live_heap *heap, const struct live_heap *before)
{
    uint64_t ns = heap->taken_ns - before->taken_ns;
    if (!heap->is_seen || !before->is_seen || heap->stats.id != before->stats.id)
        return;
    heap->has_rates = 1;
    heap->allocs = per_second(heap->stats.allocs, before->stats.allocs, ns);
    heap->frees = per_second(heap->stats.frees, before->stats.frees, ns);
    heap->alloc_bytes = per_second(heap->stats.alloc_bytes, before->stats.alloc_bytes, ns);
    heap->probes = before->probing;
}

static int collect(struct live *live)
{
    if (!live->names)
        return shm_folder_each(add_file, live);
    for (int i = 0; i < live->name_count; i++) {
        struct heap_ref ref;
        int status = heap_ref_set(&ref, live->names[i], live->is_file);
        if (status)
            return status;
        if (add_heap(live, live->names[i]))
            return heap_fail(&ref);
    }
    return 0;
}

int live_update(struct live *live)
{
    struct live before = *live;
    live->heaps = NULL;
    live->count = 0;
    if (before.count)
        qsort(before.heaps, before.count, sizeof *before.heaps, by_name);
    int status = collect(live);
    if (live->count)
        qsort(live->heaps, live->count, sizeof *live->heaps, by_name);
    for (size_t i = 0; i < live->count; i++) {
        struct live_heap *heap = &live->heaps[i], *found = NULL;
        heap->ref.text = heap->name;
        if (before.count)
            found = bsearch(heap, before.heaps, before.count, sizeof *heap, by_name);
        if (found)
            compare(heap, found);
    }
    live_free(&before);
    live->is_running = 1;
    return status;
}

void live_probe(struct live *live)
{
    for (size_t i = 0; i < live->count; i++) {
        struct live_heap *heap = &live->heaps[i];
        shmheap_memory_handle mem;
        if (heap_ref_open_now(&heap->ref, &mem))
            continue;
        struct pressure pressure = pressure_read(mem);
        shmheap_disconnect(mem);
        heap->probing.count++;
        heap->probing.held += pressure.is_held;
        heap->probing.lock_waits += pressure.lock_is_awaited;
        heap->probing.space_waits += pressure.space_is_awaited;
    }
}

void live_wait(struct live *live, unsigned ms)
{
    for (unsigned left = ms; left;) {
        unsigned part = left < PROBE_MS ? left : PROBE_MS;
        struct timespec pause = {0, (long)part * 1000000};
        nanosleep(&pause, NULL);
        live_probe(live);
        left -= part;
    }
}

void live_free(struct live *live)
{
    for (size_t i = 0; i < live->count; i++)
        heap_drop(&live->heaps[i]);
    free(live->heaps);
    live->heaps = NULL;
    live->count = 0;
}
