/* SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../os/file.h"
#include "huge.h"
#include "../base/kernel.h"
#include "../os/pause.h"
#include "../os/process.h"
#include "reserve.h"

enum { FIXED_SIZE = sizeof(struct fixed) };

/* The connection's view of a segment at base, once layout, shift and the fixed fields are known. */
static void segment_view(struct shmheap *heap, const struct fixed *fixed)
{
    heap->control = (struct control *)(void *)heap->base;
    heap->bits = (struct chunk_bits *)(void *)(heap->base + heap->layout.bits_off);
    for (unsigned level = 0; level < BIN_LEVELS_MAX; level++)
        heap->bin[level] = level < heap->layout.bin_levels
                               ? (shared_u64 *)(void *)(heap->base + heap->layout.bin_off[level])
                               : heap->spare_bin;
    for (unsigned level = 0; level < heap->layout.levels; level++)
        heap->level[level] = (shared_u32 *)(void *)(heap->base + heap->layout.level_off[level]);
    heap->region = heap->base + heap->layout.region_off;
    heap->shift = fixed->shift;
    heap->block_min = layout_block_min(fixed->shift);
    heap->id = fixed->id;
    heap->created_ns = fixed->created_ns;
    heap->format_flags = fixed->flags;
    heap->region_align = fixed->region_align;
    heap->slot_count = fixed->slot_count;
    store_u32(&heap->slots_there, 0);
    if (heap->layout.granules_max >= LIST_GRANULES)
        heap->list_max = 0;
    uint64_t tag = (fixed->id ^ fixed->id >> 13 ^ fixed->id >> 39) & 0x1fff;
    heap->handle_tag = (tag != 0 ? tag : 1) << HANDLE_TAG_SHIFT;
    store_u64(&heap->len_known, 0);
    heap->end = 0;
    heap->grow_most = heap->layout.max_len;
}

static int segment_mmap(struct shmheap *heap)
{
    if (reserve_map_len(heap) > (size_t)-1 / 2) {
        errno = ENOMEM;
        return -1;
    }
    size_t len = (size_t)reserve_map_len(heap);
    int protection = heap->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void *base =
        process_map(huge_address(heap), len, protection, MAP_SHARED | MAP_NORESERVE, heap->fd);
    if (base == MAP_FAILED)
        return -1;
    if (heap->no_dump)
        madvise(base, len, MADV_DONTDUMP);
    heap->base = base;
    heap->map_len = len;
    heap->unmap = 1;
    return 0;
}

void segment_unmap(struct shmheap *heap)
{
    int mapped = heap->unmap;
    heap->unmap = 0; /* first: a child forked meanwhile must not unmap what comes to this place */
    if (mapped)
        munmap(heap->base, heap->map_len);
    heap->base = NULL;
}

int segment_is_there(const struct shmheap *heap)
{
    if (heap->unmap)
        return 1;
    int before = errno;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)heap->base & ~(page - 1);
    int mapped =
        msync((void *)first, (size_t)((uintptr_t)heap->base + heap->layout.region_off - first),
              MS_ASYNC) == 0;
    errno = before;
    return mapped && load_u64(&heap->control->magic) == FORMAT_MAGIC &&
           load_u64(&heap->control->id) == heap->id;
}

/* Making ---------------------------------------------------------------- */

static int fixed_fill(struct fixed *fixed, struct shmheap *heap, const struct segment_plan *plan)
{
    memset(fixed, 0, sizeof *fixed);
    if (getrandom(&fixed->id, sizeof fixed->id, 0) != sizeof fixed->id)
        fixed->id = clock_ns(CLOCK_REALTIME) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)getpid();
    fixed->version = FORMAT_VERSION;
    fixed->shift = plan->shift;
    fixed->max_len = plan->max_len;
    fixed->region_align = plan->region_align;
    fixed->slot_count = plan->slot_count;
    fixed->flags = plan->flags;
    fixed->created_ns = clock_ns(CLOCK_REALTIME);
    if (layout_compute(&heap->layout, plan->max_len, plan->shift, plan->slot_count,
                       plan->region_align) != 0) {
        errno = EFBIG;
        return -1;
    }
    fixed->region_off = heap->layout.region_off;
    return 0;
}

/* All of the control but magic; the memory is zero. */
static void control_fill(struct shmheap *heap, const struct fixed *fixed,
                         const struct segment_plan *plan)
{
    struct control *control = heap->control;
    memcpy((unsigned char *)control + sizeof control->magic,
           (const unsigned char *)fixed + sizeof fixed->magic, FIXED_SIZE - sizeof fixed->magic);
    store_u64(&control->generations, fixed->id);
    store_u64(&control->len, plan->len);
    store_u64(&heap->len_known, plan->len);
    heap->end = layout_granules(plan->len, plan->shift);
}

