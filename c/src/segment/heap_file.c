/* heap_file.c: tests the first bytes of a file, waits for its maker, and removes unused heaps.
 * SPDX-License-Identifier: Apache-2.0 */
#include "heap_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../base/kernel.h"
#include "../os/file.h"
#include "../os/pause.h"
#include "../os/process.h"

enum { BLANK_STEP = 4096, BLANK_MAX = 1 << 20 };

/* A maker that lives uses its file some microseconds after it made it. */
enum { EMPTY_TIMES = 6 };

/* Unfinished and abandoned ------------------------------------------------ */

/* A copy of the first bytes of a file. */
struct file_head {
    struct fixed fixed;
    unsigned char rest[sizeof(struct control) - sizeof(struct fixed)];
};

/* Returns 1 when a maker that dies can leave these first bytes, else 0. With empty_too, zeros count
 * as well. */
static int is_unfinished(const struct file_head *head, int empty_too)
{
    static const struct file_head zeros;
    const struct fixed *fixed = &head->fixed;
    if (fixed->magic != 0)
        return 0;
    return (fixed->version == FORMAT_VERSION && (fixed->shift == 3 || fixed->shift == 4)) ||
           (empty_too && memcmp(head, &zeros, sizeof zeros) == 0);
}

/* Reads the first bytes of a regular file, zeros behind its end: their number; -1 with errno. */
static ssize_t head_read(int fd, struct file_head *head)
{
    struct stat status;
    memset(head, 0, sizeof *head);
    if (fstat(fd, &status) != 0)
        return -1;
    if (S_ISREG(status.st_mode))
        return pread(fd, head, sizeof *head, 0);
    errno = EBADMSG;
    return -1;
}

static int is_unfinished_now(int fd)
{
    struct file_head head;
    return head_read(fd, &head) >= 0 && is_unfinished(&head, 0);
}

int heap_file_is_abandoned(int fd)
{
    /* The maker locks its byte before it writes the first bytes and unlocks it after magic. So a
     * file that is still unfinished after the byte was seen unlocked stays unfinished. */
    return is_unfinished_now(fd) && file_locked_by_writer(fd, MAKER_BYTE, 1) == 0 &&
           is_unfinished_now(fd);
}

int heap_file_is_blank(int fd)
{
    struct statfs status;
    unsigned char bytes[BLANK_STEP];
    off_t off = 0;
    ssize_t got = 0;
    if (fstatfs(fd, &status) == 0 && (uint32_t)status.f_type == HUGETLBFS_MAGIC)
        return 1;
    for (; off <= BLANK_MAX && (got = pread(fd, bytes, sizeof bytes, off)) > 0; off += got)
        if (bytes[0] != 0 || memcmp(bytes, bytes + 1, (size_t)got - 1) != 0)
            return 0;
    return got == 0 && off <= BLANK_MAX;
}

/* Returns 1 for a file without contents, or unfinished, that no process uses: what
 * SHMHEAP_TAKE_OVER may replace. */
static int is_empty_and_unused(int fd)
{
    struct file_head head;
    /* The lock first: only of an unused file may a mebibyte be read. */
    return file_in_use(fd) == 0 && head_read(fd, &head) >= 0 &&
           is_unfinished(&head, heap_file_is_blank(fd));
}

/* Waiting for a maker ----------------------------------------------------- */

