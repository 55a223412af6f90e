/* node_segment.h: memory shared by the processes of a node, without a name. It ends with the last
 * of them, however that ends. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_IOSERVER_NODE_SEGMENT_H
#define FORTRAN_IOSERVER_NODE_SEGMENT_H

#include <stdint.h>

/* The record by which other processes find a segment: sent to them as six 64-bit numbers. */
struct node_segment {
    int64_t bytes;
    int64_t pid, fd;       /* of the maker */
    int64_t device, inode; /* of the file below */
    int64_t made;          /* 1, or 0: not made */
};

/* node_segment_make makes a segment of that many bytes, all reserved, and maps it. NULL: the
 * machine has not that much to spare now, and made is 0. The maker keeps the descriptor until
 * node_segment_close_fd. */
void *node_segment_make(int64_t bytes, struct node_segment *segment);

/* node_segment_available returns the bytes that this machine has to spare now. -1: the kernel does
 * not say. */
int64_t node_segment_available(void);

/* node_segment_join maps a segment that another process of this machine made and whose descriptor
 * it still keeps. NULL: not made, not reachable (another user or PID namespace), or another file by
 * now. */
void *node_segment_join(const struct node_segment *segment);

void node_segment_close_fd(const struct node_segment *segment);

/* node_segment_at returns the address of a byte of a mapped segment. */
void *node_segment_at(void *memory, int64_t offset);

/* node_segment_leave unmaps the segment. Other processes keep it. */
void node_segment_leave(void *memory, int64_t bytes);

#endif
