/* execution.c: killing a process while it holds a heap's lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The victim is stopped between two instructions when its slot is found in the lock, so it cannot let go before the
 * signal takes it: SIGKILL ends a traced process without letting it run on.
 */
#include "execution.h"

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

/* step: 0 with the victim stopped again, or -1 when it is no more. */
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
            execution->held_steps = 0; /* it let go sooner than that: the next time, then */
    }
    if (gone)
        return -1;
    execution->done = execution->held_steps > held_steps;
    kill(victim, SIGKILL);
    if (await(victim, wait_status))
        return -1;
    return execution->done ? 0 : -1;
}
