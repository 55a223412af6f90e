/* segment.h: makes, maps and refreshes the segment of a heap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SEGMENT_H
#define SHMHEAP_SEGMENT_H

#include "../os/topology.h"
#include "connection.h"
#include "heap_file.h"
#include "shmheap.h"

/* struct segment_plan is a heap to be made. */
struct segment_plan {
    uint64_t len, max_len, flags;
    unsigned shift;
    uint32_t slot_count, region_align;
    const struct topology *topology; /* where the memory shall lie; NULL: anywhere */
    /* NULL, or called once the file is mapped and before it is filled. Returns 0, or -1 with errno:
     * segment_make then fails. */
    int (*mapped)(struct shmheap *heap);
};

/* segment_make lays out a new heap in the connection's empty file and maps it: 0, or -1 with errno.
 * Other processes wait until segment_announce. A death inside leaves an abandoned file. */
int segment_make(struct shmheap *heap, const struct segment_plan *plan);

/* segment_map maps the heap in the connection's file, after heap_file_await: 0, or -1 with errno,
 * EBADMSG when the file no longer holds a heap. It never waits. */
int segment_map(struct shmheap *heap);

/* The same in the caller's memory, of so many bytes. */
int segment_make_at(struct shmheap *heap, void *memory, uint64_t bytes,
                    const struct segment_plan *plan);
int segment_map_at(struct shmheap *heap, void *memory, uint64_t bytes);

/* segment_region_fitting returns the length of the largest region whose segment fits into bytes; 0:
 * none fits. */
uint64_t segment_region_fitting(uint64_t bytes, unsigned shift, uint32_t slot_count,
                                uint32_t region_align);

/* segment_announce stores magic, which publishes the heap, and wakes the processes that wait. */
void segment_announce(struct shmheap *heap);

/* segment_refresh reads the region's length, which a peer may have raised: 0, or -1 with errno
 * EBADMSG when the segment cannot have it. It needs no lock. */
int segment_refresh(struct shmheap *heap);

/* segment_page_is_there returns 1 when the file has the page of the byte before this offset, which
 * the mapping contains, else 0. It needs no descriptor: a futex call fails with EFAULT behind the
 * end of the file. The file never shrinks. */
int segment_page_is_there(const struct shmheap *heap, uint64_t off);

/* segment_is_there returns 0 when the program has unmapped or reused the caller's memory below an
 * open connection, as it may when it ends; else 1. */
int segment_is_there(const struct shmheap *heap);

void segment_unmap(struct shmheap *heap);

#endif
