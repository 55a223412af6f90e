/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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
