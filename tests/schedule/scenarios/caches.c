/* caches.c: thread caches, and processes that take back what is in them. In files: memory of the
 * caller has caches only in the process that made the heap there.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 120, BYTES = 64 << 10, FIRST = 1, BOTH = 3 };

static size_t largest(void)
{
    shmheap_stats stats;
    return shmheap_stat(mem, &stats) == 0 ? (size_t)stats.largest_free : 0;
}

/* Actor 0 has blocks in its cache, and actor 1 takes all memory but those. */
static void fill_cache(unsigned actor)
{
    if (actor == 0) {
        object_note(0, shmheap_alloc(mem, SIZE));
        object_note(1, shmheap_alloc(mem, SIZE));
        shmheap_free(mem, object(1));
    } else {
        shmheap_alloc(mem, largest());
    }
}

static void record_object(unsigned number, const void *ptr)
{
    record(ptr != NULL);
    if (ptr != NULL)
        object_note(number, ptr);
}

/* The cache serves the calls of actor 0, or actor 1 has reclaimed its blocks. */
static void use_and_reclaim(unsigned actor)
{
    call_begins();
    if (actor == 0) {
        record_status(shmheap_try_free(mem, object(0)));
        call_begins();
        record_object(2, shmheap_alloc(mem, SIZE));
    } else {
        record_object(3, shmheap_alloc(mem, 10 * SIZE));
    }
}

/* A block that was reclaimed is not handed out from the cache. */
static const char *objects_live(void)
{
    for (unsigned i = 2; i <= 3; i++)
        if (stage->offsets[i] != 0 && shmheap_usable_size(mem, object(i)) < SIZE)
            return "an object that was handed out is no live block";
    return stage->offsets[2] != 0 && stage->offsets[2] == stage->offsets[3]
               ? "two actors have one object"
               : NULL;
}

const struct scenario cache_against_reclaim = {.name = "cache_against_reclaim",
                                               .actors = 2,
                                               .bytes = BYTES,
                                               .flags = IN_FILE | DIES | DIES_ALONE | LOOSE,
                                               .cached = FIRST,
                                               .begin = fill_cache,
                                               .run = use_and_reclaim,
                                               .judge = objects_live};

static void object_of_cache(unsigned actor)
{
    if (actor == 0)
        object_note(0, shmheap_alloc(mem, SIZE));
    else
        shmheap_free(mem, shmheap_alloc(mem, SIZE));
}

static void free_it_cached(unsigned actor)
{
    (void)actor;
    call_begins();
    record_status(shmheap_try_free(mem, object(0)));
    call_begins();
    record_ptr(shmheap_alloc(mem, SIZE));
}

/* Misuse: the object may be handed out twice, but the blocks stay whole. */
const struct scenario cached_double_free = {.name = "cached_double_free",
                                            .actors = 2,
                                            .bytes = BYTES,
                                            .flags = IN_FILE | DIES | DIES_ALONE | LOOSE,
                                            .cached = BOTH,
                                            .begin = object_of_cache,
                                            .run = free_it_cached};

static void handle_and_resize(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_ptr(shmheap_realloc(mem, object(0), SIZE / 2));
    else
        record(shmheap_ptr_to_handle(mem, object(0)).bits != 0);
}

/* The object is shorter, and shared. */
const struct scenario handle_against_resize = {.name = "handle_against_resize",
                                               .actors = 2,
                                               .bytes = BYTES,
                                               .flags = IN_FILE | DIES | LOOSE_DEATHS,
                                               .cached = 2,
                                               .begin = object_of_cache,
                                               .run = handle_and_resize};

static void leave_and_reclaim(unsigned actor)
{
    call_begins();
    if (actor == 0)
        disconnect_now();
    else
        record(shmheap_alloc(mem, 10 * SIZE) != NULL);
}

/* The cache goes back to the heap while another process reclaims it. */
const struct scenario leaving_against_reclaim = {.name = "leaving_against_reclaim",
                                                 .actors = 2,
                                                 .bytes = BYTES,
                                                 .flags = IN_FILE | DIES | DIES_ALONE | LOOSE,
                                                 .cached = FIRST,
                                                 .begin = fill_cache,
                                                 .run = leave_and_reclaim};
