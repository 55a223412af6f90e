/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pause.h"

enum { USERS_END = USERS_BYTE + 1, STANDARD_STREAMS = 3 };

/* The same file under a number that is no standard stream's: what a program prints must not go into a heap. */
static int above_standard(int fd)
{
    if (fd < 0 || fd >= STANDARD_STREAMS)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_STREAMS), reason = errno;
    close(fd);
    errno = reason;
    return higher;
}

int file_open_named(const char *name, int is_path, int oflags, unsigned mode)
{
    /* Not blocking: the name may be that of a pipe without a writer. */
    oflags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = above_standard(is_path ? open(name, oflags, mode & 0600) : shm_open(name, oflags, mode & 0600));
    if (fd < 0)
        return -1;
    if ((oflags & O_EXCL) && fchmod(fd, mode) != 0) {
        int reason = errno;
        close(fd);
        file_remove(name, is_path);
        errno = reason;
        return -1;
    }
    return fd;
}

int file_remove(const char *name, int is_path) { return is_path ? unlink(name) : shm_unlink(name); }

int file_memory(const char *name)
{
    int fd = above_standard(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
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
    int again = file_identify(fd, &device, &inode) == 0 ? file_open_named(name, is_path, oflags, 0) : -1;
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
    int again = above_standard(open(path, oflags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
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
    return lock_command(fd, F_OFD_GETLK, &lock, F_WRLCK, 0, USERS_END) != 0 ? -1 : lock.l_type != F_UNLCK;
}

/* Lengths --------------------------------------------------------------- */

int file_extend(int fd, uint64_t len)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -1;
    return (uint64_t)status.st_size >= len ? 0 : ftruncate(fd, (off_t)len);
}

/* Not posix_fallocate(): where the file system cannot reserve, it rewrites single bytes, which others may be writing. */
int file_reserve(int fd, uint64_t from, uint64_t to)
{
    int result;
    do
        result = fallocate(fd, 0, (off_t)from, (off_t)(to - from));
    while (result != 0 && errno == EINTR);
    return result == 0 || errno != EOPNOTSUPP ? result : file_extend(fd, to);
}

/* Names ----------------------------------------------------------------- */

int file_is_nameless(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

int file_is_begun(const struct control *fixed, int empty_too)
{
    static const struct control nothing;
    if (fixed->magic != 0)
        return 0;
    return (fixed->version == FORMAT_VERSION && (fixed->shift == 3 || fixed->shift == 4)) ||
           (empty_too && memcmp(fixed, &nothing, sizeof nothing) == 0);
}

/* The first bytes of a regular file, zeros behind its end: how many there are, or -1 with errno. */
static ssize_t control_read(int fd, struct control *fixed)
{
    struct stat status;
    memset(fixed, 0, sizeof *fixed);
    if (fstat(fd, &status) != 0)
        return -1;
    if (S_ISREG(status.st_mode))
        return pread(fd, fixed, sizeof *fixed, 0);
    errno = EBADMSG;
    return -1;
}

static int is_begun_now(int fd)
{
    struct control fixed;
    return control_read(fd, &fixed) >= 0 && file_is_begun(&fixed, 0);
}

int file_was_abandoned(int fd)
{
    /* The maker locks its byte before it writes the first bytes, and unlocks it after magic: so what is begun still when the byte is seen
     * unlocked, stays so. */
    return is_begun_now(fd) && file_locked_by_writer(fd, MAKER_BYTE, 1) == 0 && is_begun_now(fd);
}

/* A heap of ours, or the begin of one: 0; -1 with errno. */
static int file_is_ours(int fd)
{
    struct control fixed;
    ssize_t got = control_read(fd, &fixed);
    if (got < 0)
        return -1;
    if (file_is_begun(&fixed, 1))
        return 0;
    errno = got < (ssize_t)offsetof(struct control, lock) || fixed.magic != FORMAT_MAGIC ? EBADMSG : EPROTONOSUPPORT;
    return errno != EBADMSG && fixed.version == FORMAT_VERSION ? 0 : -1;
}

/* Under a lock that keeps users out. */
static int remove_locked(int fd, const char *name, int is_path)
{
    if (file_is_nameless(fd)) {
        errno = ENOENT;
        return -1;
    }
    return file_is_ours(fd) != 0 ? -1 : file_remove(name, is_path);
}

int file_remove_unused(const char *name, int is_path)
{
    int before = errno, fd = file_open_named(name, is_path, O_RDWR, 0);
    if (fd < 0)
        return -1;
    int removed = -1;
    int locked = file_lock(fd, F_WRLCK, 0, USERS_END);
    if (locked == 0)
        removed = remove_locked(fd, name, is_path);
    else if (locked == 1)
        errno = EBUSY; /* whatever it is: its maker may be at it */
    int reason = removed == 0 ? before : errno;
    close(fd);
    errno = reason;
    return removed;
}
