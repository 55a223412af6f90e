/* stepper.h: a child that runs one operation under ptrace, instruction by instruction, and is killed where we like.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_STEPPER_H
#define TESTS_CRASH_STEPPER_H

#include <sys/types.h>

/* struct stepper is shared with the child. */
struct stepper {
    void (*prepare)(void *context); /* what the child does at full speed first; may be NULL */
    void (*operate)(void *context); /* what is stepped through */
    void *context;
    volatile int done;              /* operate has returned */
};

/* The child has prepared, and stands right before operate. stepper is in memory from test_shared. */
pid_t stepper_begin(struct stepper *stepper);
/* One instruction: 1, or 0 when operate has returned. */
int stepper_step(pid_t pid, struct stepper *stepper);
/* Ends the child by SIGKILL, where it stands. */
void stepper_kill(pid_t pid);

#endif
