/* plan.h: the plan of a replay, and the boards on which its workers report progress.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PLAN_H
#define SHMHEAP_TOOL_PLAN_H

#include <shmheap.h>
#include <sys/types.h>

#include "tools/shmheap/worker/handover.h"
#include "tools/shmheap/worker/histogram.h"
#include "tools/shmheap/trace/trace.h"

enum { MOST_WORKERS = 512, MESSAGE_ROOM = 512 };

/* Kinds of calls with a histogram each: a realloc may copy its object. */
enum timed_kind { TIMED_ALLOC, TIMED_REALLOC, TIMED_FREE, TIMED_KINDS };

enum worker_state { WORKER_STARTING, WORKER_READY, WORKER_DONE, WORKER_FAILED };

/* One for each worker, in memory that the replay's processes share. The worker writes it, the
 * parent reads it. */
struct worker_board {
    uint64_t calls; /* done so far */
    uint64_t objects, bytes, frees, checked_bytes;
    uint64_t handed;            /* objects passed by handle to another process, which frees them */
    uint64_t left;              /* objects left in the heap by --until */
    uint32_t state;             /* enum worker_state, stored with release */
    uint32_t slot;              /* of the worker's connection */
    char message[MESSAGE_ROOM]; /* the error, if state is WORKER_FAILED */
    struct histogram times[TIMED_KINDS];
    struct handover incoming; /* from the worker before this one */
};

struct plan {
    struct trace trace;
    const char *trace_name;
    char name[64];          /* of the heap */
    const char *given_name; /* or NULL: a random one */
    uint64_t processes, repeat, percent;
    uint64_t hand_over; /* every hand_over-th object is freed by the next process; 0: none */
    uint64_t len, max_len, alignment, kill_steps;
    int kill_one, keep, inherit, sparse, json, quiet;
    uint64_t calls_each;       /* calls of each worker */
    uint64_t stride;           /* every stride-th call is timed */
    shmheap_memory_handle mem; /* the parent's connection */
    struct worker_board *board;
};

/* worker_run is a worker's whole life: it replays the trace, writes its board and returns the exit
 * status. It closes ready_fd when it is ready, and starts at the end of file of go_fd. */
int worker_run(const struct plan *plan, unsigned index, int ready_fd, int go_fd);

/* The worker that --kill-one kills. */
enum { VICTIM = 0 };

#endif
