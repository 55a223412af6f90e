/* waiting.c: waiting for memory that another process frees.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 240, BYTES = 520 };

/* Longer than the time limits within, as often as a plan lets them pass early. Where an actor dies,
 * the other actors sleep to its end. */
static int limit_ms(void) { return scenario->flags & DIES ? 5000 : 60000; }

/* Actor 0 takes the whole heap. */
static void take_both(unsigned actor)
{
    for (unsigned i = 0; actor == 0 && i < 2; i++)
        object_note(i, shmheap_alloc(mem, SIZE));
}

static void free_and_wait(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_try_free(mem, object(0)));
    else
        record_ptr(shmheap_alloc_wait(mem, SIZE, limit_ms()));
}

/* No wake is lost: the waiter never sleeps until a time limit passes. */
const struct scenario wait_against_free = {.name = "wait_against_free",
                                           .actors = 2,
                                           .bytes = BYTES,
                                           .begin = take_both,
                                           .run = free_and_wait};

/* Where one of them dies, the other one's time limits pass. */
const struct scenario wait_against_death = {.name = "wait_against_death",
                                            .actors = 2,
                                            .bytes = BYTES,
                                            .flags = DIES | REAPS | LOOSE_DEATHS,
                                            .begin = take_both,
                                            .run = free_and_wait};

static void free_both_and_wait(unsigned actor)
{
    call_begins();
    if (actor == 0) {
        record_status(shmheap_try_free(mem, object(0)));
        call_begins();
        record_status(shmheap_try_free(mem, object(1)));
    } else {
        record_ptr(shmheap_alloc_wait(mem, SIZE, limit_ms()));
    }
}

const struct scenario two_waiters = {.name = "two_waiters",
                                     .actors = 3,
                                     .bytes = BYTES,
                                     .begin = take_both,
                                     .run = free_both_and_wait};

static void wait_and_free(unsigned actor)
{
    if (actor == 0) {
        free_both_and_wait(actor);
        return;
    }
    call_begins();
    void *ptr = record_ptr(shmheap_alloc_wait(mem, actor == 3 ? 2 * SIZE : SIZE, limit_ms()));
    call_begins();
    record_status(shmheap_try_free(mem, ptr));
}

/* Two need half the heap each, one needs nearly all of it. */
const struct scenario three_waiters = {.name = "three_waiters",
                                       .actors = 4,
                                       .fewer = 1,
                                       .bytes = BYTES,
                                       .begin = take_both,
                                       .run = wait_and_free};
