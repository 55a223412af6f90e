/* file.c: the system calls on a heap's file: open, fstat, pwrite, F_OFD_SETLK, unlink.
 * SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/error.h"
#include "../base/kernel.h"
#include "../base/layout.h"
#include "pause.h"

enum { USERS_END = USERS_BYTE + 1, STANDARD_STREAMS = 3, REMOVER_WAIT_MS = 100 };
enum { WRITE_INTERRUPTIONS = 100000 }; /* of one write in a row */

void file_drop(int fd)
{
    int before = errno;
    close(fd);
    errno = before;
}

/* The marks of this library's descriptions: the signal that O_ASYNC would send. Regular files send
 * none. A lent description has its own mark: the program may have duplicates of it. marks_refused:
 * a filter of system calls or an emulator forbids the marks. */
enum { MARK = SIGURG, MARK_LENT = SIGIO };
static int marks_refused;

static void file_mark(int fd, int with)
{
    int before = errno;
    /* EBADF: O_PATH */
    if (fcntl(fd, F_SETSIG, with) != 0 && errno != EBADF)
        __atomic_store_n(&marks_refused, 1, __ATOMIC_RELAXED);
    errno = before;
}

static int is_marked(int fd, int with)
{
    return __atomic_load_n(&marks_refused, __ATOMIC_RELAXED) || fcntl(fd, F_GETSIG) == with;
}

int file_above_standard(int fd)
{
    if (fd < 0)
        return fd;
    file_mark(fd, MARK);
    if (fd >= STANDARD_STREAMS)
        return fd;
    int higher = fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_STREAMS);
    file_drop(fd);
    return higher;
}

/* For a name that is too long, glibc before 2.41 reports EINVAL or ENOENT. */
static void shm_name_error(const char *name)
{
    if ((errno == EINVAL || errno == ENOENT) && strlen(name) > NAME_MAX)
        errno = ENAMETOOLONG;
}

