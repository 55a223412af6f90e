/* stepper.h: a child that runs one operation under ptrace, instruction by instruction, and is
 * killed where we like.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A step is one instruction of the program. A system call is one too: the kernel runs it to its end
 * and stops behind it, so deaths lie before and after each, never inside. A repeated string
 * instruction is one step a repetition. */
#ifndef TESTS_CRASH_STEPPER_H
#define TESTS_CRASH_STEPPER_H

#include <stdint.h>
#include <sys/types.h>

/* struct stepper is shared with the child. */
struct stepper {
    void (*prepare)(void *context); /* what the child does at full speed first; may be NULL */
    void (*operate)(void *context); /* what is stepped through */
    void *context;
    /* 1: a thread of the child's prepares, operates and ends, and its end is stepped through too */
    int in_thread;
    volatile int done; /* operate has returned; in a thread: the thread is gone */
    pid_t traced;      /* the child, or that thread */
};

/* The child has prepared, and stands right before operate. stepper is in memory from test_shared.
 * The child's pid. */
pid_t stepper_begin(struct stepper *stepper);
/* One instruction: 1, or 0 when the operation is complete. */
int stepper_step(pid_t pid, struct stepper *stepper);
/* The rest, at full speed. */
void stepper_finish(struct stepper *stepper);
/* Ends the child by SIGKILL, where it stands. */
void stepper_kill(struct stepper *stepper, pid_t pid);

/* struct stepper_trace is private: the way that an operation takes. Another child takes the same
 * way if it finds the same, and is then run to a place on it at full speed, by a breakpoint,
 * instead of step by step. */
struct stepper_trace {
    unsigned count;  /* instructions */
    uintptr_t *at;   /* the place of each; 0 where there can be no breakpoint */
    unsigned *times; /* how often it has been at that place by then, this time included */
    unsigned *
        /* the earlier one with the breakpoint from which it is reached; 0: it is stepped to from
         * the beginning */
        from;
};

/* Steps a child through the whole operation and kills it then. */
void stepper_record(struct stepper *stepper, struct stepper_trace *trace);
void stepper_trace_drop(struct stepper_trace *trace);
/* What it costs to get there, in steps. */
uint64_t stepper_cost(const struct stepper_trace *trace, unsigned k);
/* The child has run k instructions from its beginning (some more or fewer if it found another time,
 * pid or the like): 1; 0: the operation was complete before; -1: it has gone another way, where the
 * breakpoint is not, and cannot be used (another one may be stepped). */
int stepper_run(pid_t pid, struct stepper *stepper, const struct stepper_trace *trace, unsigned k);

#endif
