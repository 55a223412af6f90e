/* reserve.c: reserves a file's memory: it checks all limits, allocates by fallocate(2) or zeros,
 * and undoes it after a failure.
 * SPDX-License-Identifier: Apache-2.0 */
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/kernel.h"
#include "../os/file.h"
#include "../os/memory.h"
#include "huge.h"
#include "parts.h"

enum {
    PIECE = 16 << 20, /* the kernel reserves it in some milliseconds */
    SMALL = 1 << 20,  /* fewer bytes are requested without a check of the file system */
    ZEROS = 64 << 10,
    INTERRUPTIONS = 100000 /* of one page in a row */
};

static enum file_kind kind_of(uint32_t magic)
{
    switch (magic) {
        case TMPFS_MAGIC:
        case RAMFS_MAGIC:
            return FILE_IN_MEMORY;
        case OVERLAYFS_SUPER_MAGIC:
            return FILE_MAYBE_IN_MEMORY;
        case HUGETLBFS_MAGIC:
            return FILE_IN_HUGE_PAGES;
        case BTRFS_SUPER_MAGIC:
            return FILE_ON_BTRFS;
        case EXT4_SUPER_MAGIC:
            return FILE_ON_EXT;
        default:
            return FILE_ELSEWHERE;
    }
}

/* The kind of fd's file system, and the size of its pages. Keeps errno. */
static enum file_kind kind_of_file(int fd, uint64_t *page)
{
    struct statfs status;
    int before = errno, known = fstatfs(fd, &status) == 0;
    enum file_kind kind = known ? kind_of((uint32_t)status.f_type) : FILE_ELSEWHERE;
    *page = kind == FILE_IN_HUGE_PAGES ? (uint64_t)status.f_bsize : (uint64_t)sysconf(_SC_PAGESIZE);
    errno = before;
    return kind;
}

int reserve_takes_memory(int fd)
{
    uint64_t page;
    enum file_kind kind = kind_of_file(fd, &page);
    return kind == FILE_IN_MEMORY || kind == FILE_MAYBE_IN_MEMORY;
}

void reserve_begin(struct shmheap *heap)
{
    heap->file_kind = kind_of_file(heap->fd, &heap->file_page);
    heap->file_zeros = 0;
}

/* A file system that copies on write needs new blocks for each change. btrfs changes a file in
 * place if the file was marked while it was empty. */
