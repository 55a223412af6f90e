/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/stepper.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

/* Stopping at a breakpoint and passing it costs about as much as so many steps. */
enum { BREAKPOINT_STEPS = 5 };

static void stand_and_operate(struct stepper *stepper)
{
    if (stepper->prepare)
        stepper->prepare(stepper->context);
    CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
    CHECK(raise(SIGSTOP) == 0);
    stepper->operate(stepper->context);
}

static void *stepped_thread(void *context)
{
    stand_and_operate(context);
    return NULL;
}

static void stepped_child(void *context)
{
    struct stepper *stepper = context;
    if (stepper->in_thread) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, stepped_thread, stepper), 0);
    } else {
        stand_and_operate(stepper);
        stepper->done = 1;
        /* For a caller that waits for a breakpoint that the child does not reach. */
        CHECK(raise(SIGSTOP) == 0);
    }
    for (;;)
        pause();
}

/* The signal that it stopped by; 0: the traced thread has ended. */
static int wait_for_stop(struct stepper *stepper)
{
    int status = 0;
    pid_t stopped;
    do
        stopped = waitpid(stepper->traced != 0 ? stepper->traced : -1, &status, __WALL);
    while (stopped < 0 && errno == EINTR);
    CHECK(stopped > 0);
    stepper->traced = stopped;
    if (stepper->in_thread && WIFEXITED(status)) {
        stepper->done = 1;
        return 0;
    }
    CHECK(WIFSTOPPED(status));
    return WSTOPSIG(status);
}

/* Keeps debugger and child on the processor where the debugger is: on two, each step would wait for
 * the other one to wake up, three times as long. Until the child is killed, so that the kernel can
 * move both between two deaths. A kernel that refuses costs only time. */
static cpu_set_t allowed; /* what the debugger may use while no child is there */
static int together;

static void stay_together(pid_t child)
{
    cpu_set_t here;
    int processor = sched_getcpu();
    if (processor < 0 || processor >= CPU_SETSIZE ||
        (!together && sched_getaffinity(0, sizeof allowed, &allowed) != 0))
        return;
    CPU_ZERO(&here);
    CPU_SET(processor, &here);
    sched_setaffinity(child, sizeof here, &here);
    together |= sched_setaffinity(0, sizeof here, &here) == 0;
}

static void part(void)
{
    if (together)
        together = sched_setaffinity(0, sizeof allowed, &allowed) != 0;
}

pid_t stepper_begin(struct stepper *stepper)
{
    stepper->done = 0;
    pid_t pid = test_fork(stepped_child, stepper);
    stepper->traced = stepper->in_thread ? 0 : pid;
    CHECK_EQ(wait_for_stop(stepper), SIGSTOP);
    stay_together(stepper->traced);
    return pid;
}

int stepper_step(pid_t pid, struct stepper *stepper)
{
    CHECK(pid != 0);
    CHECK_EQ(ptrace(PTRACE_SINGLESTEP, stepper->traced, NULL, NULL), 0);
    int signal = wait_for_stop(stepper);
    CHECK_EQ(signal, stepper->in_thread && stepper->done ? 0 : SIGTRAP);
    return !stepper->done;
}

void stepper_finish(struct stepper *stepper)
{
    CHECK_EQ(ptrace(PTRACE_CONT, stepper->traced, NULL, NULL), 0);
    CHECK_EQ(wait_for_stop(stepper), stepper->in_thread ? 0 : SIGSTOP);
    CHECK(stepper->done);
}

void stepper_kill(struct stepper *stepper, pid_t pid)
{
    part();
    CHECK(kill(pid, SIGKILL) == 0);
    if (stepper->traced != pid && !stepper->done) {
        int status = 0;
        while (waitpid(stepper->traced, &status, __WALL) < 0 && errno == EINTR)
            continue;
        CHECK(WIFSIGNALED(status));
    }
    int status = test_wait(pid);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

/* Places and breakpoints: for x86-64; elsewhere every child is stepped from the beginning. */
#if defined(__x86_64__)
#define BREAKPOINT 0xccL

static int poke(pid_t pid, uintptr_t at, long word)
{
    return ptrace(PTRACE_POKETEXT, pid, (void *)at, (void *)word) == 0;
}

static uintptr_t place(pid_t pid)
{
    return (uintptr_t)ptrace(PTRACE_PEEKUSER, pid, (void *)offsetof(struct user, regs.rip), NULL);
}

/* The kernel's own code in the process, which reads clocks, can be stepped through, but has no
 * breakpoints. */
static uintptr_t place_for_breakpoint(pid_t pid)
{
    uintptr_t at = place(pid);
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, pid, (void *)at, NULL);
    return errno == 0 && poke(pid, at, word) ? at : 0;
}

