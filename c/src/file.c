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

enum { POLL_NS = 200000, USERS_END = USERS_BYTE + 1 };

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
    return file_is_ours(fd) != 0 ? -1 : file_remove(name, is_path);
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
