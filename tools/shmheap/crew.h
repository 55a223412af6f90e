/* crew.h: the processes of a replay as their parent sees them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_CREW_H
#define SHMHEAP_TOOL_CREW_H

#include "execution.h"
#include "plan.h"

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

/* crew_start forks the workers and waits until each is ready or dead. 0, or STATUS_FAILED having said why; crew_end is
 * due in either case. */
int crew_start(struct crew *crew, const struct plan *plan);

/* crew_watch lets them go and returns when the last has ended, whatever ended it. Shows progress meanwhile. */
void crew_watch(struct crew *crew, const struct plan *plan);

/* crew_end kills and reaps those that are still there. */
void crew_end(struct crew *crew);

/* Calls done so far by all. */
uint64_t crew_calls(const struct plan *plan);

#endif
