/* slots.c: connecting and leaving.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 64, BYTES = 1024, FIRST_TWO = 3 };

static void record_slot(void) { record(mem.heap->slot); }

static void connect_and_alloc(unsigned actor)
{
    (void)actor;
    call_begins();
    connect_now();
    record_slot();
    call_begins();
    record_ptr(shmheap_alloc(mem, SIZE));
}

static const char *slots_differ(void)
{
    const struct actor *a = &stage->actors[0], *b = &stage->actors[1];
    return a->result_count != 0 && b->result_count != 0 && a->results[0] == b->results[0]
               ? "two actors have one slot"
               : NULL;
}

/* Both try the first free slot. An actor that has looked at the first slot may take the second one
 * although the first is free again; a death leaves a slot taken or not. */
const struct scenario two_connect = {.name = "two_connect",
                                     .actors = 2,
                                     .bytes = BYTES,
                                     .flags = DIES | DIES_ALONE,
                                     .connects = FIRST_TWO,
                                     .run = connect_and_alloc,
                                     .judge = slots_differ};

const struct scenario two_connect_to_file = {.name = "two_connect_to_file",
                                             .actors = 2,
                                             .bytes = BYTES,
                                             .flags = DIES | DIES_ALONE | IN_FILE,
                                             .connects = FIRST_TWO,
                                             .run = connect_and_alloc,
                                             .judge = slots_differ};

static void alloc_one(unsigned actor)
{
    if (actor == 1)
        object_note(0, shmheap_alloc(mem, SIZE));
}

static void connect_and_leave(unsigned actor)
{
    call_begins();
    if (actor == 0) {
        connect_now();
        record_slot();
        call_begins();
        record_status((int)shmheap_reap(mem, 0));
    } else {
        disconnect_now();
    }
}

const struct scenario connect_against_leaving = {.name = "connect_against_leaving",
                                                 .actors = 2,
                                                 .bytes = BYTES,
                                                 .flags = DIES,
                                                 .connects = 1,
                                                 .begin = alloc_one,
                                                 .run = connect_and_leave};

const struct scenario file_connect_against_leaving = {.name = "file_connect_against_leaving",
                                                      .actors = 2,
                                                      .bytes = BYTES,
                                                      .flags = DIES | IN_FILE,
                                                      .connects = 1,
                                                      .begin = alloc_one,
                                                      .run = connect_and_leave};

static void come_and_go(unsigned actor)
{
    (void)actor;
    for (int i = 0; i < 2; i++) {
        call_begins();
        connect_now();
        call_begins();
        record_ptr(shmheap_alloc(mem, SIZE));
        call_begins();
        disconnect_now();
    }
}

/* More connections than the table has slots: actors free those of processes that have left. */
const struct scenario slots_run_short = {.name = "slots_run_short",
                                         .actors = 4,
                                         .fewer = 1,
                                         .bytes = BYTES,
                                         .flags = DIES | LOOSE,
                                         .connects = 15,
                                         .run = come_and_go};