void reserve_without_copies(const struct shmheap *heap)
{
    int before = errno, flags = 0;
    if (heap->file_kind == FILE_ON_BTRFS && ioctl(heap->fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        ioctl(heap->fd, FS_IOC_SETFLAGS, &flags);
    }
    errno = before;
}

void reserve_holes_keep(const struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    uint64_t slots = parts_page_down(heap, layout->more_off);
    int before = errno;
    if (!connection_is_on_disk(heap) || (heap->format_flags & FORMAT_SPARSE))
        return;
    madvise(heap->base, (size_t)parts_page_down(heap, layout->region_off), MADV_RANDOM);
    if (slots < heap->map_len)
        madvise(heap->base + slots, heap->map_len - (size_t)slots, MADV_RANDOM);
    errno = before;
}

/* Limits -------------------------------------------------------------------------------------- */

static int file_len(const struct shmheap *heap, uint64_t *len)
{
    struct stat status;
    if (fstat(heap->fd, &status) != 0)
        return -1;
    *len = (uint64_t)status.st_size;
    return 0;
}

/* Refuses a request that cannot succeed, before it takes the last blocks from other files. A file
 * system that does not tell its size counts as large enough. */
static int file_system_check(const struct shmheap *heap, uint64_t bytes)
{
    struct statfs status;
    if (bytes < SMALL || fstatfs(heap->fd, &status) != 0 || status.f_blocks == 0 ||
        status.f_bsize <= 0 || bytes / (uint64_t)status.f_bsize <= status.f_bfree)
        return 0;
    return error_cause(ENOSPC, CAUSE_DISK_LEFT, bytes,
                       (uint64_t)status.f_bfree * (uint64_t)status.f_bsize);
}

/* The kernel refused so many bytes, with errno. Returns -1, and tells what the file system has
 * left, if that is the reason. */
static int kernel_refused(const struct shmheap *heap, uint64_t bytes)
{
    struct statfs status;
    int reason = errno, known = reason == ENOSPC && fstatfs(heap->fd, &status) == 0 &&
                                status.f_blocks != 0 && status.f_bsize > 0;
    uint64_t left = known ? (uint64_t)status.f_bfree * (uint64_t)status.f_bsize : bytes;
    errno = reason;
    return left < bytes ? error_cause(ENOSPC, CAUSE_DISK_LEFT, bytes, left) : -1;
}

/* Checks all limits before `bytes` bytes are reserved. The file has now bytes, and then at least
 * len. */
static int limits_check(const struct shmheap *heap, uint64_t bytes, uint64_t now, uint64_t len)
{
    if (len > now && file_length_check(len) != 0)
        return -1;
    if (heap->file_kind != FILE_IN_MEMORY)
        return 0;
    return file_system_check(heap, bytes) != 0 ? -1 : memory_suffices(bytes);
}

/* Ranges -------------------------------------------------------------------------------------- */

/* Writes zeros to [from, to). */
static int zeros_write(const struct shmheap *heap, uint64_t from, uint64_t to)
{
    static unsigned char zeros[ZEROS]; /* not const: const zeros would lie in the library's file */
    if (file_length_check(to) != 0)    /* RLIMIT_FSIZE ends a write inside a long file as well */
        return -1;
    if (from < offsetof(struct control, lock)) /* keep the maker's mark */
        from = offsetof(struct control, lock);
    for (uint64_t len; from < to; from += len) {
        len = to - from < ZEROS ? to - from : ZEROS;
        if (file_write(heap->fd, zeros, (size_t)len, (off_t)from) != 0)
            return -1;
    }
    return 0;
}

/* Tries once to reserve [from, to). */
static int piece_reserve(struct shmheap *heap, uint64_t from, uint64_t to)
{
    if (!heap->file_zeros) {
        if (fallocate(heap->fd, 0, (off_t)from, (off_t)(to - from)) == 0)
            return 0;
        if ((errno != EOPNOTSUPP && errno != ENOSYS) || file_system_check(heap, to - from) != 0)
            return -1;
        heap->file_zeros = 1;
    }
    return zeros_write(heap, from, to);
}

/* Checks that the machine has memory for the piece at `at` of a range that begins at `from`.
 * limits_check has checked the first piece on a memory file system. */
static int piece_check(const struct shmheap *heap, uint64_t from, uint64_t at, uint64_t len)
{
    int unchecked =
        heap->file_kind == FILE_IN_MEMORY ? at > from : heap->file_kind == FILE_MAYBE_IN_MEMORY;
    return unchecked ? memory_suffices(len) : 0;
}

/* Reserves [from, to). filled: the pages exist, so memory is not checked. Until Linux 6.17, a
 * signal makes fallocate(2) on tmpfs undo the whole call and fail. So the library requests pieces:
 * smaller ones after each interruption, larger ones after each success. */
static int pieces_reserve(struct shmheap *heap, uint64_t from, uint64_t to, int filled)
{
    uint64_t most = heap->file_page > PIECE ? heap->file_page : PIECE, piece = most, at = from;
    unsigned interrupted = 0;
    while (at < to) {
        uint64_t end = to - at < piece ? to : at + piece;
        if (!filled && piece_check(heap, from, at, end - at) != 0)
            return -1;
        if (piece_reserve(heap, at, end) == 0) {
            at = end;
            piece = 2 * piece < most ? 2 * piece : most;
            interrupted = 0;
        } else if (errno == EINTR && ++interrupted < INTERRUPTIONS) {
            piece = parts_page_up(heap, piece / 4);
        } else {
            return kernel_refused(heap, to - at);
        }
    }
    return 0;
}

static int range_reserve(struct shmheap *heap, uint64_t from, uint64_t to)
{
    uint64_t filled_from, filled_to;
    if (from >= to)
        return 0;
    huge_fill(heap, from, to, &filled_from, &filled_to);
    if (pieces_reserve(heap, from, filled_from, 0) != 0 ||
        pieces_reserve(heap, filled_from, filled_to, 1) != 0)
        return -1;
    return pieces_reserve(heap, filled_to, to, 0);
}

/* A network file system may report a full disk only when the zeros reach its server. */
static int zeros_arrive(const struct shmheap *heap)
{
    int result = 0;
    unsigned interrupted = 0;
    if (heap->file_zeros && heap->file_kind == FILE_ELSEWHERE)
        while ((result = fdatasync(heap->fd)) != 0 && errno == EINTR &&
               ++interrupted < INTERRUPTIONS)
            continue;
    return result;
}

/* Regions and slots ------------------------------------------------------- */

/* Frees the first count parts, which the heap has never used. The file had len bytes. Without
 * fallocate(2) only the bytes behind these can be freed; the next growth finds the first
 * parts in place. */
static void parts_undo(const struct shmheap *heap, const struct part *parts, unsigned count,
                       uint64_t len)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    int reason = errno, punched = 0;
    uint64_t now;
    for (unsigned part = 0; part < count; part++) {
        /* The first page keeps the maker's mark. */
        uint64_t from = parts[part].from != 0 ? parts[part].from : heap->file_page;
        if (from < parts[part].to)
            punched = fallocate(heap->fd, mode, (off_t)from, (off_t)(parts[part].to - from));
    }
    if (punched != 0 && file_len(heap, &now) == 0 && now > len)
        punched = ftruncate(heap->fd, (off_t)len);
    errno = reason;
}

