/* execution.h: killing a process while it holds a heap's lock, for certain.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_EXECUTION_H
#define SHMHEAP_TOOL_EXECUTION_H

#include <shmheap.h>
#include <stdint.h>
#include <sys/types.h>

struct execution {
    uint64_t steps;      /* instructions that the victim was moved on */
    uint64_t held_steps; /* of them, how many with the lock in its hands */
    int done;            /* 1: it was killed holding the lock */
};

/* execution_run moves the victim, which has stopped for its tracer, on by single instructions until it holds the
 * lock of mem in its slot, for so many instructions more, and kills it by SIGKILL while the lock is still its own.
 * The victim is reaped. 0, or -1 when it ended before or never took the lock. */
int execution_run(struct execution *execution, shmheap_memory_handle mem, pid_t victim,
                  unsigned slot, uint64_t held_steps, int *wait_status);

#endif
