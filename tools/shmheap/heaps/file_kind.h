/* file_kind.h: what a file is by its first bytes: a heap, an unfinished heap, or no heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_FILE_KIND_H
#define SHMHEAP_TOOL_FILE_KIND_H

#include "tools/shmheap/heaps/heap.h"

enum file_contents {
    FILE_UNREADABLE, /* errno tells why */
    FILE_FOLDER,
    FILE_SPECIAL,    /* a pipe, a socket or a device */
    FILE_EMPTY,      /* no bytes */
    FILE_ZEROS,      /* zeros only: an unfinished heap, or another program's file */
    FILE_FOREIGN,    /* another program's: no heap begins so, not even an unfinished one */
    FILE_UNFINISHED, /* a heap that its maker has begun */
    FILE_HEAP        /* begins as a heap of any version; behind that it may be damaged */
};

/* file_kind_of reads the first bytes of fd and, if these are zeros, up to a mebibyte. */
enum file_contents file_kind_of(int fd);

/* file_kind_of_ref opens the file that ref names. */
enum file_contents file_kind_of_ref(const struct heap_ref *ref);

#endif