/* The fixed fields, but for magic, tell those who find the file that a heap is being made. */
static int begin_mark(struct shmheap *heap, const struct fixed *fixed)
{
    if (file_length_check(FIXED_SIZE) != 0)
        return -1;
    reserve_new(heap);
    if (heap->file_kind == FILE_IN_HUGE_PAGES)
        return 0; /* which have no write(2): the file is zeros until it is a heap */
    return file_write(heap->fd, fixed, FIXED_SIZE, 0);
}

int segment_make(struct shmheap *heap, const struct segment_plan *plan)
{
    struct fixed fixed;
    if (fixed_fill(&fixed, heap, plan) != 0 || begin_mark(heap, &fixed) != 0)
        return -1;
    heap->shift = plan->shift;
    heap->format_flags = plan->flags;
    if (segment_mmap(heap) != 0 || (plan->mapped != NULL && plan->mapped(heap) != 0))
        return -1;
    if (plan->scope != NULL) /* of the file, so that it holds for what others make it grow by as
                                well */
        topology_place(plan->scope, heap->base, heap->map_len);
    if (plan->len < plan->max_len)
        reserve_holes_keep(heap);
    if (reserve_region(heap, plan->len) != 0)
        return -1;
    huge_ask(heap, heap->layout.region_off + plan->len);
    segment_view(heap, &fixed);
    control_fill(heap, &fixed, plan);
    return 0;
}

int segment_make_at(struct shmheap *heap, void *memory, uint64_t bytes,
                    const struct segment_plan *plan)
{
    struct fixed fixed;
    if (fixed_fill(&fixed, heap, plan) != 0 || heap->layout.segment_len > bytes) {
        errno = ENOMEM;
        return -1;
    }
    heap->base = memory;
    heap->map_len = (size_t)bytes;
    memset(memory, 0, (size_t)heap->layout.region_off);
    segment_view(heap, &fixed);
    control_fill(heap, &fixed, plan);
    return 0;
}

uint64_t segment_region_fitting(uint64_t bytes, unsigned shift, uint32_t slot_count,
                                uint32_t region_align)
{
    struct layout layout;
    uint64_t most = UINT64_C(1) << (HEADER_SIZE_BITS + shift), low = 0,
             high = bytes < most ? bytes : most;
    while (low < high) { /* the largest len whose segment fits: segment_len grows with len */
        uint64_t middle = low + (high - low + 1) / 2;
        if (middle < REGION_LEN_MIN ||
            (layout_compute(&layout, middle, shift, slot_count, region_align) == 0 &&
             layout.segment_len <= bytes))
            low = middle;
        else
            high = middle - 1;
    }
    return low < REGION_LEN_MIN ? 0 : low;
}

/* Those who wait for magic sleep on its low half. */
static uint32_t *magic_futex(struct control *control)
{
    return (uint32_t *)(void *)&control->magic;
}

