/* copies.h: a heap with kept names, and a check of its copy.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROCESS_COPIES_H
#define TESTS_PROCESS_COPIES_H

#include <fcntl.h>

#include "tests/support/test.h"

enum { LEN = 1 << 22, SLOTS = 64, KEPT = 20, KEPT_LEN = 3000, WRITERS = 3, COPIES = 80 };

shmheap_memory_handle open_copy(const char *path, unsigned flags);

/* A new path on a file system that has O_TMPFILE, valid till the end. */
const char *copy_path(void);

void check_absent(const char *path);

void kept_make(shmheap_memory_handle mem);

void kept_check(shmheap_memory_handle mem);

/* struct object lies in the heap. */
struct object {
    uint64_t len, mark, bytes[];
};

#endif
