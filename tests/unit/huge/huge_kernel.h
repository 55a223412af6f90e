/* huge_kernel.h: a model of what the kernel does with huge pages, for tests that wrap
 * clock_gettime, fallocate, fstatfs and madvise: it counts requests, says how long each takes, and
 * refuses.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_HUGE_KERNEL_H
#define TESTS_HUGE_KERNEL_H

#include <stdint.h>

enum { HUGE_PAGE = 2 << 20 };

/* Zeros: a kernel that makes each huge page at once. A test may clear it between two heaps. */
struct huge_kernel {
    int bytes_error, pages_error; /* errno of each call; 0: it succeeds */
    unsigned interrupted;         /* EINTR, so many times before each byte is reserved */
    long page_ns;                 /* what one huge page takes; nothing else takes time */
    unsigned bytes;               /* calls that reserve one byte, to collapse from */
    unsigned in_row;              /* how many such calls failed since one succeeded */
    int has_byte;                 /* one succeeded since the last huge page */
    uint64_t byte_at;             /* its offset */
    unsigned filled, touched;     /* huge pages requested with a byte before, and without */
    uint64_t first, next;         /* offsets of the first filled one, and behind the last */
    char *base;                   /* where offset 0 of the filled ones is mapped */
    uint64_t reserved;            /* bytes, by all other calls */
    int is_vast;                  /* these reserve nothing, as pages appear when they are used, and
                                   * the index has huge pages of its own, before the region's */
    int on_disk;                  /* whether files are said to lie on ext4 */
    unsigned advised;             /* mappings in which the kernel shall make huge pages by itself */
    uint64_t collapsed;           /* bytes of the heap that huge pages were requested for at once */
};
extern struct huge_kernel kernel;

#endif
