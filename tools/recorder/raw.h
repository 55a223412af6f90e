/* raw.h: what the recorder leaves behind of a process, and `shmheap record` makes into a stream of a trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One file for each program image, PID.N, in the folder that SHMHEAP_RECORD names: a page of header, then
 * events in the order in which the calls took effect, then zeros. It is written through a shared
 * mapping, so what a process recorded is there also after _exit, exec or SIGKILL. Read on the machine that wrote it,
 * and deleted then: no byte order, no versions.
 */
#ifndef SHMHEAP_RECORDER_RAW_H
#define SHMHEAP_RECORDER_RAW_H

#include <stdint.h>

#define RAW_FOLDER_VARIABLE "SHMHEAP_RECORD"

enum { RAW_HEADER = 4096 };

static const uint64_t RAW_MAGIC = UINT64_C(0x3177617270616568); /* "heapraw1" */

/* Written by the recorder in its mapping. */
struct raw_header {
    uint64_t magic;
    uint64_t started_ns; /* CLOCK_MONOTONIC: orders the files */
    int64_t pid, parent;
    uint64_t cut; /* 1: an event could not be written, and none after it was */
    char name[64];
};

enum raw_op {
    RAW_NONE = 0, /* behind the last event */
    RAW_MALLOC,
    RAW_CALLOC,
    RAW_ALIGNED,
    RAW_REALLOC, /* of address to moved */
    RAW_FREE
};

struct raw_event {
    uint32_t
        op_align; /* op in the low byte, log2 of the alignment in the next; stored last, with release */
    uint32_t thread;
    uint64_t address;
    uint64_t size;
    uint64_t moved;
};

#endif
