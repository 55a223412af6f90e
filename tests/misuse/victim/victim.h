/* victim.h: children that work on damaged heaps, and must return from every call.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_MISUSE_VICTIM_H
#define TESTS_MISUSE_VICTIM_H

#include "tests/support/test.h"

/* struct victim is shared: where the child is, for the report of its end. */
struct victim {
    volatile uint64_t round; /* the child goes on from here */
    char damage[256];        /* what was done to the heap */
    char call[64];           /* the call that it is in */
    uint64_t accepted, refused, timed_out;
};

/* Runs run(context) in a child until it returns; fails, naming the damage and the call, where a
 * signal or a sanitizer ends it. run calls victim_round at each round: a round that takes a minute
 * counts as an endless loop. */
void victim_run(struct victim *victim, void (*run)(void *), void *context);
void victim_round(struct victim *victim, uint64_t round, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Every kind of call on a heap whose memory may hold anything. Pointers and sizes that come back
 * must be inside it. */
void victim_calls(struct victim *victim, shmheap_memory_handle mem, struct test_random *random,
                  unsigned calls);

#endif