int file_open_named(const char *name, int is_path, int oflags)
{
    /* O_NONBLOCK: the name may be that of a pipe without a writer. */
    oflags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int fd = is_path ? open(name, oflags, 0600) : shm_open(name, oflags, 0600);
    if (fd < 0 && !is_path)
        shm_name_error(name);
    return file_above_standard(fd);
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

int file_memory(const char *name)
{
    int fd = file_above_standard(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
        file_drop(fd);
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

static int is_marked_file(int fd, dev_t device, ino_t inode, int with)
{
    int before = errno, is = file_is(fd, device, inode) && is_marked(fd, with);
    errno = before;
    return is;
}

int file_is_ours(int fd, dev_t device, ino_t inode)
{
    return is_marked_file(fd, device, inode, MARK);
}

void file_mark_lent(int fd) { file_mark(fd, MARK_LENT); }

int file_is_lent(int fd, dev_t device, ino_t inode)
{
    return is_marked_file(fd, device, inode, MARK_LENT);
}

int file_is_nameless(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

int file_is_sealed(int fd)
{
    int before = errno, seals = fcntl(fd, F_GET_SEALS);
    errno = before;
    return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
}

int file_can_be_cut(int fd)
{
    static const char memfd[] = "/memfd:";
    char path[32], target[sizeof memfd];
    int before = errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int is_memfd = readlink(path, target, sizeof target) >= (ssize_t)strlen(memfd) &&
                   memcmp(target, memfd, strlen(memfd)) == 0;
    int seals = is_memfd ? fcntl(fd, F_GET_SEALS) : -1;
    errno = before;
    return seals >= 0 && (seals & F_SEAL_SHRINK) == 0;
}

int file_length_check(uint64_t len)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        len <= limit.rlim_cur)
        return 0;
    return error_cause(EFBIG, CAUSE_FILE_LIMIT, len, limit.rlim_cur);
}

int file_write(int fd, const void *bytes, size_t len, off_t off)
{
    const unsigned char *next = bytes;
    unsigned interrupted = 0;
    while (len != 0) {
        ssize_t put = pwrite(fd, next, len, off);
        if (put == 0)
            errno = ENOSPC;
        if (put == 0 || (put < 0 && (errno != EINTR || ++interrupted > WRITE_INTERRUPTIONS)))
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
    if (fd >= 0 && file_is_ours(fd, device, inode))
        close(fd);
}

/* Opens the file of this name if it is the file of fd. */
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
    if (again >= 0 || errno != ENOENT)
        return again;
    again = name != NULL ? reopen_by_name(fd, name, is_path, oflags) : -1;
    if (again >= 0)
        return again;
    enum cause cause = access("/proc/self/fd", F_OK) != 0 ? CAUSE_NO_PROC : CAUSE_NONE;
    return error_cause(ENOENT, cause, 0, 0); /* the first error */
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

/* Queries a read lock, which write locks alone exclude. */
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
    /* A remover holds the lock for a few system calls. A hostile peer may hold it for ever. */
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

int file_lock_unused(int fd) { return file_lock(fd, F_WRLCK, 0, USERS_END); }

/* Memory ---------------------------------------------------------------- */

struct file_data file_data_next(int fd, uint64_t from)
{
    int before = errno;
    off_t data = lseek(fd, (off_t)from, SEEK_DATA);
    int none_follows = data < 0 && errno == ENXIO;
    off_t hole = data >= 0 ? lseek(fd, data, SEEK_HOLE) : -1;
    const struct file_data next = {none_follows ? UINT64_MAX
                                   : data >= 0  ? (uint64_t)data
                                                : from,
                                   hole > data ? (uint64_t)hole : UINT64_MAX};
    errno = before;
    return next;
}

/* Names ----------------------------------------------------------------- */

int file_remove(const char *name, int is_path)
{
    int removed = is_path ? unlink(name) : shm_unlink(name);
    if (removed != 0 && !is_path)
        shm_name_error(name);
    return removed;
}

/* Opens the file of the name to compare it: for locking, else for reading, else for its identity
 * alone. An owner without permission to open the file may still remove it. */
static int open_to_compare(const char *name, int is_path)
{
    static const int oflags[] = {O_RDWR, O_RDONLY, O_PATH};
    int fd = -1;
    for (unsigned i = 0; i < sizeof oflags / sizeof *oflags; i++)
        if ((fd = file_open_named(name, is_path, oflags[i])) >= 0 || errno != EACCES)
            break;
    return fd;
}

/* Where the process has no descriptor left. shm_overview(7) says where names of shm_open() are. */
static int name_stat(const char *name, int is_path, struct stat *status)
{
    char path[sizeof "/dev/shm/" + NAME_MAX];
    if (is_path)
        return stat(name, status);
    int len = snprintf(path, sizeof path, "/dev/shm/%s", name + strspn(name, "/"));
    if (len < 0 || (size_t)len >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return lstat(path, status);
}

int file_name_check(const char *name, int is_path, dev_t device, ino_t inode)
{
    struct stat status;
    int there = open_to_compare(name, is_path);
    int known = there >= 0                           ? fstat(there, &status)
                : errno == EMFILE || errno == ENFILE ? name_stat(name, is_path, &status)
                                                     : -1;
    if (there >= 0)
        file_drop(there);
    if (known != 0 || (status.st_dev == device && status.st_ino == inode))
        return known;
    errno = ESTALE;
    return -1;
}

int file_remove_own(const char *name, int is_path, dev_t device, ino_t inode)
{
    int there = open_to_compare(name, is_path), removed = -1;
    if (there < 0)
        return -1;
    errno = ESTALE;
    if (file_is(there, device, inode)) {
        /* A limit, since a process that may write the file can keep the lock. Without the lock the
         * caller has no protection against another caller at this step. */
        file_lock_wait(there, F_WRLCK, REMOVER_BYTE, REMOVER_WAIT_MS);
        /* Once more: an earlier holder of the lock may have removed this name. */
        if (file_name_check(name, is_path, device, inode) == 0)
            removed = file_remove(name, is_path);
    }
    file_drop(there);
    return removed;
}
