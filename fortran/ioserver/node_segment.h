/* node_segment.h: memory shared by the processes of a node, without a name: it is gone when the last of them is, however they end.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_IOSERVER_NODE_SEGMENT_H
#define FORTRAN_IOSERVER_NODE_SEGMENT_H

#include <stdint.h>

/* How others find a segment: sent to them as six 64-bit numbers. */
struct node_segment {
    int64_t bytes;
    int64_t pid, fd;       /* of who made it */
    int64_t device, inode; /* of the file below */
    int64_t made;          /* 1, or 0: not made */
};

/* node_segment_make makes one of that many bytes, all reserved, and maps it. NULL: more than the machine has to spare now, and made 0. The maker
 * keeps the descriptor until node_segment_close_fd. */
void *node_segment_make(int64_t bytes, struct node_segment *segment);

/* The bytes that this machine has to spare now. -1: the kernel does not say. */
int64_t node_segment_available(void);

/* node_segment_join maps a segment that another process of this machine made, and that keeps its descriptor still. NULL: not made, or
 * not to be reached (another user or PID namespace), or another file by now. */
void *node_segment_join(const struct node_segment *segment);

void node_segment_close_fd(const struct node_segment *segment);

/* The address of a byte of a mapped segment. */
void *node_segment_at(void *memory, int64_t offset);

/* Unmaps. Others go on. */
void node_segment_leave(void *memory, int64_t bytes);

#endif
