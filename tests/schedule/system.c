/* system.c: the system calls by which the core waits, replaced for actors by turns on the stage.
 *
 * An actor never waits in the kernel for another one: the stage knows which actor sleeps on which
 * word, in the order of the kernel's queue. Time is virtual. Each reading of the monotonic clock
 * takes READ_NS, which ends a spin after one round. A time limit passes where the plan says so, or
 * where no actor can go on otherwise.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/schedule/schedule.h"
#include "tests/support/wrap.h"

enum { READ_NS = 20000, YIELD_NS = 1000000 };

#define NO_WORD (UINT64_MAX - 1) /* on which a pause sleeps: no wake finds it */

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (clock != CLOCK_MONOTONIC || stage == NULL)
        return __real_clock_gettime(clock, now);
    stage->clock += READ_NS;
    *now = timespec_of(stage->clock);
    return 0;
}

/* Sleeping ---------------------------------------------------------------- */

/* Returns 1 when the actor was woken, 0 when its time limit passed. */
static int sleep_on(uint64_t futex, uint32_t kinds, const struct timespec *limit)
{
    struct actor *actor = &stage->actors[self];
    actor->futex = futex;
    actor->kinds = kinds;
    actor->deadline = limit != NULL
                          ? (uint64_t)limit->tv_sec * 1000000000u + (uint64_t)limit->tv_nsec
                          : UINT64_MAX;
    actor->since = ++stage->sleeps;
    actor->timed_out = 0;
    actor->state = ACTOR_BLOCKED;
    stage_give_way();
    return !actor->timed_out;
}

uint64_t sleepers_wake(uint64_t futex, uint64_t count, uint32_t kinds)
{
    uint64_t woken = 0;
    for (; woken < count; woken++) {
        struct actor *first = NULL;
        for (unsigned i = 0; i < stage->count; i++) {
            struct actor *actor = &stage->actors[i];
            if (actor->state == ACTOR_BLOCKED && actor->futex == futex && actor->kinds & kinds &&
                (first == NULL || actor->since < first->since))
                first = actor;
        }
        if (first == NULL)
            break;
        first->state = ACTOR_READY;
    }
    return woken;
}

static long futex_wait(const uint32_t *word, uint32_t expected, const struct timespec *limit,
                       uint32_t kinds)
{
    stage_step(word, 0, STEP_OF_WORD);
    if (*(const volatile uint32_t *)word == expected) {
        if (sleep_on(heap_offset(word), kinds, limit))
            return 0;
        errno = ETIMEDOUT;
    } else {
        errno = EAGAIN;
    }
    return -1;
}

static long futex_of_actor(const long *a)
{
    const uint32_t *word = (const uint32_t *)a[0];
    if (a[1] == FUTEX_WAIT_BITSET)
        return futex_wait(word, (uint32_t)a[2], (const struct timespec *)a[3], (uint32_t)a[5]);
    stage_step(word, 1, STEP_OF_WORD);
    return (long)sleepers_wake(heap_offset(word), (uint32_t)a[2], (uint32_t)a[5]);
}

/* The director sleeps for no actor, and time is the stage's: its time limit passes at once. */
static long futex_of_director(const long *a)
{
    const struct timespec *limit = (const struct timespec *)a[3];
    uint64_t end = (uint64_t)limit->tv_sec * 1000000000u + (uint64_t)limit->tv_nsec;
    if (stage->clock < end)
        stage->clock = end;
    errno = ETIMEDOUT;
    return -1;
}

static long at_syscall(long number, long *a)
{
    if (number == SYS_futex && !acting() && a[1] == FUTEX_WAIT_BITSET && stage != NULL)
        return futex_of_director(a);
    if (number == SYS_futex && acting() &&
        (a[1] == FUTEX_WAIT_BITSET || a[1] == FUTEX_WAKE_BITSET) &&
        heap_offset((const void *)a[0]) != UINT64_MAX)
        return futex_of_actor(a);
    return wrap_syscall_real(number, a);
}

void system_begin(void) { wrap_syscall = at_syscall; }

/* Pauses ------------------------------------------------------------------ */

int __wrap_sched_yield(void);
int __wrap_sched_yield(void)
{
    if (!acting())
        return 0;
    stage->clock += YIELD_NS;
    stage->actors[self].yielded = 1;
    stage_give_way();
    return 0;
}

int __wrap_nanosleep(const struct timespec *length, struct timespec *rest);
int __wrap_nanosleep(const struct timespec *length, struct timespec *rest)
{
    (void)rest;
    if (!acting())
        return 0;
    struct timespec limit = timespec_of(stage->clock + (uint64_t)length->tv_sec * 1000000000u +
                                        (uint64_t)length->tv_nsec);
    sleep_on(NO_WORD, 1, &limit);
    return 0;
}
