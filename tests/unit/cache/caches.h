/* caches.h: threads that fill their caches.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_CACHES_H
#define TESTS_UNIT_CACHES_H

#include "tests/support/test.h"

enum {
    THREADS = 4,
    OBJECTS = 3000,
    LEN_MOST = 5000,
    ROUNDS = 200000,
    HELD = 400,
    MAILBOXES = 256,
    KEPT_MOST = 1 << 21,
    HEAP_PART = 2
};

uint64_t most_of_a_thread(shmheap_memory_handle mem);

size_t choose_len(struct test_random *random);

/* Allocates many, then frees all: caches are as full as they get. */
void fill_caches(shmheap_memory_handle mem, size_t objects, struct test_random *random);

/* struct crew: threads on one connection, and one step after the other. */
struct crew {
    shmheap_memory_handle mem;
    size_t objects;
    unsigned next;
    struct test_barrier filled, looked;
};

void crew_start(struct crew *crew, pthread_t *threads);

void crew_join(struct crew *crew, pthread_t *threads);

#endif
