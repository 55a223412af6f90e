/* crew.h: starts, watches and reaps the worker processes of a replay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_CREW_H
#define SHMHEAP_TOOL_CREW_H

#include "tools/shmheap/replay/execution.h"
#include "tools/shmheap/worker/plan.h"

struct crew_member {
    pid_t pid;
    int ended;
    int wait_status;
};

struct crew {
    struct crew_member member[MOST_WORKERS];
    unsigned count, alive;
    int go_fd, ready_fd; /* -1: closed */
    int interrupted;     /* the signal that ended the replay, or 0 */
    struct execution execution;
    uint64_t started_ns, ended_ns;
};

/* crew_start forks the workers and waits until each is ready or dead. Returns 0, or STATUS_FAILED
 * after printing the error. In both cases the caller calls crew_end. */
int crew_start(struct crew *crew, const struct plan *plan);

/* crew_watch starts the workers, shows progress and returns when all have ended, for any reason. */
void crew_watch(struct crew *crew, const struct plan *plan);

/* crew_end kills and reaps the remaining workers. */
void crew_end(struct crew *crew);

/* crew_calls is the number of calls that all workers have made. */
uint64_t crew_calls(const struct plan *plan);

#endif
