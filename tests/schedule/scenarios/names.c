/* names.c: names that are made, found, kept and removed at the same time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 64, BYTES = 2048 };

static void make_it(unsigned actor)
{
    (void)actor;
    call_begins();
    record_ptr(shmheap_alloc_named(mem, "name", SIZE));
}

/* One makes the object, the other finds it. A death before the name is whole leaves a block of the
 * dead process, so the other one's object lies elsewhere. */
const struct scenario name_made_twice = {.name = "name_made_twice",
                                         .actors = 2,
                                         .bytes = BYTES,
                                         .flags = DIES | LOOSE_DEATHS,
                                         .run = make_it};

static void use_it(unsigned actor)
{
    if (actor == 0)
        object_note(0, shmheap_alloc_named(mem, "name", SIZE));
}

static void free_and_use(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_try_free(mem, object(0)));
    else
        record_ptr(shmheap_alloc_named(mem, "name", SIZE));
}

const struct scenario last_use_against_use = {.name = "last_use_against_use",
                                              .actors = 2,
                                              .bytes = BYTES,
                                              .flags = DIES | DIES_ALONE | LOOSE_DEATHS,
                                              .begin = use_it,
                                              .run = free_and_use};

static void free_and_find(unsigned actor)
{
    size_t size = 0;
    call_begins();
    if (actor == 0) {
        record_status(shmheap_try_free(mem, object(0)));
    } else {
        record_ptr(shmheap_find(mem, "name", &size));
        record(size);
    }
}

const struct scenario find_against_names = {.name = "find_against_names",
                                            .actors = 2,
                                            .bytes = BYTES,
                                            .flags = DIES | DIES_ALONE | LOOSE_DEATHS,
                                            .begin = use_it,
                                            .run = free_and_find};

static void keep_it(unsigned actor)
{
    use_it(actor);
    if (actor == 0 && shmheap_name_keep(mem, "name") == 0)
        shmheap_free(mem, object(0));
}

static void remove_and_use(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_name_remove(mem, "name"));
    else
        record_ptr(shmheap_alloc_named(mem, "name", SIZE));
}

const struct scenario remove_against_use = {.name = "remove_against_use",
                                            .actors = 2,
                                            .bytes = BYTES,
                                            .flags = DIES | DIES_ALONE | LOOSE_DEATHS,
                                            .begin = keep_it,
                                            .run = remove_and_use};

static void free_and_keep(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_try_free(mem, object(0)));
    else
        record_status(shmheap_name_keep(mem, "name"));
}

const struct scenario keep_against_last_use = {.name = "keep_against_last_use",
                                               .actors = 2,
                                               .bytes = BYTES,
                                               .flags = DIES | DIES_ALONE,
                                               .begin = use_it,
                                               .run = free_and_keep};

static void names_of_all(unsigned actor)
{
    void *ptr;
    call_begins();
    record_ptr(ptr = actor == 2 ? shmheap_alloc_kept(mem, "name", SIZE)
                                : shmheap_alloc_named(mem, "name", SIZE));
    call_begins();
    record_status(shmheap_try_free(mem, ptr));
    call_begins();
    record_status(shmheap_name_remove(mem, "name"));
}

const struct scenario names_among_three = {.name = "names_among_three",
                                           .actors = 3,
                                           .bytes = BYTES,

                                           .run = names_of_all};
