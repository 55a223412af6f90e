/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { POLL_NS = 200000, USERS_END = USERS_BYTE + 1, REMOVER_WAIT_MS = 100 };

int file_open_named(const char *name, int is_path, int oflags, unsigned mode)
{
    /* Not blocking: the name may be that of a pipe that nobody writes. */
    oflags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = is_path ? open(name, oflags, mode & 0600) : shm_open(name, oflags, mode & 0600);
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

/* A descriptor of what has the name: to be locked, or where that is not permitted, to be looked at. */
static int open_to_compare(const char *name, int is_path)
{
    int fd = file_open_named(name, is_path, O_RDWR, 0);
    return fd >= 0 || errno != EACCES ? fd : file_open_named(name, is_path, O_RDONLY, 0);
}

/* 1 when both are the same file. */
static int same_file(int fd, int other)
{
    struct stat one, two;
    return fstat(fd, &one) == 0 && fstat(other, &two) == 0 && one.st_dev == two.st_dev && one.st_ino == two.st_ino;
}

/* The name is that of the file fd: 0; -1 with errno. */
static int name_compare(const char *name, int is_path, int fd)
{
    int there = open_to_compare(name, is_path);
    if (there < 0)
        return -1;
    int same = same_file(fd, there);
    close(there);
    errno = same ? errno : ESTALE;
    return same ? 0 : -1;
}

/* Waits for other removers. Not for long, since a mere reader can hold the lock as well: without it a remover only has no protection against
 * another one that is just as far. */
static void remover_lock(int fd)
{
    uint64_t limit = clock_ns(CLOCK_MONOTONIC) + REMOVER_WAIT_MS * UINT64_C(1000000);
    while (file_lock(fd, F_OFD_SETLK, F_WRLCK, REMOVER_BYTE, 1) < 0 && (errno == EAGAIN || errno == EACCES) &&
           clock_ns(CLOCK_MONOTONIC) < limit) {
        struct timespec pause = {0, POLL_NS};
        nanosleep(&pause, NULL);
    }
}

int file_remove_own(const char *name, int is_path, int fd)
{
    int there = open_to_compare(name, is_path), removed = -1;
    if (there < 0)
        return -1;
    errno = ESTALE;
    if (same_file(fd, there)) {
        remover_lock(there);
        if (name_compare(name, is_path, fd) == 0) /* once more: the remover before may have been the one for this name */
            removed = file_remove(name, is_path);
    }
    int reason = errno;
    close(there);
    errno = reason;
    return removed;
}

int file_memory(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        return -1;
    }
    return fd;
}

int file_reopen(int fd, int read_only)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

int file_lock(int fd, int command, short type, off_t from, off_t len)
{
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = from;
    lock.l_len = len;
    if (fcntl(fd, command, &lock) != 0)
        return -1;
    return lock.l_type == F_UNLCK ? 0 : 1; /* of F_OFD_GETLK: 1 when somebody holds it */
}

int file_use(int fd, unsigned timeout_ms)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    uint64_t limit = clock_ns(CLOCK_MONOTONIC) + timeout_ms * UINT64_C(1000000);
    while (file_lock(fd, F_OFD_SETLK, F_RDLCK, USERS_BYTE, 1) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return 0;
        if (clock_ns(CLOCK_MONOTONIC) >= limit) {
            errno = ETIMEDOUT;
            return -1;
        }
        struct timespec pause = {0, POLL_NS}; /* held for a few system calls; not waited for, since a peer may hold it for ever */
        nanosleep(&pause, NULL);
    }
    return 0;
}

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

int file_in_use(int fd) { return file_lock(fd, F_OFD_GETLK, F_WRLCK, 0, USERS_END); }

int file_is_nameless(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

/* Empty, or as a heap's maker leaves it who dies before the magic. */
static int file_is_begun(const struct control *fixed)
{
    static const struct control nothing;
    return fixed->magic == 0 && (memcmp(fixed, &nothing, sizeof nothing) == 0 ||
                                 (fixed->version == FORMAT_VERSION && (fixed->shift == 3 || fixed->shift == 4)));
}

/* A heap of ours, or the begin of one: 0; -1 with errno. */
static int file_is_ours(int fd)
{
    struct stat status;
    struct control fixed;
    memset(&fixed, 0, sizeof fixed);
    if (fstat(fd, &status) != 0)
        return -1;
    ssize_t got = S_ISREG(status.st_mode) ? pread(fd, &fixed, sizeof fixed, 0) : -1;
    if (got >= 0 && file_is_begun(&fixed))
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
    if (file_is_ours(fd) != 0)
        return -1;
    if (name_compare(name, is_path, fd) != 0) {
        errno = errno == ESTALE ? EBUSY : errno; /* another process has just put its file there */
        return -1;
    }
    return file_remove(name, is_path);
}

int file_remove_unused(const char *name, int is_path)
{
    int before = errno, fd = file_open_named(name, is_path, O_RDWR, 0);
    if (fd < 0)
        return -1;
    int removed = -1;
    if (file_lock(fd, F_OFD_SETLK, F_WRLCK, 0, USERS_END) >= 0)
        removed = remove_locked(fd, name, is_path);
    else if (errno == EAGAIN || errno == EACCES)
        errno = EBUSY; /* whatever it is: its maker may be at it */
    int reason = removed == 0 ? before : errno;
    close(fd);
    errno = reason;
    return removed;
}
