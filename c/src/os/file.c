/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../base/kernel.h"
#include "pause.h"
#include "process.h"

enum { USERS_END = USERS_BYTE + 1, STANDARD_STREAMS = 3, REMOVER_WAIT_MS = 100 };
enum { INTERRUPTIONS = 100000 }; /* of a write, one after the other */
enum { BLANK_STEP = 4096, BLANK_MAX = 1 << 20 };

int file_above_standard(int fd)
{
    if (fd < 0 || fd >= STANDARD_STREAMS)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_STREAMS), reason = errno;
    close(fd);
    errno = reason;
    return higher;
}

int file_open_named(const char *name, int is_path, int oflags)
{
    /* Not blocking: the name may be that of a pipe without a writer. */
    oflags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = file_above_standard(is_path ? open(name, oflags, 0600) : shm_open(name, oflags, 0600));
    return fd;
}

int file_create_named(const char *name, int is_path)
{
    struct stat status;
    int fd = file_open_named(name, is_path, O_RDWR | O_CREAT | O_EXCL);
    if (fd < 0 || fstat(fd, &status) != 0 || (status.st_mode & 0600) == 0600 ||
        fchmod(fd, 0600) == 0)
        return fd;
    int reason = errno;
    file_remove(name, is_path);
    close(fd);
    errno = reason;
    return -1;
}

int file_open_mapped(const void *page, size_t len, int oflags)
{
    char path[80];
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)(uintptr_t)page,
             (unsigned long)((uintptr_t)page + len));
    return file_above_standard(open(path, oflags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
}

int file_remove(const char *name, int is_path) { return is_path ? unlink(name) : shm_unlink(name); }

int file_memory(const char *name)
{
    int fd = file_above_standard(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

int file_identify(int fd, dev_t *device, ino_t *inode)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -1;
    *device = status.st_dev;
    *inode = status.st_ino;
    return 0;
}

int file_is(int fd, dev_t device, ino_t inode)
{
    dev_t its_device;
    ino_t its_inode;
    int before = errno, known = file_identify(fd, &its_device, &its_inode) == 0;
    errno = before;
    return known && its_device == device && its_inode == inode;
}

int file_length_check(uint64_t len)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        len <= limit.rlim_cur)
        return 0;
    errno = EFBIG;
    return -1;
}

int file_write(int fd, const void *bytes, size_t len, off_t off)
{
    const unsigned char *next = bytes;
    unsigned interrupted = 0;
    while (len != 0) {
        ssize_t put = pwrite(fd, next, len, off);
        if (put == 0)
            errno = ENOSPC;
        if (put == 0 || (put < 0 && (errno != EINTR || ++interrupted > INTERRUPTIONS)))
            return -1;
        if (put < 0)
            continue;
        interrupted = 0;
        next += put;
        off += put;
        len -= (size_t)put;
    }
    return 0;
}

void file_close(int fd, dev_t device, ino_t inode)
{
    if (fd >= 0 && file_is(fd, device, inode))
        close(fd);
}

/* The file of this name, if it is that of fd. */
static int reopen_by_name(int fd, const char *name, int is_path, int oflags)
{
    dev_t device;
    ino_t inode;
    int again =
        file_identify(fd, &device, &inode) == 0 ? file_open_named(name, is_path, oflags) : -1;
    if (again >= 0 && !file_is(again, device, inode)) {
        close(again);
        errno = ENOENT;
        return -1;
    }
    return again;
}

