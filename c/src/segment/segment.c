/* segment.c: the segment of a heap: it fills a new one, checks the fixed fields of an existing one,
 * and follows its growth.
 * SPDX-License-Identifier: Apache-2.0 */
#include "segment.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/kernel.h"
#include "../os/file.h"
#include "../os/process.h"
#include "heap_file.h"
#include "huge.h"
#include "parts.h"
#include "reserve.h"

/* Sets the connection's pointers into the segment at base. The layout is computed. */
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
    heap->grow_step_max = heap->layout.max_len;
}

static int segment_mmap(struct shmheap *heap)
{
    if (parts_map_len(heap) > (size_t)-1 / 2) {
        errno = ENOMEM;
        return -1;
    }
    size_t len = (size_t)parts_map_len(heap);
    int protection = heap->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
    void *base =
        process_map(huge_address(heap), len, protection, MAP_SHARED | MAP_NORESERVE, heap->fd);
    if (base == MAP_FAILED) {
        if (errno != EPERM || !file_is_sealed(heap->fd))
            return -1;
        return error_cause(EPERM, CAUSE_SEALED, 0, 0);
    }
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
    heap->unmap = 0; /* first: a child forked now must not unmap a later mapping at this place */
    if (mapped)
        munmap(heap->base, heap->map_len);
    heap->base = NULL;
}

int segment_is_there(const struct shmheap *heap)
{
    return heap->unmap || (process_memory_probe(heap->base, heap->layout.region_off) == 1 &&
                           load_u64(&heap->control->magic) == FORMAT_MAGIC &&
                           load_u64(&heap->control->id) == heap->id);
}

/* Making ---------------------------------------------------------------- */

/* 0, or -1 with errno refused: no heap has these numbers. */
static int fixed_fill(struct fixed *fixed, struct shmheap *heap, const struct segment_plan *plan,
                      int refused)
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
                       plan->region_align) != 0)
        return error_cause(refused, CAUSE_LEN_MOST, plan->max_len, layout_len_most(plan->shift));
    fixed->region_off = heap->layout.region_off;
    return 0;
}

/* Fills the control but for magic; the memory is zero. */
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

/* Writes the fixed fields but for magic: the mark of an unfinished heap. */
static int begin_mark(struct shmheap *heap, const struct fixed *fixed)
{
    if (file_length_check(FIXED_SIZE) != 0)
        return -1;
    reserve_without_copies(heap);
    if (heap->file_kind == FILE_IN_HUGE_PAGES)
        return 0; /* hugetlbfs has no write(2): an unfinished heap is all zeros there */
    return file_write(heap->fd, fixed, FIXED_SIZE, 0);
}

int segment_make(struct shmheap *heap, const struct segment_plan *plan)
{
    struct fixed fixed;
    if (fixed_fill(&fixed, heap, plan, EFBIG) != 0 || begin_mark(heap, &fixed) != 0)
        return -1;
    heap->shift = plan->shift;
    heap->format_flags = plan->flags;
    if (segment_mmap(heap) != 0 || (plan->mapped != NULL && plan->mapped(heap) != 0))
        return -1;
    if (plan->topology != NULL) /* the policy is the file's: it holds in other processes as well */
        topology_place(plan->topology, heap->base, heap->map_len);
    if (plan->len < plan->max_len)
        reserve_holes_keep(heap);
    if (reserve_region(heap, plan->len) != 0)
        return -1;
    huge_request(heap, heap->layout.region_off + plan->len);
    segment_view(heap, &fixed);
    control_fill(heap, &fixed, plan);
    return 0;
}

