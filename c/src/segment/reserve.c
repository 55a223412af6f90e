/* SPDX-License-Identifier: Apache-2.0 */
#include "reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "../os/file.h"
#include "huge.h"
#include "../os/memory.h"

/* As the kernel's headers linux/fs.h and linux/magic.h have them; not every C library comes with
 * these. */
#define FLAGS_GET _IOR('f', 1, long)
#define FLAGS_SET _IOW('f', 2, long)
#define FLAG_NO_COPY_ON_WRITE 0x00800000
#define MAGIC_BTRFS 0x9123683eu
#define MAGIC_EXT 0xef53u /* ext2 and ext3 too */
#define MAGIC_HUGETLBFS 0x958458f6u
#define MAGIC_OVERLAYFS 0x794c7630u
#define MAGIC_RAMFS 0x858458f6u
#define MAGIC_TMPFS 0x01021994u

enum {
    PIECE = 16 << 20, /* takes the kernel some milliseconds */
    SMALL = 1 << 20,
    ZEROS = 64 << 10,
    INTERRUPTIONS = 100000, /* of one page, one after the other */
    PARTS_MAX = 1 + BIN_LEVELS_MAX + LEVELS_MAX + 1
};

static enum file_kind kind_of(uint32_t magic)
{
    switch (magic) {
        case MAGIC_TMPFS:
        case MAGIC_RAMFS:
            return FILE_IN_MEMORY;
        case MAGIC_OVERLAYFS:
            return FILE_MAYBE_IN_MEMORY;
        case MAGIC_HUGETLBFS:
            return FILE_IN_HUGE_PAGES;
        case MAGIC_BTRFS:
            return FILE_ON_BTRFS;
        case MAGIC_EXT:
            return FILE_ON_EXT;
        default:
            return FILE_ELSEWHERE;
    }
}

void reserve_begin(struct shmheap *heap)
{
    struct statfs status;
    int before = errno, known = fstatfs(heap->fd, &status) == 0;
    heap->file_kind = known ? kind_of((uint32_t)status.f_type) : FILE_ELSEWHERE;
    heap->file_page = heap->file_kind == FILE_IN_HUGE_PAGES ? (uint64_t)status.f_bsize
                                                            : (uint64_t)sysconf(_SC_PAGESIZE);
    heap->file_zeros = 0;
    errno = before;
}

/* A file system that copies on write needs new room for each change. btrfs changes in place the
 * files that were marked while they were empty. */
void reserve_new(struct shmheap *heap)
{
    int before = errno, flags = 0;
    reserve_begin(heap);
    if (heap->file_kind == FILE_ON_BTRFS && ioctl(heap->fd, FLAGS_GET, &flags) == 0) {
        flags |= FLAG_NO_COPY_ON_WRITE;
        ioctl(heap->fd, FLAGS_SET, &flags);
    }
    errno = before;
}

static uint64_t page_up(const struct shmheap *heap, uint64_t off)
{
    return round_up(off, heap->file_page);
}

static uint64_t page_down(const struct shmheap *heap, uint64_t off)
{
    return off / heap->file_page * heap->file_page;
}

uint64_t reserve_map_len(const struct shmheap *heap)
{
    uint64_t len = heap->layout.map_len;
    return heap->file_kind == FILE_IN_HUGE_PAGES ? page_up(heap, len) : len;
}

void reserve_holes_keep(const struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    uint64_t slots = page_down(heap, layout->more_off);
    int before = errno;
    if (!connection_is_on_disk(heap) || (heap->format_flags & FORMAT_SPARSE))
        return;
    madvise(heap->base, (size_t)page_down(heap, layout->region_off), MADV_RANDOM);
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

/* A request that cannot succeed is refused before it takes from others what is left. A file
 * system that does not tell its size is taken to have enough. */
static int file_system_check(const struct shmheap *heap, uint64_t bytes)
{
    struct statfs status;
    if (bytes < SMALL || fstatfs(heap->fd, &status) != 0 || status.f_blocks == 0 ||
        status.f_bsize <= 0 || bytes / (uint64_t)status.f_bsize <= status.f_bfree)
        return 0;
    errno = ENOSPC;
    return -1;
}

/* Before the first of `bytes` bytes is reserved, in a file of now bytes that has len bytes at least
 * then. */
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
    static unsigned char zeros[ZEROS]; /* never written; not const, so that no file holds it */
    if (file_length_check(to) != 0)    /* RLIMIT_FSIZE ends a write inside a long file, too */
        return -1;
    if (from < offsetof(struct control, lock)) /* the maker's mark is there */
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

/* Whether the machine has memory for the piece that begins at `at`, of a range that begins at
 * `from` and whose first piece limits_check() has looked at. */
static int piece_check(const struct shmheap *heap, uint64_t from, uint64_t at, uint64_t len)
{
    int asked =
        heap->file_kind == FILE_IN_MEMORY ? at > from : heap->file_kind == FILE_MAYBE_IN_MEMORY;
    return asked ? memory_suffices(len) : 0;
}

/* Reserves [from, to). filled: the memory is there already, and need not be looked for. Until
 * Linux 6.17, a signal makes fallocate(2) on tmpfs undo all that the call has done, and fail. So
 * the library asks for pieces: smaller ones after each interruption, larger ones after each
 * success. */
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
    if (pieces_reserve(heap, from, filled_from, 0) != 0 ||
        pieces_reserve(heap, filled_from, filled_to, 1) != 0)
        return -1;
    return pieces_reserve(heap, filled_to, to, 0);
}

/* A network file system may learn only when the zeros reach its server that there is no room. */
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

/* Parts of the segment ------------------------------------------------------------------------ */

/* struct part: pages of the file. Each page belongs to one part. */
struct part {
    uint64_t from, to;
};