int file_reopen(int fd, const char *name, int is_path, int read_only)
{
    char path[40];
    int oflags = read_only ? O_RDONLY : O_RDWR;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = file_above_standard(open(path, oflags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (again >= 0 || errno != ENOENT || name == NULL)
        return again;
    again = reopen_by_name(fd, name, is_path, oflags);
    if (again < 0)
        errno = ENOENT; /* of /proc */
    return again;
}

/* Locks ----------------------------------------------------------------- */

static int lock_command(int fd, int command, struct flock *lock, short type, off_t from, off_t len)
{
    memset(lock, 0, sizeof *lock);
    lock->l_type = type;
    lock->l_whence = SEEK_SET;
    lock->l_start = from;
    lock->l_len = len;
    return fcntl(fd, command, lock);
}

int file_lock(int fd, short type, off_t from, off_t len)
{
    struct flock lock;
    int before = errno;
    if (lock_command(fd, F_OFD_SETLK, &lock, type, from, len) == 0)
        return 0;
    if (errno != EAGAIN && errno != EACCES)
        return -1;
    errno = before;
    return 1;
}

int file_lock_wait(int fd, short type, off_t byte, unsigned limit_ms)
{
    struct pause pause = pause_begin(limit_ms);
    int locked;
    while ((locked = file_lock(fd, type, byte, 1)) == 1 && pause_sleep(&pause))
        continue;
    return locked;
}

void file_unlock(int fd, off_t from, off_t len)
{
    struct flock lock;
    int before = errno;
    lock_command(fd, F_OFD_SETLK, &lock, F_UNLCK, from, len);
    errno = before;
}

/* A read lock is what is looked for, so that write locks alone exclude it. */
int file_locked_by_writer(int fd, off_t from, off_t len)
{
    struct flock lock;
    if (lock_command(fd, F_OFD_GETLK, &lock, F_RDLCK, from, len) != 0)
        return -1;
    return lock.l_type != F_UNLCK;
}

int file_use(int fd, unsigned timeout_ms)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    /* Held for a few system calls; not for ever, since a peer may do that. */
    if (file_lock_wait(fd, F_RDLCK, USERS_BYTE, timeout_ms) != 1)
        return 0;
    errno = ETIMEDOUT;
    return -1;
}

int file_in_use(int fd)
{
    struct flock lock;
    return lock_command(fd, F_OFD_GETLK, &lock, F_WRLCK, 0, USERS_END) != 0
               ? -1
               : lock.l_type != F_UNLCK;
}

/* Names ----------------------------------------------------------------- */

int file_is_nameless(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

int file_is_begun(const struct file_begin *begin, int empty_too)
{
    static const struct file_begin nothing;
    const struct fixed *fixed = &begin->fixed;
    if (fixed->magic != 0)
        return 0;
    return (fixed->version == FORMAT_VERSION && (fixed->shift == 3 || fixed->shift == 4)) ||
           (empty_too && memcmp(begin, &nothing, sizeof nothing) == 0);
}

/* The first bytes of a regular file, zeros behind its end: how many there are, or -1 with errno. */
static ssize_t begin_read(int fd, struct file_begin *begin)
{
    struct stat status;
    memset(begin, 0, sizeof *begin);
    if (fstat(fd, &status) != 0)
        return -1;
    if (S_ISREG(status.st_mode))
        return pread(fd, begin, sizeof *begin, 0);
    errno = EBADMSG;
    return -1;
}

static int is_begun_now(int fd)
{
    struct file_begin begin;
    return begin_read(fd, &begin) >= 0 && file_is_begun(&begin, 0);
}

int file_was_abandoned(int fd)
{
    /* The maker locks its byte before it writes the first bytes, and unlocks it after magic: so
     * what is begun still when the byte is seen unlocked, stays so. */
    return is_begun_now(fd) && file_locked_by_writer(fd, MAKER_BYTE, 1) == 0 && is_begun_now(fd);
}

/* 1 when nothing is lost with the file: it is empty, or small and holds zeros alone. On hugetlbfs a
 * maker that dies leaves zeros of any length. On other file systems the maker writes its mark first,
 * so a long file that begins with zeros is another program's, for example a disk image. */
static int file_is_blank(int fd)
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

/* A heap of ours, or the begin of one: 0; -1 with errno. */
static int file_is_ours(int fd)
{
    struct file_begin begin;
    const struct fixed *fixed = &begin.fixed;
    ssize_t got = begin_read(fd, &begin);
    if (got < 0)
        return -1;
    if (file_is_begun(&begin, file_is_blank(fd)))
        return 0;
    errno =
        got < (ssize_t)sizeof *fixed || fixed->magic != FORMAT_MAGIC ? EBADMSG : EPROTONOSUPPORT;
    return errno != EBADMSG && fixed->version == FORMAT_VERSION ? 0 : -1;
}

/* A descriptor of the file that has the name: one that can be locked, else one that can be read,
 * else one that only tells which file it is (an owner without rights to the file may remove it). */
static int open_to_compare(const char *name, int is_path)
{
    static const int oflags[] = {O_RDWR, O_RDONLY, O_PATH};
    int fd = -1;
    for (unsigned i = 0; i < sizeof oflags / sizeof *oflags; i++)
        if ((fd = file_open_named(name, is_path, oflags[i])) >= 0 || errno != EACCES)
            break;
    return fd;
}

/* The name is that of this file: 0; -1 with errno. */
static int name_compare(const char *name, int is_path, dev_t device, ino_t inode)
{
    int there = open_to_compare(name, is_path);
    if (there < 0)
        return -1;
    int same = file_is(there, device, inode);
    close(there);
    errno = same ? errno : ESTALE;
    return same ? 0 : -1;
}

int file_remove_own(const char *name, int is_path, dev_t device, ino_t inode)
{
    int there = open_to_compare(name, is_path), removed = -1;
    if (there < 0)
        return -1;
    errno = ESTALE;
    if (file_is(there, device, inode)) {
        /* Not for long: a process that may write the file can keep the lock. Without it the caller
         * has no protection against another one that is just as far. */
        file_lock_wait(there, F_WRLCK, REMOVER_BYTE, REMOVER_WAIT_MS);
        if (name_compare(name, is_path, device, inode) == 0) /* once more: the remover before may
                                                                have been the one for this name */
            removed = file_remove(name, is_path);
    }
    int reason = errno;
    close(there);
    errno = reason;
    return removed;
}

/* One slot of a heap that no lock shows to be in use: 1 where it is told by a pid of this space that
 * lives. On overlayfs the lock goes with descriptors that a program may close. */
static int slot_lives(const struct slot *slot)
{
    uint64_t word = load_u64(&slot->word), state = word & SLOT_STATE_MASK;
    return (word & SLOT_BY_PID) && state != SLOT_FREE && state != SLOT_VACATED &&
           process_lives_in(word >> SLOT_NAMESPACE_SHIFT & SLOT_NAMESPACE_MASK,
                            (int64_t)(word >> SLOT_PID_SHIFT & SLOT_PID_MASK),
                            load_u64(&slot->start_ticks));
}

static int slots_live(int fd, off_t off, uint64_t count)
{
    struct slot slot;
    for (uint64_t i = 0; i < count; i++, off += (off_t)sizeof slot)
        if (pread(fd, &slot, sizeof slot, off) != (ssize_t)sizeof slot)
            return 0; /* the file ends there */
        else if (slot_lives(&slot))
            return 1;
    return 0;
}

/* 1 where a process that holds a slot by its pid uses the heap. */
static int file_is_held(int fd)
{
    struct file_begin begin;
    const struct fixed *fixed = &begin.fixed;
    struct layout layout;
    if (begin_read(fd, &begin) < (ssize_t)sizeof *fixed || fixed->magic != FORMAT_MAGIC ||
        layout_compute(&layout, fixed->max_len, fixed->shift, fixed->slot_count,
                       fixed->region_align) != 0)
        return 0;
    return slots_live(fd, (off_t)(layout.slots_off + sizeof(struct slot)),
                      layout.slots_first - 1) ||
           slots_live(fd, (off_t)layout.more_off, fixed->slot_count - layout.slots_first);
}

/* Under a lock that keeps users out. */
static int remove_locked(int fd, const char *name, int is_path, int abandoned_only)
{
    if (file_is_nameless(fd)) {
        errno = ENOENT;
        return -1;
    }
    dev_t device;
    ino_t inode;
    if (file_is_ours(fd) != 0 || file_identify(fd, &device, &inode) != 0)
        return -1;
    if (file_is_held(fd) || (abandoned_only && !file_was_abandoned(fd))) {
        errno = EBUSY;
        return -1;
    }
    if (name_compare(name, is_path, device, inode) != 0) {
        errno = errno == ESTALE ? EBUSY : errno; /* another process has just put its file there */
        return -1;
    }
    return file_remove(name, is_path);
}

int file_remove_unused(const char *name, int is_path, int abandoned_only)
{
    int before = errno, fd = file_open_named(name, is_path, O_RDWR);
    if (fd < 0)
        return -1;
    int removed = -1;
    int locked = file_lock(fd, F_WRLCK, 0, USERS_END);
    if (locked == 0)
        removed = remove_locked(fd, name, is_path, abandoned_only);
    else if (locked == 1)
        errno = EBUSY; /* whatever it is: its maker may be at it */
    int reason = removed == 0 ? before : errno;
    close(fd);
    errno = reason;
    return removed;
}
