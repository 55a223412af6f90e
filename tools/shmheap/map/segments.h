/* segments.h: the blocks of a heap in the order of addresses, with small neighbours combined.
 *
 * A picture needs no more segments than it has pixels, however many blocks the heap has. A block
 * that is at least cell_len long is a segment. Smaller blocks that begin in one cell (cell_len
 * bytes of the region) share a segment. With cell_len 1 each block is a segment.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SEGMENTS_H
#define SHMHEAP_TOOL_SEGMENTS_H

#include <shmheap.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SEGMENT_STATES = 7,
    OWNER_DIED = 0,        /* the process died, and another one has its slot */
    OWNER_DEPARTED = 1023, /* the process disconnected */
    OWNER_NONE = 1024,     /* free, internal, sent, named: no single process holds it */
    OWNERS = 1025
};

struct segment {
    uint64_t offset, size; /* bytes, with headers */
    uint64_t blocks;
    uint64_t bytes[SEGMENT_STATES]; /* by state */
    uint64_t weight;                /* of owner, in the vote for the most bytes */
    unsigned owner;                 /* slot, or an OWNER_ value */
};

struct segments {
    struct segment *list;
    size_t count, room;
    size_t most;       /* when there are so many, cell_len grows */
    uint64_t cell_len; /* bytes */
};

/* segments_add appends a block. Returns 0, or -1 with errno ENOMEM. */
int segments_add(struct segments *segments, const shmheap_block_info *block);

/* segments_coarsen combines segments for cells of cell_len bytes. It does nothing if the cells are
 * that long already. */
void segments_coarsen(struct segments *segments, uint64_t cell_len);

void segments_free(struct segments *segments);

/* segment_state is the state with the most bytes in the segment, other than free; free if the
 * segment has only free blocks. segment_used is the bytes that are not free. */
enum shmheap_state segment_state(const struct segment *segment);
uint64_t segment_used(const struct segment *segment);

/* block_owner is the slot of the process that holds the block, or an OWNER_ value. */
unsigned block_owner(const shmheap_block_info *block);

#endif
