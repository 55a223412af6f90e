/* counted.h: counts the loads of shared words and the system calls of the core.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_COUNTED_H
#define TESTS_UNIT_COUNTED_H

#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum {
    OBJECTS = 20000,
    OBJECT_LEN = 48,
    LEN = OBJECTS * 64,
    LARGE = 5000,
    TRIES = 100,
    LOADS_EACH = 600
};

/* What has happened since count_begin. */
struct counted {
    uint64_t loads, barriers, wakes, woken, lock_questions, reservations;
};
extern struct counted counted;

/* The futex whose wakes count. */
extern const uint32_t *waited_on;

/* A load of this word parts the loads: loads_longest is the most between two of them. */
extern const void *lock_word;
extern uint64_t loads_before, loads_longest;

void count_begin(void);
void count_end(void);

/* A heap of LEN bytes in which objects of OBJECT_LEN leave no room for another; *an_object is
 * one. */
shmheap_memory_handle full_heap(unsigned flags, void **an_object);

/* Allocates and frees an object count times. */
void pairs(shmheap_memory_handle mem, unsigned count);

#endif
