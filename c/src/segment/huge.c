/* huge.c: requests huge pages by MADV_COLLAPSE, within time limits where the caller did not request
 * them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "huge.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "../base/kernel.h"

enum {
    HUGE_PAGE = 2 << 20,
    HUGE_HEAP_MIN = 16 << 20, /* bytes of a segment that gets huge pages without a request */
    HUGE_INTERRUPTIONS = 100,
    /* Time limits for each huge page without a request: when the heap is made, and when it grows,
     * since other processes then wait for the lock. */
    MAKE_NS = 1000000,
    GROW_NS = 250000
};

static int is_wanted(const struct shmheap *heap)
{
    return heap->huge || heap->layout.segment_len >= HUGE_HEAP_MIN;
}

void *huge_address(const struct shmheap *heap)
{
    if (!is_wanted(heap))
        return NULL;
    size_t len = (size_t)heap->layout.map_len + HUGE_PAGE;
    unsigned char *room =
        mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    uintptr_t at = (uintptr_t)round_up((uintptr_t)room, HUGE_PAGE);
    munmap(room, len);
    return (void *)at; /* another thread may take the range first: then the kernel chooses */
}

/* Returns 1, or 0 when the kernel has no huge page for this place. MADV_COLLAPSE works under any
 * setting of the machine and fills holes. It needs one small page to start from; more of them make
 * it several times slower. */
static int fill_one(const struct shmheap *heap, uint64_t at)
{
    int tries = 0;
    while (fallocate(heap->fd, 0, (off_t)at, 1) != 0)
        if (errno != EINTR || ++tries == HUGE_INTERRUPTIONS)
            return 0;
    return madvise(heap->base + at, HUGE_PAGE, MADV_COLLAPSE) == 0;
}

/* Returns the granule at this offset in the segment, or 0 before the region. */
static uint64_t granule_at(const struct shmheap *heap, uint64_t off)
{
    uint64_t region = heap->layout.region_off;
    return off > region ? (off - region) >> heap->shift : 0;
}

/* Clearing 2 MiB takes a quarter of a millisecond, but ten times as long in a virtual machine whose
 * host must find the memory first. Small pages are cleared when they are used. So the time limit
 * ends the filling early: the caller does not wait for memory that it may never use. */
void huge_fill(struct shmheap *heap, uint64_t from, uint64_t to, uint64_t *filled_from,
               uint64_t *filled_to)
{
    uint64_t at = round_up(from, HUGE_PAGE);
    *filled_from = *filled_to = from;
    if (!is_wanted(heap) || at + HUGE_PAGE > to)
        return;
    int making = load_u64(&heap->len_known) == 0;
    *filled_from = at;
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), each = making ? MAKE_NS : GROW_NS;
    uint64_t limit = (to - at) / HUGE_PAGE * each;
    for (; at + HUGE_PAGE <= to && (heap->huge || clock_ns(CLOCK_MONOTONIC) - begin < limit);
         at += HUGE_PAGE)
        if (!fill_one(heap, at))
            break;
    *filled_to = at;
    /* A new heap is filled part by part; the region is the last part. */
    if (making || load_u64(&heap->huge_next) == HUGE_NEVER)
        store_u64(&heap->huge_next, granule_at(heap, at));
}

void huge_touch_first(struct shmheap *heap, uint64_t granule)
{
    int before = errno;
    if (granule >= connection_end(heap))
        return;
    uint64_t region = heap->layout.region_off,
             page = (region + (granule << heap->shift)) / HUGE_PAGE * HUGE_PAGE;
    uint64_t next = granule_at(heap, page + HUGE_PAGE);
    if (page + HUGE_PAGE <= region + load_u64(&heap->len_known) &&
        madvise(heap->base + page, HUGE_PAGE, MADV_COLLAPSE) != 0 && errno == EINVAL)
        next = HUGE_NEVER; /* this kernel cannot, or not for this process */
    store_u64(&heap->huge_next, next);
    errno = before;
}

void huge_connected(struct shmheap *heap)
{
    if (is_wanted(heap) && !(heap->format_flags & FORMAT_SPARSE))
        store_u64(&heap->huge_next, load_u64(&heap->control->top));
}

void huge_request(const struct shmheap *heap, uint64_t len)
{
    int before = errno;
    int has_holes = len < heap->layout.segment_len || (heap->format_flags & FORMAT_SPARSE);
    /* Huge pages fill the holes of a sparse heap, and of a file on a disk. */
    if (heap->huge && !(has_holes && connection_is_on_disk(heap))) {
        madvise(heap->base, heap->map_len, MADV_HUGEPAGE);
        if (!(heap->format_flags & FORMAT_SPARSE))
            madvise(heap->base, (size_t)len / HUGE_PAGE * HUGE_PAGE, MADV_COLLAPSE);
    }
    errno = before;
}
