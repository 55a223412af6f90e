/* node_segment.c: the segment is a sealed memfd. SPDX-License-Identifier: Apache-2.0 */
#include "node_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *file_map(int fd, int64_t bytes)
{
    void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

int64_t node_segment_available(void)
{
    char line[128];
    long long kib = -1;
    FILE *info = fopen("/proc/meminfo", "re");
    if (info == NULL)
        return -1;
    while (kib < 0 && fgets(line, sizeof line, info) != NULL)
        sscanf(line, "MemAvailable: %lld kB", &kib);
    fclose(info);
    return kib < 0 ? -1 : kib * 1024;
}

/* No limit holds for a memfd: if it is larger than the memory, the kernel kills processes. So this
 * checks first. */
static int memory_suffices(int64_t bytes) { return bytes < node_segment_available(); }

/* Until Linux 6.17 a signal makes the kernel undo all that one call has reserved. So this reserves
 * pieces, smaller after each interruption. Returns 0 or -1. */
static int file_reserve(int fd, int64_t bytes)
{
    const int64_t most = 16 << 20, least = 4096;
    int64_t piece = most;
    for (int64_t at = 0; at < bytes;) {
        int64_t len = bytes - at < piece ? bytes - at : piece;
        int status = posix_fallocate(fd, at, len);
        if (status == 0) {
            at += len;
            piece = 2 * piece < most ? 2 * piece : most;
        } else if (status == EINTR) {
            piece = piece / 4 > least ? piece / 4 : least;
        } else {
            return -1;
        }
    }
    return 0;
}

/* All pages are reserved, so that no access fails later, and sealed, so that no process removes
 * them. */
static int file_prepare(int fd, int64_t bytes)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    return file_reserve(fd, bytes) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0 ? 0 : -1;
}

void *node_segment_make(int64_t bytes, struct node_segment *segment)
{
    struct stat file;
    memset(segment, 0, sizeof *segment);
    int fd = bytes > 0 && memory_suffices(bytes)
                 ? memfd_create("ioserver_context", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                 : -1;
    if (fd < 0)
        return NULL;
    void *memory =
        file_prepare(fd, bytes) == 0 && fstat(fd, &file) == 0 ? file_map(fd, bytes) : NULL;
    if (memory == NULL) {
        close(fd);
        return NULL;
    }
    segment->bytes = bytes;
    segment->pid = getpid();
    segment->fd = fd;
    segment->device = (int64_t)file.st_dev;
    segment->inode = (int64_t)file.st_ino;
    segment->made = 1;
    return memory;
}

static int same_file(int fd, const struct node_segment *segment)
{
    struct stat file;
    return fstat(fd, &file) == 0 && (int64_t)file.st_dev == segment->device &&
           (int64_t)file.st_ino == segment->inode && file.st_size == segment->bytes;
}

void *node_segment_join(const struct node_segment *segment)
{
    char path[64];
    if (!segment->made)
        return NULL;
    snprintf(path, sizeof path, "/proc/%lld/fd/%lld", (long long)segment->pid,
             (long long)segment->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *memory = same_file(fd, segment) ? file_map(fd, segment->bytes) : NULL;
    close(fd);
    return memory;
}

void node_segment_close_fd(const struct node_segment *segment)
{
    if (segment->made && segment->pid == getpid())
        close((int)segment->fd);
}

void *node_segment_at(void *memory, int64_t offset) { return (char *)memory + offset; }

void node_segment_leave(void *memory, int64_t bytes)
{
    if (memory != NULL)
        munmap(memory, (size_t)bytes);
}
