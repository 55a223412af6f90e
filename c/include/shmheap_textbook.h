/* shmheap_textbook.h: shmheap.h for a course in which offsets are predicted with pencil and paper.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A program includes this in place of shmheap.h, or is compiled with -include shmheap_textbook.h.
 * shmheap_create then makes heaps whose objects are placed as docs/teaching.md says: the first 16
 * bytes behind shmheap_underlying(), each rounded up to a multiple of 8, with a header of 8 bytes
 * between two. All other calls are those of shmheap.h. */
#ifndef SHMHEAP_TEXTBOOK_H
#define SHMHEAP_TEXTBOOK_H

#include <string.h>

#include "shmheap.h"

/* shmheap_create_textbook does what shmheap_create does, with alignment 8. Failures are the same.
 */
static inline shmheap_memory_handle shmheap_create_textbook(const char *name, size_t len)
{
    shmheap_memory_handle mem;
    shmheap_options options;
    memset(&options, 0, sizeof options);
    options.len = len != 0 ? len : 1; /* 0 would be a default, and is refused as 1 is */
    options.alignment = 8;
    options.flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE;
    shmheap_open(&mem, name, &options);
    return mem;
}

#define shmheap_create shmheap_create_textbook

#endif
