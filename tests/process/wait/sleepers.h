/* sleepers.h: processes that sleep on a futex of a heap without a time limit, and the threads that
 * calls wake there. A missing wake is a wrong count, not a delay.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROCESS_WAIT_SLEEPERS_H
#define TESTS_PROCESS_WAIT_SLEEPERS_H

#include "tests/support/test.h"

enum { LEN = 65536, EACH = 5000, HELD_MOST = LEN / EACH, WAITERS = 3 };

/* struct scene is shared by all processes of a test. */
struct scene {
    shmheap_memory_handle mem;
    void *held[HELD_MOST], *large; /* they fill the heap; large has the room of two */
    unsigned count;
    volatile const void *futex;   /* whose sleepers and wakes count */
    volatile int asleep[WAITERS]; /* the waiter is about to sleep without a limit */
    volatile int goes;            /* the lock's owner is where the waiter may begin */
    long woken;                   /* threads, by all processes */
    pid_t pids[WAITERS];
};

extern struct scene *scene;
extern int waiter; /* this process is the waiter of that number; -1: none */

/* A heap with the object large; and its end. */
void scene_begin(void);
void scene_end(void);

long woken(void);
int sleeps(int number);
void until_it_sleeps(int number);

#endif
