/* raw.h: the recorder's file of one process; `shmheap record` makes a stream of it.
 *
 * There is one file, PID.N, for each program image in the folder that SHMHEAP_RECORD names. It has
 * a header of one page, events in the order in which the calls took effect, then zeros. The
 * recorder writes through a shared mapping, so the events survive _exit, exec and SIGKILL. The file
 * is read on the same machine and then deleted, so it has no byte order and no version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RECORDER_RAW_H
#define SHMHEAP_RECORDER_RAW_H

#include <stdint.h>

#define RAW_FOLDER_VARIABLE "SHMHEAP_RECORD"

enum { RAW_HEADER = 4096 };

static const uint64_t RAW_MAGIC = UINT64_C(0x3177617270616568); /* "heapraw1" */

struct raw_header {
    uint64_t magic;
    uint64_t started_ns; /* CLOCK_MONOTONIC: orders the files */
    int64_t pid, parent;
    uint64_t cut; /* 1: recording stopped because an event could not be written */
    char name[64];
};

enum raw_op {
    RAW_NONE = 0, /* after the last event */
    RAW_MALLOC,
    RAW_CALLOC,
    RAW_ALIGNED,
    RAW_REALLOC, /* from address to moved */
    RAW_FREE
};

struct raw_event {
    /* op in the low byte, log2 of the alignment in the next. Stored last, with release: a reader
     * that sees an op sees the whole event, and a death before the store leaves no event. */
    uint32_t op_align;
    uint32_t thread;
    uint64_t address;
    uint64_t size;
    uint64_t moved;
};

#endif