void segment_announce(struct shmheap *heap)
{
    store_publish(&heap->control->magic, FORMAT_MAGIC);
    if (heap->has_file)
        syscall(SYS_futex, magic_futex(heap->control), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Connecting ------------------------------------------------------------ */

/* The fixed fields are a heap's, and its layout is plausible: 0; -1 with errno. */
static int fixed_check(struct shmheap *heap, const struct fixed *fixed)
{
    errno = EBADMSG;
    if (fixed->magic != FORMAT_MAGIC)
        return -1;
    if (fixed->version != FORMAT_VERSION) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    if (layout_compute(&heap->layout, fixed->max_len, fixed->shift, fixed->slot_count,
                       fixed->region_align) != 0 ||
        heap->layout.region_off != fixed->region_off ||
        (fixed->flags & ~(FORMAT_SPARSE | FORMAT_REAP)) != 0)
        return -1;
    return 0;
}

/* One look at a file: 1 when a heap's fixed fields are there; 0 when it is being made, or empty; -1
 * with errno when it is no heap. */
static int fixed_read(int fd, struct fixed *fixed)
{
    memset(fixed, 0, sizeof *fixed);
    /* magic comes last, but the first read may have read the rest before magic: so two reads. */
    for (int i = 0; i < 2; i++) {
        ssize_t got = pread(fd, fixed, FIXED_SIZE, 0);
        if (got < 0)
            return -1;
        if (fixed->magic == 0)
            return 0;
        if (fixed->magic != FORMAT_MAGIC || got < FIXED_SIZE) {
            errno = EBADMSG;
            return -1;
        }
    }
    return 1;
}

/* Sleeps until magic is announced, or for some time. A page that the file does not have yet is no
 * place to sleep on. */
static int fixed_sleep(struct control *first_page, struct pause *pause)
{
    struct pause once = *pause;
    uint64_t ns = pause_ns(pause);
    struct timespec limit = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    if (ns == 0)
        return 0;
    if (first_page != MAP_FAILED &&
        (syscall(SYS_futex, magic_futex(first_page), FUTEX_WAIT, 0, &limit, NULL, 0) == 0 ||
         errno == ETIMEDOUT || errno == EAGAIN))
        return 1;
    return pause_sleep(&once);
}

/* The fixed fields of a heap that may be in the making. */
static int fixed_wait(const struct shmheap *heap, struct fixed *fixed, unsigned timeout_ms,
                      int had_name)
{
    struct pause pause = pause_begin(timeout_ms);
    void *first_page = MAP_FAILED;
    int found;
    while ((found = fixed_read(heap->fd, fixed)) == 0) {
        int reason = had_name && file_is_nameless(heap->fd) ? ESTALE
                     : file_was_abandoned(heap->fd)         ? EOWNERDEAD
                                                            : 0;
        if (first_page == MAP_FAILED && heap->file_kind != FILE_IN_HUGE_PAGES)
            first_page = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, heap->fd, 0);
        if (reason == 0 && !fixed_sleep(first_page, &pause))
            reason = ETIMEDOUT;
        if (reason != 0) {
            errno = reason;
            found = -1;
            break;
        }
    }
    int reason = errno;
    if (first_page != MAP_FAILED)
        munmap(first_page, sizeof(struct control));
    errno = reason;
    return found > 0 ? 0 : -1;
}

int segment_await(struct shmheap *heap, unsigned timeout_ms, int had_name)
{
    struct fixed fixed;
    reserve_begin(heap); /* waiting, too, must know what the file lies on */
    return fixed_wait(heap, &fixed, timeout_ms, had_name);
}

int segment_map(struct shmheap *heap)
{
    struct fixed fixed;
    struct stat status;
    /* What segment_await has found stays, unless a hostile peer takes it away: then magic is 0, or
     * any other. */
    if (fixed_read(heap->fd, &fixed) < 0 || fixed_check(heap, &fixed) != 0)
        return -1;
    if (fixed.region_align < FILE_ALIGN) {
        errno = EBADMSG; /* made for memory of the caller, then copied into a file */
        return -1;
    }
    if (fstat(heap->fd, &status) != 0)
        return -1;
    if ((uint64_t)status.st_size < heap->layout.region_off + REGION_LEN_MIN) {
        errno = EBADMSG;
        return -1;
    }
    heap->format_flags = fixed.flags;
    if (segment_mmap(heap) != 0)
        return -1;
    segment_view(heap, &fixed);
    if (segment_refresh(heap) != 0)
        return -1;
    if (load_u64(&heap->len_known) < heap->layout.max_len)
        reserve_holes_keep(heap);
    huge_ask(heap, heap->layout.region_off + load_u64(&heap->len_known));
    huge_connected(heap);
    return 0;
}

int segment_map_at(struct shmheap *heap, void *memory, uint64_t bytes)
{
    struct fixed fixed;
    errno = EBADMSG;
    if (bytes < CONTROL_SIZE)
        return -1;
    /* magic comes last, so it is loaded first. */
    uint64_t words[FIXED_SIZE / sizeof(uint64_t)];
    words_load(words, memory, FIXED_SIZE / sizeof(uint64_t));
    memcpy(&fixed, words, sizeof fixed);
    if (fixed_check(heap, &fixed) != 0)
        return -1;
    if (heap->layout.segment_len > bytes) {
        errno = EBADMSG;
        return -1;
    }
    heap->base = memory;
    heap->map_len = (size_t)bytes;
    segment_view(heap, &fixed);
    return segment_refresh(heap);
}

/* Threads refresh side by side; what one knows is never taken back by another. */
static void raise_to(uint64_t *word, uint64_t value)
{
    uint64_t now = SHARED_LOAD(word);
    while (now < value &&
           !__atomic_compare_exchange_n(word, &now, value, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
}

/* Whether the file reaches to this offset, which the mapping does. Without a descriptor, since the
 * program has closed it, the kernel tells by a futex whether the last page can be had; the file
 * becomes no shorter. */
static int file_reaches(const struct shmheap *heap, uint64_t off)
{
    static const struct timespec at_once;
    struct stat status;
    int fd = connection_fd(heap);
    if (fd >= 0)
        return fstat(fd, &status) == 0 && (uint64_t)status.st_size >= off;
    uint32_t *last =
        (uint32_t *)(void *)(heap->base + (off - sizeof *last) / sizeof *last * sizeof *last);
    return syscall(SYS_futex, last, FUTEX_WAIT, 0, &at_once, NULL, 0) == 0 || errno == EAGAIN ||
           errno == ETIMEDOUT;
}

int segment_refresh(struct shmheap *heap)
{
    uint64_t len = load_acquire(&heap->control->len);
    int before = errno;
    /* The region only grows. A length that is not within the file would make us touch what is not
     * there. */
    if (len < REGION_LEN_MIN || len < load_u64(&heap->len_known) || len > heap->layout.max_len ||
        (heap->has_file && !file_reaches(heap, heap->layout.region_off + len))) {
        errno = EBADMSG;
        return -1;
    }
    errno = before;
    raise_to(&heap->end, layout_granules(len, heap->shift));
    raise_to(SHARED_VALUE(&heap->len_known), len);
    return 0;
}
