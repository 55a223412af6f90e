/* copy.c: a copy of a heap in a file of its own.
 *
 * 1  Rounds without the lock write all pages to the copy's file. Some are wrong, since the heap
 *    changes meanwhile.
 * 2  One comparison under the lock finds the pages that differ and puts them aside in private
 *    memory. No system call that waits for a disk happens in it. A read-only connection compares
 *    between two equal sequence numbers instead.
 * 3  The pages put aside are written after the unlock. The file then is the heap at the instant of
 *    step 2.
 *
 * The copy's lock is free and its slots are as they were. So the copy is a heap of which all
 * processes were killed at once, between two operations: recovery finds nothing to do, and reaping
 * finds what they owned.
 * SPDX-License-Identifier: Apache-2.0 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../os/file.h"
#include "../os/memory.h"
#include "image.h"
#include "inspect.h"
#include "../segment/reserve.h"
#include "../segment/segment.h"
#include "../process/slot.h"

enum { ROUNDS_AHEAD = 3, ROUNDS_MAX = 32, FLUSH_PAGES = 64, CHANGED_MIN = 256 };

/* struct changed is a page put aside; its bytes are in copy.bytes. */
struct changed {
    uint64_t number;
    struct image_sum sum;
};

/* struct copy is a copy in the making. */
struct copy {
    struct shmheap *heap;
    struct image image;
    int fd, still;
    int visible;   /* the file has its name already */
    int in_memory; /* what is written stays in memory */
    struct changed *changed;
    unsigned char *bytes;
    void *memory; /* of both arrays */
    uint64_t memory_len, count, room;
    /* the first bytes of a visible file until it is a heap */
    uint64_t mark[sizeof(struct fixed) / 8];
    uint64_t head[(CONTROL_SIZE + SLOTS_MAX * SLOT_SIZE) / 8 + 8]; /* control and first slots */
    uint64_t more[SLOTS_MAX * SLOT_SIZE / 8];                      /* the other slots */
    unsigned more_slots;
};

static int write_at(int fd, const void *bytes, uint64_t len, uint64_t off)
{
    if (len == 0)
        return 0;
    return file_length_check(off + len) == 0 ? file_write(fd, bytes, (size_t)len, (off_t)off) : -1;
}

/* Opens the folder of the path with these flags: a descriptor, or -1. */
static int folder_open(const char *path, int oflags, mode_t mode)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (len >= sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(folder, slash != NULL ? path : ".", len != 0 ? len : 1);
    folder[len != 0 ? len : 1] = 0;
    return open(folder, oflags | O_CLOEXEC, mode);
}

/* Writes what the maker of a heap writes first: after a death SHMHEAP_TAKE_OVER recognises an
 * unfinished heap. 0, or -1 with errno. */
static int copy_begin_mark(struct copy *copy)
{
    const shared_u64 *fixed = (const shared_u64 *)(const void *)copy->heap->base;
    words_load(copy->mark, fixed, sizeof copy->mark / sizeof *copy->mark);
    copy->mark[offsetof(struct fixed, magic) / sizeof *copy->mark] = 0;
    return write_at(copy->fd, copy->mark, sizeof copy->mark, 0);
}

/* Bytes of the file of a copy that has these slots and this image. */
static uint64_t copy_len(const struct layout *layout, uint64_t slots, uint64_t image_len)
{
    return slots != 0 ? layout->more_off + slots * SLOT_SIZE : image_len;
}

/* Checks the length that the whole copy would have now: 0, or -1 with errno EFBIG. */
static int copy_len_check(struct shmheap *heap)
{
    const struct layout *layout = &heap->layout;
    return file_length_check(copy_len(layout, slot_limit(heap) - layout->slots_first,
                                      layout->region_off + load_u64(&heap->len_known)));
}

/* Opens a file without a name, which vanishes with this process. Where the file system offers
 * none, a file with its name, locked as used. 0, or -1 with errno. */
static int target_open(struct copy *copy, const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0) {
        errno = EEXIST;
        return -1;
    }
    if (copy_len_check(copy->heap) != 0)
        return -1;
    mode_t mode = fstat(copy->image.source, &status) == 0 ? status.st_mode & 0777 : 0600;
    copy->visible = 0;
    copy->fd = access("/proc/self/fd", X_OK) == 0
                   ? file_above_standard(folder_open(path, O_TMPFILE | O_RDWR, mode))
                   : -1;
    if (copy->fd >= 0)
        return 0;
    copy->visible = 1;
    copy->fd = file_above_standard(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (copy->fd < 0)
        return -1;
    file_lock(copy->fd, F_WRLCK, MAKER_BYTE, 1);
    return file_use(copy->fd, 0) == 0 ? copy_begin_mark(copy) : -1;
}

static int target_begin(struct copy *copy, const char *path)
{
    int failed = target_open(copy, path);
    copy->in_memory = copy->fd >= 0 && reserve_takes_memory(copy->fd);
    return failed;
}

