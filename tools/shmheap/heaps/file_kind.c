/* file_kind.c: what a file is by its first bytes.
 *
 * A heap begins with a number, magic, that its maker stores last. Before it the maker writes the
 * other fields that do not change. On hugetlbfs, which has no write(2), the file is all zeros until
 * the maker fills these fields; elsewhere a long file of zeros is another program's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/heaps/file_kind.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "c/src/segment/heap_file.h"

static int is_beginning_of_heap(const struct control *control)
{
    struct layout layout;
    return control->magic == 0 && control->version == FORMAT_VERSION &&
           layout_compute(&layout, control->max_len, control->shift, control->slot_count,
                          control->region_align) == 0 &&
           layout.region_off == control->region_off;
}

static enum file_contents kind_of_regular(int fd)
{
    static const struct control zeros;
    struct control control;
    memset(&control, 0, sizeof control); /* bytes behind the end of the file count as 0 */
    ssize_t got = pread(fd, &control, sizeof control, 0);
    if (got <= 0)
        return got < 0 ? FILE_UNREADABLE : FILE_EMPTY;
    if (control.magic == FORMAT_MAGIC)
        return FILE_HEAP;
    if (is_beginning_of_heap(&control))
        return FILE_UNFINISHED;
    return memcmp(&control, &zeros, sizeof control) == 0 && heap_file_is_blank(fd) ? FILE_ZEROS
                                                                                   : FILE_FOREIGN;
}

enum file_contents file_kind_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return FILE_UNREADABLE;
    if (S_ISDIR(status.st_mode))
        return FILE_FOLDER;
    return S_ISREG(status.st_mode) ? kind_of_regular(fd) : FILE_SPECIAL;
}

enum file_contents file_kind_of_ref(const struct heap_ref *ref)
{
    int fd = heap_ref_fd(ref);
    if (fd < 0) /* open() of a socket fails with ENXIO, of a device without driver with ENODEV */
        return errno == ENXIO || errno == ENODEV ? FILE_SPECIAL : FILE_UNREADABLE;
    enum file_contents kind = file_kind_of(fd);
    int reason = errno;
    close(fd);
    errno = reason;
    return kind;
}