/* Fills in what a region of len bytes needs of each part of the segment, by address. The first
 * part begins with the control, the last is the region. */
static unsigned parts_bytes(const struct shmheap *heap, uint64_t len, struct part *parts)
{
    const struct layout *layout = &heap->layout;
    uint64_t granules = layout_granules(len, heap->shift);
    uint64_t chunks = (granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES, groups = chunks;
    unsigned count = 0;
    parts[count++] = (struct part){0, layout->bits_off + (chunks + 1) * sizeof(struct chunk_bits)};
    for (unsigned level = 0; level < layout->bin_levels; level++) {
        uint64_t off = layout->bin_off[level];
        groups = (groups + BINS - 1) / BINS;
        parts[count++] = (struct part){off, off + groups * BINS * sizeof(uint64_t)};
    }
    for (unsigned level = 0; level < layout->levels; level++) {
        uint64_t off = layout->level_off[level];
        chunks = round_up(chunks, NODE_CHILDREN);
        parts[count++] = (struct part){off, off + chunks * sizeof(uint32_t)};
        chunks /= NODE_CHILDREN;
    }
    parts[count++] = (struct part){layout->region_off, layout->region_off + len};
    return count;
}

/* The same in whole pages. A page that two parts share belongs to the later one; a page that the
 * region shares with the slots belongs to the region up to the segment's end. On hugetlbfs it
 * belongs to the slots. */
static unsigned parts_pages(const struct shmheap *heap, uint64_t len, struct part *parts)
{
    const struct layout *layout = &heap->layout;
    unsigned count = parts_bytes(heap, len, parts);
    uint64_t limit = layout->segment_len;
    if (heap->file_kind == FILE_IN_HUGE_PAGES)
        limit = layout->map_len > limit ? page_down(heap, layout->more_off) : page_up(heap, limit);
    for (unsigned part = count; part-- > 0; limit = parts[part].from) {
        parts[part].from = page_down(heap, parts[part].from);
        parts[part].to = page_up(heap, parts[part].to);
        if (parts[part].to > limit)
            parts[part].to = limit;
    }
    return count;
}

/* Fills in the ranges that a region of len bytes needs and one of was bytes (0: none) has not. */
static unsigned ranges_find(const struct shmheap *heap, uint64_t was, uint64_t len,
                            struct part *ranges)
{
    const struct layout *layout = &heap->layout;
    int huge_pages = heap->file_kind == FILE_IN_HUGE_PAGES;
    struct part had[PARTS_MAX];
    if (was == 0 && len == layout->max_len) { /* one range, for the sake of huge pages */
        ranges[0] = (struct part){0, huge_pages ? reserve_map_len(heap) : layout->segment_len};
        return 1;
    }
    unsigned count = parts_pages(heap, len, ranges);
    if (was != 0) {
        parts_pages(heap, was, had);
        for (unsigned part = 0; part < count; part++)
            ranges[part].from = had[part].to;
    } else if (huge_pages && layout->map_len > layout->segment_len) {
        /* On hugetlbfs a mapping makes the file as long as itself: so all slots are there. */
        ranges[count].from = page_down(heap, layout->more_off);
        ranges[count++].to = reserve_map_len(heap);
    }
    return count;
}

static uint64_t ranges_len(const struct part *ranges, unsigned count)
{
    uint64_t len = 0;
    for (unsigned range = 0; range < count; range++)
        if (ranges[range].from < ranges[range].to)
            len += ranges[range].to - ranges[range].from;
    return len;
}

/* Gives back the first `count` ranges, where the heap has never been. The file had len bytes.
 * Without fallocate(2) only the bytes behind these can be given back; the next growth finds the
 * others in place. */
static void ranges_undo(const struct shmheap *heap, const struct part *ranges, unsigned count,
                        uint64_t len)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    int reason = errno, punched = 0;
    uint64_t now;
    for (unsigned range = 0; range < count; range++) {
        uint64_t from = ranges[range].from != 0 ? ranges[range].from : heap->file_page;
        if (from < ranges[range].to) /* the first page has the maker's mark */
            punched = fallocate(heap->fd, mode, (off_t)from, (off_t)(ranges[range].to - from));
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

int reserve_region(struct shmheap *heap, uint64_t len)
{
    struct part ranges[PARTS_MAX + 1];
    uint64_t was = load_u64(&heap->len_known), end = heap->layout.region_off + len, before;
    if (!heap->has_file)
        return 0;                            /* the caller's memory is there already */
    if (was != 0 && connection_fd(heap) < 0) /* else heap->fd is the file's from here on */
        return -1;
    if (heap->format_flags & FORMAT_SPARSE)
        return file_extend(heap, end);
    unsigned count = ranges_find(heap, was, len, ranges), done = 0;
    if (file_len(heap, &before) != 0 ||
        limits_check(heap, ranges_len(ranges, count), before, end) != 0)
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
    uint64_t from, now;
    if (connection_fd(heap) < 0)
        return -1;
    if (heap->format_flags & FORMAT_SPARSE)
        return file_extend(heap, end);
    if (file_len(heap, &now) != 0)
        return -1;
    from = now;
    /* Processes may have taken the entries that the file holds by now. Before the first entry, the
     * file needs what else lies in its page, behind the pages of the region. */
    if (from <= layout->more_off) {
        uint64_t region_end = parts[parts_pages(heap, load_u64(&heap->len_known), parts) - 1].to;
        from = page_down(heap, layout->more_off);
        from = from > region_end ? from : region_end;
    }
    if (from >= end)
        return 0;
    if (limits_check(heap, end - from, now, end) != 0 || pieces_reserve(heap, from, end, 0) != 0)
        return -1;
    return zeros_arrive(heap);
}
