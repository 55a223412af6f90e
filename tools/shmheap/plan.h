/* plan.h: what a replay is to do, and the board on which its processes write how far they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PLAN_H
#define SHMHEAP_TOOL_PLAN_H

#include <shmheap.h>
#include <sys/types.h>

#include "handover.h"
#include "histogram.h"
#include "trace.h"

enum { MOST_WORKERS = 512, MESSAGE_ROOM = 200 };

/* Kinds of calls that are timed apart: a realloc may copy its object. */
enum timed_kind { TIMED_ALLOC, TIMED_REALLOC, TIMED_FREE, TIMED_KINDS };

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_DONE, WORKER_FAILED };

/* One a worker, in memory that the replay's processes share; written by the worker, read by the parent. */
struct worker_board {
    uint64_t calls; /* done so far */
    uint64_t objects, bytes, frees, checked_bytes;
    uint64_t handed;            /* of the objects: freed by another process, which got the handle */
    uint64_t left;              /* objects that it left in the heap, being told to stop early */
    uint32_t state;             /* enum worker_state, stored with release */
    uint32_t slot;              /* of its connection */
    char message[MESSAGE_ROOM]; /* why it failed */
    struct histogram times[TIMED_KINDS];
    struct handover incoming; /* from the worker before this one */
};

struct plan {
    struct trace trace;
    const char *trace_name;
    char name[64];          /* of the heap */
    const char *given_name; /* or NULL: a random one */
    uint64_t processes, repeat, percent;
    uint64_t hand_over; /* each so manieth free is left to the next process; 0: none */
    uint64_t len, max_len, alignment, kill_steps;
    int kill_one, keep, inherit, sparse, json, quiet;
    uint64_t calls_each;       /* that each worker is to do */
    uint64_t stride;           /* each so manieth call is timed */
    shmheap_memory_handle mem; /* the parent's connection */
    struct worker_board *board;
};

/* In a worker: plays the trace, writes its board, and gives the exit status. go_fd is read to its end before it
 * starts; ready_fd is closed when it is ready. */
int worker_run(const struct plan *plan, unsigned index, int ready_fd, int go_fd);

/* The worker that --kill-one kills. */
enum { VICTIM = 0 };

#endif
