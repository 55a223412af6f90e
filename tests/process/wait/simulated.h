/* simulated.h: a clock and a kernel for the slow paths of the lock, in one process.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROCESS_WAIT_SIMULATED_H
#define TESTS_PROCESS_WAIT_SIMULATED_H

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "tests/support/test.h"

enum { SLEEPS_MAX = 100, WAKES_MAX = 4, OTHER_TID = 12345, OTHER_SLOT = 7, TID = 4096 };
#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* The clock moves by a tick each time it is read, and over each sleep. */
extern struct its_clock {
    int on;
    uint64_t now_ns, tick_ns;
    unsigned long reads; /* since the last sleep */
    int moves;           /* reads over which the owner works: sequence changes */
} its_clock;

/* What the kernel does, and what it was told. */
extern struct kernel {
    int woken_at, interrupted_at; /* sleep that ends by a wake, or by another word; -1: none */
    int frees_at;                 /* sleep during which the lock becomes free; -1: none */
    unsigned sleeps;
    struct {
        uint64_t at_ns, len_ns;
        unsigned long reads;
        unsigned kind;
    } sleep[SLEEPS_MAX];
    long starving, others; /* sleepers of each kind, which a wake gets */
    unsigned wakes, barriers;
    unsigned wake[WAKES_MAX]; /* kinds */
    int takes;                /* a starving thread takes the lock, and none sleeps any more */
    int barrier_fails;
    int lists, get_fails, set_fails;
    struct robust_list_head *list; /* that the C library has registered */
    void *registered;
} kernel;

/* The heap that is simulated. */
extern struct shmheap *heap;

/* The lock's word while the other process has it. */
static inline uint64_t others_word(void)
{
    return OTHER_TID | (uint64_t)OTHER_SLOT << LOCK_SLOT_SHIFT;
}

/* simulated_begin makes a heap whose lock another process has. Until simulated_end the clock, the
 * thread's id and the calls for futexes and barriers are simulated. */
shmheap_memory_handle simulated_begin(void);
void simulated_end(shmheap_memory_handle mem);

/* Robust lists, too, until robust_lists_end. */
void robust_lists_begin(void);
void robust_lists_end(void);

#endif