/* Syncs the file, then gives it its name. */
static int target_publish(const struct copy *copy, const char *path)
{
    char own[40];
    snprintf(own, sizeof own, "/proc/self/fd/%d", copy->fd);
    if (fsync(copy->fd) != 0 && errno != EINVAL)
        return -1;
    if (!copy->visible && linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0)
        return -1;
    int folder = folder_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    return 0;
}

static void target_drop(const struct copy *copy, const char *path)
{
    dev_t device;
    ino_t inode;
    if (copy->fd >= 0 && copy->visible && file_identify(copy->fd, &device, &inode) == 0)
        file_remove_own(path, 1, device, inode);
}

/* Reserves memory for the pages put aside: for all that there can be, or for fewer where the
 * kernel refuses that many addresses. */
static int copy_room_make(struct copy *copy)
{
    uint64_t pages = copy->heap->layout.segment_len / IMAGE_PAGE + 1;
    for (copy->room = pages;; copy->room /= 2) {
        copy->memory_len = copy->room * (IMAGE_PAGE + sizeof *copy->changed);
        copy->memory = copy->memory_len <= (size_t)-1 / 2
                           ? mmap(NULL, (size_t)copy->memory_len, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
                           : MAP_FAILED;
        if (copy->memory != MAP_FAILED)
            break;
        errno = ENOMEM;
        if (copy->room < CHANGED_MIN)
            return -1;
    }
    int before = errno;
    if (copy->heap->no_dump)
        madvise(copy->memory, (size_t)copy->memory_len, MADV_DONTDUMP); /* pages of the heap */
    errno = before;
    copy->bytes = copy->memory;
    copy->changed = (struct changed *)(void *)(copy->bytes + copy->room * IMAGE_PAGE);
    return 0;
}

/* Writes the pages put aside, neighbours in one call. 0, or -1 with errno. Checks the memory for a
 * file in memory first: where a control group has none left, the kernel kills the process that
 * writes. */
static int changed_write(struct copy *copy)
{
    const struct changed *changed = copy->changed;
    if (copy->in_memory && copy->count != 0 && memory_suffices(copy->count * IMAGE_PAGE) != 0)
        return -1;
    for (uint64_t i = 0, run; i < copy->count; i += run) {
        for (run = 1; i + run < copy->count && changed[i + run].number == changed[i].number + run;
             run++)
            continue;
        uint64_t off = changed[i].number * IMAGE_PAGE, len = run * IMAGE_PAGE;
        /* Behind the region's end the last page holds zeros. */
        len = off + len <= copy->image.len ? len : copy->image.len - off;
        if (write_at(copy->fd, copy->bytes + i * IMAGE_PAGE, len, off) != 0)
            return -1;
        for (uint64_t k = i; k < i + run; k++)
            image_written(&copy->image, changed[k].number, changed[k].sum);
    }
    copy->count = 0;
    return 0;
}

/* Returns 0; 1: there is no more room; or minus an errno value. Under the lock all pages are put
 * aside, which takes memory. Without it the region may grow inside its last page: that page waits
 * for the lock, and is written as far as the region reaches. */
static int page_put_aside(const struct image_page *page, void *context)
{
    struct copy *copy = context;
    if (!copy->still && (page->number + 1) * IMAGE_PAGE > copy->image.len)
        return 0;
    if (copy->count == copy->room)
        return 1;
    if (copy->still && copy->count % FLUSH_PAGES == 0 &&
        memory_suffices(FLUSH_PAGES * IMAGE_PAGE) != 0)
        return -ENOMEM;
    memcpy(copy->bytes + copy->count * IMAGE_PAGE, page->words, IMAGE_PAGE);
    if (page->number == 0)
        memcpy(copy->bytes + copy->count * IMAGE_PAGE, copy->mark, sizeof copy->mark);
    copy->changed[copy->count].number = page->number;
    copy->changed[copy->count].sum = page->sum;
    copy->count++;
    if (copy->still || copy->count < FLUSH_PAGES)
        return 0;
    return changed_write(copy) == 0 ? 0 : -errno;
}

static uint64_t pages_of(const struct copy *copy) { return copy->image.len / IMAGE_PAGE; }

/* Copies without the lock, round after round, until little changes between two. 0, or -1 with
 * errno. */
static int rounds_ahead(struct copy *copy)
{
    uint64_t before, wrote;
    copy->still = 0;
    for (unsigned i = 0; i < ROUNDS_AHEAD; i++) {
        if (segment_refresh(copy->heap) != 0 || copy_len_check(copy->heap) != 0)
            return -1;
        before = copy->image.writes;
        int result = image_compare(&copy->image, 0, page_put_aside, copy);
        if (result != 0 || changed_write(copy) != 0) {
            errno = result != 0 ? -result : errno;
            return -1;
        }
        wrote = copy->image.writes - before;
        if (wrote <= pages_of(copy) / 16)
            break;
    }
    return 0;
}

/* Reads control and slots, after the headers: a slot that a header names was taken before the
 * header named it. */
static void head_take(struct copy *copy)
{
    struct shmheap *heap = copy->heap;
    const shared_u64 *words = (const shared_u64 *)(const void *)heap->base;
    for (uint64_t i = 0; i < heap->layout.bits_off / 8; i++)
        copy->head[i] = load_acquire(&words[i]);
    copy->more_slots = slot_limit(heap) - heap->layout.slots_first;
    for (uint64_t i = 0; i < (uint64_t)copy->more_slots * SLOT_SIZE / 8; i++)
        copy->more[i] = load_acquire(&words[heap->layout.more_off / 8 + i]);
}

/* The heap does not change. Returns 0; 1: there was no room for all pages that changed; or minus
 * an errno value. */
static int run_copy(struct shmheap *heap, void *context)
{
    struct copy *copy = context;
    (void)heap;
    copy->still = 1;
    copy->count = 0;
    int result = image_compare(&copy->image, 1, page_put_aside, copy);
    if (result == 0)
        head_take(copy);
    return result;
}

/* In the heap a lock on its file or a pid kept the slot's owner alive. The copy has neither, and
 * no heirs. */
static void slots_settle(uint64_t *words, unsigned first, unsigned count)
{
    for (unsigned i = first; i < count; i++)
        words[(i * SLOT_SIZE + offsetof(struct slot, word)) / 8] &=
            ~(uint64_t)(SLOT_BY_PID | SLOT_HAS_HEIRS);
}

static uint64_t *head_word(struct copy *copy, size_t off) { return &copy->head[off / 8]; }

/* Makes the control that of a heap without processes: the lock free, no thread waiting. */
static void head_settle(struct copy *copy)
{
    *head_word(copy, offsetof(struct control, magic)) = 0;
    /* free blocks have no memory */
    *head_word(copy, offsetof(struct control, flags)) |= FORMAT_SPARSE;
    *head_word(copy, offsetof(struct control, lock)) = 0;
    *head_word(copy, offsetof(struct control, waiting)) = 0;
    /* the upper half is wait_futex */
    *head_word(copy, offsetof(struct control, wait_sleepers)) &= ~UINT64_C(0xffffffff);
    uint64_t *sequence = head_word(copy, offsetof(struct control, sequence));
    *sequence = (*sequence + 1) & ~UINT64_C(1);
}

/* Writes all but the pages; the magic last, as the maker of a heap does. */
static int head_write(struct copy *copy)
{
    const struct layout *layout = &copy->heap->layout;
    const uint64_t magic = FORMAT_MAGIC, more_len = (uint64_t)copy->more_slots * SLOT_SIZE;
    uint64_t len = copy_len(layout, copy->more_slots, copy->image.len);
    head_settle(copy);
    slots_settle(head_word(copy, layout->slots_off), 1, layout->slots_first);
    slots_settle(copy->more, 0, copy->more_slots);
    if (file_length_check(len) != 0 || ftruncate(copy->fd, (off_t)len) != 0 ||
        write_at(copy->fd, copy->head, layout->bits_off, 0) != 0 ||
        write_at(copy->fd, copy->more, more_len, layout->more_off) != 0)
        return -1;
    return write_at(copy->fd, &magic, sizeof magic, 0);
}

/* Fills the file: 0, or -1 with errno. */
static int copy_fill(struct copy *copy)
{
    int result = 1;
    for (unsigned round = 0; round < ROUNDS_MAX && result > 0; round++) {
        if (rounds_ahead(copy) != 0 || (result = inspect_at(copy->heap, run_copy, copy)) < 0 ||
            changed_write(copy) != 0)
            return -1;
    }
    if (result == 0)
        return head_write(copy);
    errno = EAGAIN;
    return -1;
}

/* The memory is reserved. */
static int copy_to(struct copy *copy, const char *path)
{
    copy->fd = -1;
    int made = target_begin(copy, path) == 0 && copy_fill(copy) == 0 &&
               target_publish(copy, path) == 0,
        reason = errno;
    if (!made)
        target_drop(copy, path);
    if (copy->fd >= 0)
        close(copy->fd);
    errno = reason;
    return made ? 0 : -1;
}

int copy_make(struct shmheap *heap, const char *path)
{
    int failed = -1;
    if (!heap->has_file) {
        errno = ENOTSUP;
        return -1;
    }
    struct copy *copy = calloc(1, sizeof *copy);
    if (copy == NULL)
        return -1;
    copy->heap = heap;
    if (image_begin(&copy->image, heap) == 0) {
        int fd = connection_fd(heap);
        copy->image.source = fd >= 0 ? file_reopen(fd, heap->name, heap->is_path, 1) : -1;
        if (copy->image.source >= 0 && copy_room_make(copy) == 0) {
            failed = copy_to(copy, path);
            munmap(copy->memory, (size_t)copy->memory_len);
        }
        int reason = errno;
        if (copy->image.source >= 0)
            close(copy->image.source);
        image_end(&copy->image);
        errno = reason;
    }
    free(copy);
    return failed;
}