static int file_extend(const struct shmheap *heap, uint64_t len)
{
    uint64_t now;
    if (file_len(heap, &now) != 0)
        return -1;
    if (now >= len)
        return 0;
    return file_length_check(len) != 0 ? -1 : ftruncate(heap->fd, (off_t)len);
}

/* Makes the file of a sparse heap so long. A new one gets memory for control data and slots, which
 * every inspection reads. */
static int sparse_extend(struct shmheap *heap, uint64_t was, uint64_t end)
{
    if (file_extend(heap, end) != 0)
        return -1;
    return was != 0 ? 0 : pieces_reserve(heap, 0, parts_page_up(heap, heap->layout.bits_off), 0);
}

int reserve_region(struct shmheap *heap, uint64_t len)
{
    struct part parts[PARTS_MAX + 1];
    uint64_t was = load_u64(&heap->len_known), end = heap->layout.region_off + len, before;
    if (!heap->has_file)
        return 0;                            /* the caller's memory exists */
    if (was != 0 && connection_fd(heap) < 0) /* stores a descriptor of the file in heap->fd */
        return -1;
    if (heap->format_flags & FORMAT_SPARSE)
        return sparse_extend(heap, was, end);
    unsigned count = parts_added(heap, was, len, parts), done = 0;
    if (file_len(heap, &before) != 0 ||
        limits_check(heap, parts_len(parts, count), before, parts_end(parts, count)) != 0)
        return -1;
    while (done < count && range_reserve(heap, parts[done].from, parts[done].to) == 0)
        done++;
    if (done == count && zeros_arrive(heap) == 0)
        return 0;
    parts_undo(heap, parts, done < count ? done + 1 : count, before);
    return -1;
}

int reserve_slots(struct shmheap *heap, uint64_t end)
{
    const struct layout *layout = &heap->layout;
    struct part parts[PARTS_MAX];
    uint64_t from, now;
    if (connection_fd(heap) < 0)
        return -1;
    if (heap->format_flags & FORMAT_SPARSE)
        return file_extend(heap, end);
    if (file_len(heap, &now) != 0)
        return -1;
    from = now;
    /* Other processes may use the entries that the file has, so reserve from its end. Without any
     * entry, reserve from the first entry's page, or from the end of the region if that is
     * later. */
    if (from <= layout->more_off) {
        uint64_t region_end = parts[parts_pages(heap, load_u64(&heap->len_known), parts) - 1].to;
        from = parts_page_down(heap, layout->more_off);
        from = from > region_end ? from : region_end;
    }
    if (from >= end)
        return 0;
    if (limits_check(heap, end - from, now, end) != 0 || pieces_reserve(heap, from, end, 0) != 0)
        return -1;
    return zeros_arrive(heap);
}