int segment_make_at(struct shmheap *heap, void *memory, uint64_t bytes,
                    const struct segment_plan *plan)
{
    struct fixed fixed;
    if (fixed_fill(&fixed, heap, plan, ENOMEM) != 0)
        return -1;
    if (heap->layout.segment_len > bytes)
        return error_cause(ENOMEM, CAUSE_MEMORY_SHORT, heap->layout.segment_len, bytes);
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
    uint64_t most = layout_len_most(shift), low = 0, high = bytes < most ? bytes : most;
    while (low < high) { /* bisect: segment_len grows with len */
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

void segment_announce(struct shmheap *heap)
{
    store_publish(&heap->control->magic, FORMAT_MAGIC);
    if (heap->has_file)
        heap_file_announce(heap);
}

/* Connecting ------------------------------------------------------------ */

/* Checks the fixed fields and computes the layout: 0, or -1 with errno. */
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

int segment_map(struct shmheap *heap)
{
    struct fixed fixed;
    struct stat status;
    /* A hostile peer may have changed the file since heap_file_await: then magic is 0 or wrong. */
    if (heap_file_read(heap->fd, &fixed) < 0 || fixed_check(heap, &fixed) != 0)
        return -1;
    if (fixed.region_align < FILE_ALIGN) {
        errno = EBADMSG; /* a heap in memory, copied into a file */
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
    huge_request(heap, heap->layout.region_off + load_u64(&heap->len_known));
    huge_connected(heap);
    return 0;
}

int segment_map_at(struct shmheap *heap, void *memory, uint64_t bytes)
{
    struct fixed fixed;
    errno = EBADMSG;
    if (bytes < CONTROL_SIZE)
        return -1;
    /* The maker stores magic last, so load it first. */
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

/* Raises *word to value. Threads that raise it at once never lower it. */
static void raise_to(uint64_t *word, uint64_t value)
{
    uint64_t now = SHARED_LOAD(word);
    while (now < value &&
           !__atomic_compare_exchange_n(word, &now, value, 1, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
}

int segment_page_is_there(const struct shmheap *heap, uint64_t off)
{
    static const struct timespec at_once;
    int before = errno;
    uint32_t *last =
        (uint32_t *)(void *)(heap->base + (off - sizeof *last) / sizeof *last * sizeof *last);
    /* EINTR: a signal came before the time was over. The page was found by then. */
    int is_there = syscall(SYS_futex, last, FUTEX_WAIT, 0, &at_once, NULL, 0) == 0 ||
                   errno == EAGAIN || errno == ETIMEDOUT || errno == EINTR;
    errno = before;
    return is_there;
}

/* Returns 0 when the file lacks memory at the end of a part, and the system has no more
 * to give. */
static int parts_have_memory(const struct shmheap *heap, const struct part *parts, unsigned count)
{
    if (heap->file_kind != FILE_IN_MEMORY || (heap->format_flags & FORMAT_SPARSE))
        return 1;
    while (count-- > 0)
        if (parts[count].from < parts[count].to && !segment_page_is_there(heap, parts[count].to))
            return 0;
    return 1;
}

/* Returns 1 when the file has the memory of a region of len bytes. A growth makes the file just so
 * long. It is longer where it has more slots: then a hole lies between region and slots, and the
 * length proves nothing. */
static int file_has(const struct shmheap *heap, uint64_t len)
{
    struct part parts[PARTS_MAX];
    struct stat status;
    int fd = connection_fd(heap);
    unsigned count = parts_pages(heap, len, parts);
    if (fd < 0)
        return segment_page_is_there(heap, heap->layout.region_off + len) &&
               parts_have_memory(heap, parts, count);
    return fstat(fd, &status) == 0 && (uint64_t)status.st_size >= heap->layout.region_off + len &&
           ((uint64_t)status.st_size <= parts_end(parts, count) ||
            parts_have_memory(heap, parts, count));
}

int segment_refresh(struct shmheap *heap)
{
    uint64_t len = load_acquire(&heap->control->len);
    int before = errno;
    /* The region only grows. A length beyond the file's end would lead to a SIGBUS. */
    if (len < REGION_LEN_MIN || len < load_u64(&heap->len_known) || len > heap->layout.max_len ||
        (heap->has_file && !file_has(heap, len))) {
        errno = EBADMSG;
        return -1;
    }
    errno = before;
    raise_to(&heap->end, layout_granules(len, heap->shift));
    raise_to(SHARED_VALUE(&heap->len_known), len);
    return 0;
}
