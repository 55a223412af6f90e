/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/stepper.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

static void stepped_child(void *context)
{
    struct stepper *stepper = context;
    if (stepper->prepare)
        stepper->prepare(stepper->context);
    CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
    CHECK(raise(SIGSTOP) == 0);
    stepper->operate(stepper->context);
    stepper->done = 1;
    for (;;)
        pause();
}

static void wait_for_stop(pid_t pid, int expected)
{
    int status = test_wait(pid);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), expected);
}

pid_t stepper_begin(struct stepper *stepper)
{
    stepper->done = 0;
    pid_t pid = test_fork(stepped_child, stepper);
    wait_for_stop(pid, SIGSTOP);
    return pid;
}

int stepper_step(pid_t pid, struct stepper *stepper)
{
    CHECK_EQ(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    wait_for_stop(pid, SIGTRAP);
    return !stepper->done;
}

void stepper_kill(pid_t pid) { test_kill(pid); }
