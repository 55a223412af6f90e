/* SPDX-License-Identifier: Apache-2.0 */
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "huge.h"
#include "memory.h"

#ifndef FS_NOCOW_FL
#define FS_NOCOW_FL 0x00800000
#endif

/* A piece of 16 MiB takes the kernel a few milliseconds. INTERRUPTIONS: of one page, one after the other. */
enum { PIECE = 16 << 20, ZEROS = 64 << 10, INTERRUPTIONS = 100000, PARTS_MAX = 1 + ROW_LEVELS_MAX + LEVELS_MAX + 1 };

/* What is known of the file system. f_type is signed on some machines. */
#define MAGIC_IS(status, magic) ((uint32_t)(status).f_type == (uint32_t)(magic))

void reserve_begin(struct shmheap *heap)
{
    struct statfs status;
    int before = errno;
    heap->file_page = (uint64_t)sysconf(_SC_PAGESIZE);
    heap->file_kind = FILE_ON_DISK;
    heap->file_zeros = 0;
    if (fstatfs(heap->fd, &status) == 0) {
        if (MAGIC_IS(status, TMPFS_MAGIC) || MAGIC_IS(status, RAMFS_MAGIC))
            heap->file_kind = FILE_IN_MEMORY;
        else if (MAGIC_IS(status, OVERLAYFS_SUPER_MAGIC))
            heap->file_kind = FILE_MAYBE_IN_MEMORY;
        else if (MAGIC_IS(status, HUGETLBFS_MAGIC)) {
            heap->file_kind = FILE_IN_HUGE_PAGES;
            heap->file_page = (uint64_t)status.f_bsize;
        } else if (MAGIC_IS(status, BTRFS_SUPER_MAGIC))
            heap->file_kind = FILE_ON_BTRFS;
    }
    errno = before;
}

static uint64_t page_up(const struct shmheap *heap, uint64_t off) { return round_up(off, heap->file_page); }
static uint64_t page_down(const struct shmheap *heap, uint64_t off) { return off / heap->file_page * heap->file_page; }

uint64_t reserve_map_len(const struct shmheap *heap)
{
    return heap->file_kind == FILE_IN_HUGE_PAGES ? page_up(heap, heap->layout.map_len) : heap->layout.map_len;
}

/* Limits ------------------------------------------------------------------ */

/* The kernel answers a longer file with SIGXFSZ, whose default is the process's death. */
static int length_allowed(uint64_t len)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || len <= limit.rlim_cur)
        return 0;
    errno = EFBIG;
    return -1;
}

static int file_len(const struct shmheap *heap, uint64_t *len)
{
    struct stat status;
    if (fstat(heap->fd, &status) != 0)
        return -1;
    *len = (uint64_t)status.st_size;
    return 0;
}

/* So that a request that cannot succeed does not first fill what others need, too. A file system that does not say has enough. */
static int file_system_suffices(const struct shmheap *heap, uint64_t bytes)
{
    struct statfs status;
    if (fstatfs(heap->fd, &status) != 0 || status.f_blocks == 0 || status.f_bsize <= 0 ||
        bytes / (uint64_t)status.f_bsize <= status.f_bfree)
        return 0;
    errno = ENOSPC;
    return -1;
}

/* Before the first of `bytes` bytes is reserved, of a file that then has len bytes at least. */
static int limits_allow(const struct shmheap *heap, uint64_t bytes, uint64_t len)
{
    uint64_t now;
    if (file_len(heap, &now) != 0 || (len > now && length_allowed(len) != 0))
        return -1;
    if (heap->file_kind != FILE_IN_MEMORY)
        return 0;
    return file_system_suffices(heap, bytes) != 0 ? -1 : memory_suffices(bytes);
}

/* Ranges ------------------------------------------------------------------ */

static int cannot_reserve(int error) { return error == EOPNOTSUPP || error == ENOSYS; }

/* Writes zeros to [from, to). */
static int zeros_write(const struct shmheap *heap, uint64_t from, uint64_t to)
{
    static unsigned char zeros[ZEROS]; /* not const: it takes no room in the library's file */
    unsigned interrupted = 0;
    if (length_allowed(to) != 0) /* which limits writing inside a file, too */
        return -1;
    while (from < to) {
        uint64_t len = to - from < ZEROS ? to - from : ZEROS;
        ssize_t put = pwrite(heap->fd, zeros, (size_t)len, (off_t)from);
        if (put > 0) {
            from += (uint64_t)put;
            interrupted = 0;
        } else if (put == 0 || errno != EINTR || ++interrupted > INTERRUPTIONS) {
            if (put == 0)
                errno = ENOSPC;
            return -1;
        }
    }
    return 0;
}

