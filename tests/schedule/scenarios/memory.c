/* memory.c: allocating and freeing neighbours.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 120, OBJECTS = 4, BYTES = 1024 };

/* Actor 0 makes four objects beside each other. */
static void four_objects(unsigned actor)
{
    for (unsigned i = 0; actor == 0 && i < OBJECTS; i++)
        object_note(i, shmheap_alloc(mem, SIZE));
}

static void free_and_alloc(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_try_free(mem, object(1)));
    else
        record_ptr(shmheap_alloc(mem, SIZE));
}

/* Which is the lowest block that fits depends on the order. */
const struct scenario free_beside_alloc = {.name = "free_beside_alloc",
                                           .actors = 2,
                                           .bytes = BYTES,
                                           .flags = DIES,
                                           .begin = four_objects,
                                           .run = free_and_alloc};

static void free_or_alloc(unsigned actor)
{
    call_begins();
    if (actor < 2) {
        record_status(shmheap_try_free(mem, object(1 + actor)));
        return;
    }
    record_ptr(shmheap_alloc(mem, SIZE));
    call_begins();
    record_ptr(shmheap_alloc(mem, SIZE / 2));
}

const struct scenario frees_beside_allocs = {.name = "frees_beside_allocs",
                                             .actors = 4,
                                             .bytes = BYTES,
                                             .begin = four_objects,
                                             .run = free_or_alloc};

static void free_one(unsigned actor)
{
    call_begins();
    record_status(shmheap_try_free(mem, object(1 + actor)));
}

/* The two free blocks merge, whichever comes first. */
const struct scenario free_beside_free = {.name = "free_beside_free",
                                          .actors = 2,
                                          .bytes = BYTES,
                                          .flags = DIES,
                                          .begin = four_objects,
                                          .run = free_one};

static void free_it(unsigned actor)
{
    (void)actor;
    call_begins();
    record_status(shmheap_try_free(mem, object(1)));
}

/* One succeeds. */
const struct scenario double_free = {.name = "double_free",
                                     .actors = 2,
                                     .bytes = BYTES,
                                     .flags = DIES,
                                     .begin = four_objects,
                                     .run = free_it};

static void grow_and_free(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_ptr(shmheap_realloc(mem, object(0), SIZE + SIZE / 2));
    else
        record_status(shmheap_try_free(mem, object(1)));
}

/* The object grows in place or moves. A realloc that moves has two publishing stores. */
const struct scenario realloc_beside_free = {.name = "realloc_beside_free",
                                             .actors = 2,
                                             .bytes = BYTES,
                                             .flags = DIES | DIES_ALONE | LOOSE_DEATHS,
                                             .begin = four_objects,
                                             .run = grow_and_free};

static void alloc_and_free(unsigned actor)
{
    call_begins();
    void *ptr = record_ptr(shmheap_alloc(mem, SIZE + 8 * actor));
    call_begins();
    record_status(shmheap_try_free(mem, ptr));
}

/* Only one of the actors finds room at a time. */
const struct scenario allocs_in_little_room = {.name = "allocs_in_little_room",
                                               .actors = 2,
                                               .bytes = 256,
                                               .flags = DIES | DIES_ALONE,
                                               .run = alloc_and_free};

/* One actor dies with the lock, and the other two race to recover. */
const struct scenario recoverers = {.name = "recoverers",
                                    .actors = 3,
                                    .bytes = BYTES,
                                    .flags = DIES,
                                    .begin = four_objects,
                                    .run = free_one};

/* With SHMHEAP_REAP: three objects fill the heap, and those of an actor that died are room. */
static void take_all(unsigned actor)
{
    for (unsigned i = 0; actor == 0 && i < 3; i++)
        object_note(i, shmheap_alloc(mem, 240));
}

static void alloc_again(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_try_free(mem, object(1)));
    else
        record_ptr(shmheap_alloc(mem, 240));
}

const struct scenario reaping_alloc = {.name = "reaping_alloc",
                                       .actors = 2,
                                       .bytes = BYTES,
                                       .flags = DIES | DIES_ALONE | REAPS,
                                       .begin = take_all,
                                       .run = alloc_again};
