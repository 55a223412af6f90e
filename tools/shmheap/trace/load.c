/* load.c: reads a file into memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/trace/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned char *read_all(int fd, size_t size, size_t *len)
{
    unsigned char *bytes = malloc(size + 1);
    *len = 0;
    while (bytes && *len < size) {
        ssize_t got = read(fd, bytes + *len, size - *len);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR) {
            free(bytes);
            return NULL;
        }
        *len += got < 0 ? 0 : (size_t)got;
    }
    return bytes;
}

unsigned char *load_file(const char *path, size_t *len)
{
    struct stat status;
    unsigned char *bytes = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) == 0) {
        if (S_ISREG(status.st_mode))
            bytes = read_all(fd, (size_t)status.st_size, len);
        else
            errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    }
    int error = errno;
    close(fd);
    errno = error;
    return bytes;
}
