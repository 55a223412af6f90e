/* owners.h: processes that allocate, free, resize, send and receive until they are killed, and note
 * what they own in a table that the test shares.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROCESS_OWNERS_H
#define TESTS_PROCESS_OWNERS_H

#include "tests/support/test.h"

enum {
    DEATHS = 1000,
    WORKERS = 4,
    HELD = 48,
    RING = 64, /* handles in transit at once, but for those whose sender died before it told */
    LEN_AMPLE = 4 << 20,
    LEN_SHORT =
        64
        /* less than all together want: allocs fail, and caches are taken back, all the time */
        << 10,
    GRANULE = 16,
    GRANULES = LEN_AMPLE / GRANULE,
    OPERATIONS_BEFORE_DEATH = 1000,
    SPIN_BEFORE_DEATH = 30000,
    REAPED_EVERY = 300 /* operations of a worker: its own reaping may be what it dies in */
};

/* What each object holds: its owner, and contents that follow from serial. */
struct mark {
    uint64_t owner, serial, len;
};

/* struct stage is shared by the parent and all workers. */
struct stage {
    const char *name;
    unsigned flags, threads;
    size_t len;
    shmheap_memory_handle mem;
    volatile int stop;
    int ready[WORKERS][2]; /* pipes: a byte from each worker that is to be killed soon */
    uint64_t allocs, batches, refused, resizes, moves, sends, receives, stale, reaps, reaped;
    uint64_t ring[RING];                       /* handles; 0: empty */
    volatile char dying[DEATHS + WORKERS + 1]; /* by owner: its end has been ordered */
    uint32_t owner_at[GRANULES];               /* by the granule of the payload; 0: none */
};

/* struct worker is private. owner numbers all workers that ever were, from 1. */
struct worker {
    struct stage *stage;
    shmheap_memory_handle mem;
    uint32_t owner;
    uint64_t serial;
    struct test_random random;
    char *held[HELD];
};

/* The first len bytes of contents are as owner left them; owner 0: any worker. */
struct mark mark_check(const char *ptr, uint64_t owner, uint64_t len);

struct role {
    struct stage *stage;
    unsigned place;
    uint32_t owner;
};

pid_t start(struct stage *stage, unsigned place, uint32_t owner);

#endif
