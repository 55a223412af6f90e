/* execution.h: kills a process while it holds a heap's lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_EXECUTION_H
#define SHMHEAP_TOOL_EXECUTION_H

#include <shmheap.h>
#include <stdint.h>
#include <sys/types.h>

struct execution {
    uint64_t steps;      /* instructions that the victim was stepped */
    uint64_t held_steps; /* the last of them: instructions with the lock held */
    int done;            /* 1: the victim was killed with the lock held */
};

/* execution_run single-steps the victim, which has stopped for its tracer, until slot holds the
 * lock of mem, then held_steps instructions more, and kills it by SIGKILL while it still holds the
 * lock. It reaps the victim. Returns 0, or -1 if the victim ended before or never took the lock. */
int execution_run(struct execution *execution, shmheap_memory_handle mem, pid_t victim,
                  unsigned slot, uint64_t held_steps, int *wait_status);

#endif