int heap_file_read(int fd, struct fixed *fixed)
{
    memset(fixed, 0, sizeof *fixed);
    /* The maker stores magic last, but one read may copy the other fields before it copies magic.
     * The second read begins after magic was seen. */
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

/* Processes that wait for magic sleep on its low half. */
static uint32_t *magic_futex(struct control *control)
{
    return (uint32_t *)(void *)&control->magic;
}

void heap_file_announce(const struct shmheap *heap)
{
    syscall(SYS_futex, magic_futex(heap->control), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps until heap_file_announce, or for the next pause: 1; 0 when the limit has passed. The futex
 * fails while the file lacks the page; then the thread sleeps by the clock alone. */
static int magic_sleep(struct control *first_page, struct pause *pause)
{
    struct pause once = *pause;
    uint64_t ns = pause_ns(pause);
    struct timespec limit = timespec_of(ns);
    if (ns == 0)
        return 0;
    if (first_page != MAP_FAILED &&
        (syscall(SYS_futex, magic_futex(first_page), FUTEX_WAIT, 0, &limit, NULL, 0) == 0 ||
         errno == ETIMEDOUT || errno == EAGAIN))
        return 1;
    return pause_sleep(&once);
}

int heap_file_await(const struct shmheap *heap, unsigned timeout_ms, int had_name, int take_over)
{
    struct pause pause = pause_begin(timeout_ms);
    struct fixed fixed;
    void *first_page = MAP_FAILED;
    unsigned empty = 0; /* times in a row that the file was empty and unused */
    int found;
    while ((found = heap_file_read(heap->fd, &fixed)) == 0) {
        empty = take_over && is_empty_and_unused(heap->fd) ? empty + 1 : 0;
        int reason = had_name && file_is_nameless(heap->fd)                     ? ESTALE
                     : heap_file_is_abandoned(heap->fd) || empty >= EMPTY_TIMES ? EOWNERDEAD
                                                                                : 0;
        if (first_page == MAP_FAILED && heap->file_kind != FILE_IN_HUGE_PAGES)
            first_page = mmap(NULL, sizeof(struct control), PROT_READ, MAP_SHARED, heap->fd, 0);
        if (reason == 0 && !magic_sleep(first_page, &pause))
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

/* Removing ---------------------------------------------------------------- */

/* Returns 0 for a heap of this format, finished or not; -1 with errno. */
static int format_check(int fd)
{
    struct file_head head;
    const struct fixed *fixed = &head.fixed;
    ssize_t got = head_read(fd, &head);
    if (got < 0)
        return -1;
    if (is_unfinished(&head, heap_file_is_blank(fd)))
        return 0;
    errno = got < FIXED_SIZE || fixed->magic != FORMAT_MAGIC ? EBADMSG : EPROTONOSUPPORT;
    return errno != EBADMSG && fixed->version == FORMAT_VERSION ? 0 : -1;
}

/* Returns 1 for a slot that is held by its pid, in this namespace, and whose process lives. No lock
 * shows such a holder: on overlayfs the locks end with descriptors that the program may close. */
static int slot_lives(const struct slot *slot)
{
    uint64_t word = load_u64(&slot->word), state = word & SLOT_STATE_MASK;
    return (word & SLOT_BY_PID) && state != SLOT_FREE && state != SLOT_VACATED &&
           process_lives_in(word >> SLOT_NAMESPACE_SHIFT & SLOT_NAMESPACE_MASK,
                            (int64_t)(word >> SLOT_PID_SHIFT & SLOT_PID_MASK),
                            load_u64(&slot->start_ticks));
}

static int slots_live(int fd, uint64_t off, uint64_t count)
{
    struct slot slot;
    for (uint64_t i = 0; i < count; i++, off += sizeof slot)
        if (pread(fd, &slot, sizeof slot, (off_t)off) != (ssize_t)sizeof slot)
            return 0; /* the file ends there */
        else if (slot_lives(&slot))
            return 1;
    return 0;
}

/* Returns 1 when a process holds a slot of the heap by its pid. */
static int file_is_held(int fd)
{
    struct file_head head;
    const struct fixed *fixed = &head.fixed;
    struct layout layout;
    if (head_read(fd, &head) < FIXED_SIZE || fixed->magic != FORMAT_MAGIC ||
        layout_compute(&layout, fixed->max_len, fixed->shift, fixed->slot_count,
                       fixed->region_align) != 0)
        return 0;
    return slots_live(fd, layout.slots_off + sizeof(struct slot), layout.slots_first - 1) ||
           slots_live(fd, layout.more_off, fixed->slot_count - layout.slots_first);
}

/* The caller has a lock that excludes users. */
static int remove_locked(int fd, const char *name, int is_path, int abandoned_only)
{
    dev_t device;
    ino_t inode;
    if (file_is_nameless(fd)) {
        errno = ENOENT;
        return -1;
    }
    if (format_check(fd) != 0 || file_identify(fd, &device, &inode) != 0)
        return -1;
    if (file_is_held(fd) || (abandoned_only && !heap_file_is_abandoned(fd))) {
        errno = EBUSY;
        return -1;
    }
    if (file_name_check(name, is_path, device, inode) != 0) {
        errno = errno == ESTALE ? EBUSY : errno; /* another process has just put its file there */
        return -1;
    }
    return file_remove(name, is_path);
}

int heap_file_remove_unused(const char *name, int is_path, int abandoned_only)
{
    int before = errno, fd = file_open_named(name, is_path, O_RDWR);
    if (fd < 0)
        return -1;
    int removed = -1;
    int locked = file_lock_unused(fd);
    if (locked == 0)
        removed = remove_locked(fd, name, is_path, abandoned_only);
    else if (locked == 1)
        errno = EBUSY; /* also when the file is no heap: its maker may be at work */
    if (removed == 0)
        errno = before;
    file_drop(fd);
    return removed;
}
