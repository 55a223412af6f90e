/* execution.c: kills a process while it holds a heap's lock.
 *
 * The victim is stopped between two instructions when its slot is found in the lock. SIGKILL ends a
 * stopped process without running it, so the victim cannot release the lock first.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/replay/execution.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "c/src/process/lock.h"

enum { MOST_STEPS = 20000000 };

static int await(pid_t victim, int *wait_status)
{
    while (waitpid(victim, wait_status, __WALL) < 0)
        if (errno != EINTR)
            return -1;
    return 0;
}

/* Runs one instruction of the victim. Returns 0 with the victim stopped, or -1 if it ended. */
static int step(pid_t victim, int *wait_status)
{
    int stopped_by = WSTOPSIG(*wait_status);
    int pass_on = stopped_by == SIGTRAP || stopped_by == SIGSTOP ? 0 : stopped_by;
    if (ptrace(PTRACE_SINGLESTEP, victim, NULL, (long)pass_on) || await(victim, wait_status))
        return -1;
    return WIFSTOPPED(*wait_status) ? 0 : -1;
}

int execution_run(struct execution *execution, shmheap_memory_handle mem, pid_t victim,
                  unsigned slot, uint64_t held_steps, int *wait_status)
{
    int gone = 0;
    while (!gone && execution->steps < MOST_STEPS && execution->held_steps <= held_steps) {
        gone = step(victim, wait_status);
        execution->steps++;
        if (!gone && lock_owner_slot(mem.heap) == slot)
            execution->held_steps++;
        else
            execution->held_steps = 0; /* it released the lock: wait for its next acquisition */
    }
    if (gone)
        return -1;
    execution->done = execution->held_steps > held_steps;
    kill(victim, SIGKILL);
    if (await(victim, wait_status))
        return -1;
    return execution->done ? 0 : -1;
}
