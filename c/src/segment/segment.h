/* segment.h: the memory of a heap: its making, its mapping.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SEGMENT_H
#define SHMHEAP_SEGMENT_H

#include "connection.h"
#include "../os/topology.h"
#include "shmheap.h"

/* struct segment_plan is private: a heap to be made. */
struct segment_plan {
    uint64_t len, max_len, flags;
    unsigned shift;
    uint32_t slot_count, region_align;
    const struct scope *scope; /* where the memory is to lie; NULL: anywhere */
    int (*mapped)(
        struct shmheap *heap); /* called once the file is mapped, before it is filled: 0, or
                                            -1 with errno to give up; NULL: nothing is called */
};

/* segment_make lays a new heap out in the connection's empty file and maps it. Connectors wait
 * until segment_announce, which wakes them. 0; -1 with errno. */
int segment_make(struct shmheap *heap, const struct segment_plan *plan);

/* segment_await waits while the heap in the connection's file is being made, timeout_ms milliseconds
 * at most: 0, or -1 with errno ETIMEDOUT; ESTALE when the file has no name any more, and had_name
 * says that it had; EOWNERDEAD when its maker has died; EBADMSG when it is no heap. */
int segment_await(struct shmheap *heap, unsigned timeout_ms, int had_name);

/* segment_map connects to the heap in the connection's file, after segment_await. Never waits: errno
 * EBADMSG should the file be a heap no longer. */
int segment_map(struct shmheap *heap);

/* The same in memory of the caller. */
int segment_make_at(struct shmheap *heap, void *memory, uint64_t bytes,
                    const struct segment_plan *plan);
int segment_map_at(struct shmheap *heap, void *memory, uint64_t bytes);

/* The largest region for which layout and region fit into bytes; 0: none does. */
uint64_t segment_region_fitting(uint64_t bytes, unsigned shift, uint32_t slot_count,
                                uint32_t region_align);

void segment_announce(struct shmheap *heap);

/* segment_refresh takes note that the region's length has changed: 0; -1 with errno EBADMSG when it
 * is none that the segment can have. Needs no lock. */
int segment_refresh(struct shmheap *heap);

/* segment_is_there: 0 where the program has taken away the memory below an open connection, as at
 * its end it may. */
int segment_is_there(const struct shmheap *heap);

void segment_unmap(struct shmheap *heap);

#endif