/* Runs until it has come to the place so many times, and stands there with the program as it was:
 * 1, else 0. */
static int run_to_place(struct stepper *stepper, uintptr_t at, unsigned times)
{
    pid_t pid = stepper->traced;
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, pid, (void *)at, NULL), trap = (word & ~0xffL) | BREAKPOINT;
    if (errno != 0)
        return 0;
    for (;; times--) {
        if (!poke(pid, at, trap))
            return 0;
        CHECK_EQ(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
        if (wait_for_stop(stepper) != SIGTRAP || place(pid) != at + 1)
            return 0;
        CHECK(poke(pid, at, word));
        CHECK_EQ(ptrace(PTRACE_POKEUSER, pid, (void *)offsetof(struct user, regs.rip), (void *)at),
                 0);
        if (times == 1)
            return 1;
        if (!stepper_step(pid, stepper))
            return 0;
    }
}
#else
static uintptr_t place_for_breakpoint(pid_t pid)
{
    CHECK(pid != 0);
    return 0;
}

static int run_to_place(struct stepper *stepper, uintptr_t at, unsigned times)
{
    CHECK(at != 0 && times != 0 && stepper != NULL);
    return 0;
}
#endif

static void trace_add(struct stepper_trace *trace, uintptr_t at)
{
    unsigned i = trace->count++;
    if ((i & (i - 1)) == 0) {
        trace->at = realloc(trace->at, 2 * (i + 1) * sizeof *trace->at);
        CHECK(trace->at != NULL);
    }
    trace->at[i] = at;
}

/* struct visits is private: how often each place was come to; a table twice as large as there
 * are. */
struct visits {
    uintptr_t *places;
    unsigned *counts;
    unsigned mask;
};

static unsigned visits_add(struct visits *visits, uintptr_t at)
{
    unsigned slot = (unsigned)(at * UINT64_C(0x9e3779b97f4a7c15) >> 32) & visits->mask;
    while (visits->places[slot] != 0 && visits->places[slot] != at)
        slot = (slot + 1) & visits->mask;
    visits->places[slot] = at;
    return ++visits->counts[slot];
}

/* From where each instruction is reached with the least work: breakpoints passed, and steps from
 * the last one on. */
static void trace_plan(struct stepper_trace *trace)
{
    struct visits visits = {NULL, NULL, 15};
    unsigned from = 0;
    while (visits.mask < 2 * trace->count)
        visits.mask = 2 * visits.mask + 1;
    visits.places = calloc(visits.mask + 1, sizeof *visits.places);
    visits.counts = calloc(visits.mask + 1, sizeof *visits.counts);
    trace->from = calloc(trace->count, sizeof *trace->from);
    trace->times = calloc(trace->count, sizeof *trace->times);
    CHECK(visits.places != NULL && visits.counts != NULL && trace->from != NULL &&
          trace->times != NULL);
    for (unsigned i = 0; i < trace->count; i++) {
        trace->times[i] = trace->at[i] != 0 ? visits_add(&visits, trace->at[i]) : 0;
        if (trace->times[i] != 0 &&
            trace->times[i] * BREAKPOINT_STEPS <
                trace->times[from] * (from != 0) * BREAKPOINT_STEPS + i - from)
            from = i;
        trace->from[i] = from;
    }
    free(visits.places);
    free(visits.counts);
}

void stepper_record(struct stepper *stepper, struct stepper_trace *trace)
{
    memset(trace, 0, sizeof *trace);
    pid_t pid = stepper_begin(stepper);
    do
        trace_add(trace, place_for_breakpoint(stepper->traced));
    while (stepper_step(pid, stepper));
    stepper_kill(stepper, pid);
    trace_plan(trace);
}

void stepper_trace_drop(struct stepper_trace *trace)
{
    free(trace->at);
    free(trace->from);
    free(trace->times);
    memset(trace, 0, sizeof *trace);
}

uint64_t stepper_cost(const struct stepper_trace *trace, unsigned k)
{
    unsigned from = trace->from[k];
    return (from != 0 ? (uint64_t)trace->times[from] * BREAKPOINT_STEPS : 0) + k - from;
}

int stepper_run(pid_t pid, struct stepper *stepper, const struct stepper_trace *trace, unsigned k)
{
    unsigned from = k < trace->count ? trace->from[k] : 0;
    if (from != 0 && !run_to_place(stepper, trace->at[from], trace->times[from]))
        return -1;
    for (; from < k; from++)
        if (!stepper_step(pid, stepper))
            return 0;
    return 1;
}