/* One try of one piece. */
static int piece_reserve(struct shmheap *heap, uint64_t from, uint64_t to)
{
    if (!heap->file_zeros) {
        if (fallocate(heap->fd, 0, (off_t)from, (off_t)(to - from)) == 0)
            return 0;
        if (!cannot_reserve(errno))
            return -1;
        if (file_system_suffices(heap, to - from) != 0)
            return -1;
        heap->file_zeros = 1;
    }
    return zeros_write(heap, from, to);
}

/* Until Linux 6.17 any signal makes fallocate(2) on tmpfs undo all it has done and fail. So pieces, which become smaller each time, and
 * larger again; there: the memory is in place, and need not be looked for. */
static int pieces_reserve(struct shmheap *heap, uint64_t from, uint64_t to, int there)
{
    uint64_t begin = from, most = heap->file_page > PIECE ? heap->file_page : PIECE, piece = most;
    unsigned interrupted = 0;
    while (from < to) {
        uint64_t end = to - from < piece ? to : from + piece;
        int checked = !there && (heap->file_kind == FILE_IN_MEMORY ? from > begin : heap->file_kind == FILE_MAYBE_IN_MEMORY);
        if (checked && memory_suffices(end - from) != 0)
            return -1;
        if (piece_reserve(heap, from, end) == 0) {
            from = end;
            piece = 2 * piece < most ? 2 * piece : most;
            interrupted = 0;
        } else if (errno == EINTR && ++interrupted < INTERRUPTIONS) {
            piece = page_up(heap, piece / 4);
        } else {
            return -1;
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
    return pieces_reserve(heap, from, filled_from, 0) != 0 || pieces_reserve(heap, filled_from, filled_to, 1) != 0 ||
                   pieces_reserve(heap, filled_to, to, 0) != 0
               ? -1
               : 0;
}

/* A network file system may learn only when the zeros reach the server that it has no room for them. */
static int zeros_arrive(const struct shmheap *heap)
{
    int result = 0;
    if (heap->file_zeros && heap->file_kind == FILE_ON_DISK)
        while ((result = fdatasync(heap->fd)) != 0 && errno == EINTR)
            continue;
    return result;
}

/* Parts of the segment ---------------------------------------------------- */

/* struct part: whole pages of the file, of which each belongs to one part. */
struct part {
    uint64_t from, to;
};

/* What a region of len bytes (0: none) needs of each part of the segment, by address; the first begins with the control, the last is the
 * region. Ends in whole pages, but never beyond the next part's first page, which that one has, nor in the slots behind the region. */
static unsigned parts_of(const struct shmheap *heap, uint64_t len, struct part *parts)
{
    const struct layout *layout = &heap->layout;
    uint64_t granules = layout_granules(len, heap->shift), chunks = (granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES;
    uint64_t groups = chunks;
    unsigned count = 0;
    parts[count++] = (struct part){0, layout->bits_off + (chunks + 1) * sizeof(struct chunk_bits)};
    for (unsigned level = 0; level < layout->row_levels; level++) {
        groups = (groups + ROWS - 1) / ROWS;
        parts[count++] = (struct part){layout->row_off[level], layout->row_off[level] + groups * ROWS * sizeof(uint64_t)};
    }
    for (unsigned level = 0; level < layout->levels; level++) {
        chunks = round_up(chunks, NODE_CHILDREN);
        parts[count++] = (struct part){layout->level_off[level], layout->level_off[level] + chunks * sizeof(uint32_t)};
        chunks /= NODE_CHILDREN;
    }
    parts[count++] = (struct part){layout->region_off, layout->region_off + len};
    uint64_t limit = layout->segment_len;
    if (heap->file_kind == FILE_IN_HUGE_PAGES)
        limit = layout->map_len > layout->segment_len ? page_down(heap, layout->more_off) : page_up(heap, limit);
    for (unsigned part = count; part-- > 0; limit = parts[part].from) {
        parts[part].from = page_down(heap, parts[part].from);
        parts[part].to = page_up(heap, parts[part].to);
        if (parts[part].to > limit)
            parts[part].to = limit;
    }
    return count;
}

/* The ranges that a region of len bytes needs and one of was bytes (0: none) did not. How many. */
static unsigned ranges_more(const struct shmheap *heap, uint64_t was, uint64_t len, struct part *ranges)
{
    struct part had[PARTS_MAX];
    if (was == 0 && len == heap->layout.max_len) { /* one piece, for the sake of huge pages */
        ranges[0] = (struct part){0, heap->file_kind == FILE_IN_HUGE_PAGES ? reserve_map_len(heap) : heap->layout.segment_len};
        return 1;
    }
    unsigned count = parts_of(heap, len, ranges);
    if (was != 0) {
        parts_of(heap, was, had);
        for (unsigned part = 0; part < count; part++)
            ranges[part].from = had[part].to;
    } else if (heap->file_kind == FILE_IN_HUGE_PAGES && heap->layout.map_len > heap->layout.segment_len) {
        /* Mapping made the file as long as the mapping: so all slots are there. */
        ranges[count++] = (struct part){page_down(heap, heap->layout.more_off), reserve_map_len(heap)};
    }
    return count;
}

static uint64_t ranges_len(const struct part *ranges, unsigned count)
{
    uint64_t len = 0;
    for (unsigned range = 0; range < count; range++)
        len += ranges[range].to > ranges[range].from ? ranges[range].to - ranges[range].from : 0;
    return len;
}

/* Gives back what the first of the ranges have got. No region has been there. */
static void ranges_undo(const struct shmheap *heap, const struct part *ranges, unsigned count, uint64_t len_before)
{
    int reason = errno, punched = 0;
    for (unsigned range = 0; range < count; range++)
        if (ranges[range].from < ranges[range].to)
            punched = fallocate(heap->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)ranges[range].from,
                                (off_t)(ranges[range].to - ranges[range].from));
    uint64_t len;
    if (punched != 0 && file_len(heap, &len) == 0 && len > len_before && ftruncate(heap->fd, (off_t)len_before) != 0)
        errno = 0; /* a memory file that cannot shrink, without fallocate(2): the next growth finds the memory in place */
    errno = reason;
}

/* Copy on write needs new room for each change. btrfs can do without in files that are empty when they are told so. */
static void copy_on_write_prevent(const struct shmheap *heap)
{
    int before = errno;
    int flags = 0; /* the kernel reads and writes an int, whatever the number of the request says */
    if (heap->file_kind == FILE_ON_BTRFS && ioctl(heap->fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        if (ioctl(heap->fd, FS_IOC_SETFLAGS, &flags) != 0)
            errno = 0; /* as it is */
    }
    errno = before;
}

static int file_extend(const struct shmheap *heap, uint64_t len)
{
    uint64_t now;
    if (file_len(heap, &now) != 0)
        return -1;
    if (now >= len)
        return 0;
    return length_allowed(len) != 0 ? -1 : ftruncate(heap->fd, (off_t)len);
}

int reserve_region(struct shmheap *heap, uint64_t len)
{
    struct part ranges[PARTS_MAX + 1];
    uint64_t was = load_u64(&heap->len_known), end = heap->layout.region_off + len, before;
    if (heap->fd < 0)
        return 0; /* the caller's memory is there already */
    if (heap->format_flags & FORMAT_SPARSE)
        return file_extend(heap, end);
    if (was == 0)
        copy_on_write_prevent(heap);
    unsigned count = ranges_more(heap, was, len, ranges), done = 0;
    if (limits_allow(heap, ranges_len(ranges, count), end) != 0 || file_len(heap, &before) != 0)
        return -1;
    while (done < count && range_reserve(heap, ranges[done].from, ranges[done].to) == 0)
        done++;
    if (done == count && zeros_arrive(heap) == 0)
        return 0;
    ranges_undo(heap, ranges, done < count ? done + 1 : count, before);
    return -1;
}

int reserve_slots(struct shmheap *heap, uint64_t end)
{
    const struct layout *layout = &heap->layout;
    struct part parts[PARTS_MAX];
    uint64_t now;
    if (heap->format_flags & FORMAT_SPARSE)
        return file_extend(heap, end);
    if (file_len(heap, &now) != 0)
        return -1;
    /* Entries that the file has are others' by now. Before the first of them: the rest of their page, behind the region's pages. */
    uint64_t from = now;
    if (now <= layout->more_off) {
        uint64_t region_end = parts[parts_of(heap, load_u64(&heap->len_known), parts) - 1].to;
        from = page_down(heap, layout->more_off) > region_end ? page_down(heap, layout->more_off) : region_end;
    }
    if (from >= end)
        return 0;
    if (limits_allow(heap, end - from, end) != 0)
        return -1;
    return pieces_reserve(heap, from, end, 0) == 0 ? zeros_arrive(heap) : -1;
}
