/* scenarios.h: what the actors do, and what all scenarios share.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCHEDULE_SCENARIOS_H
#define TESTS_SCHEDULE_SCENARIOS_H

#include <string.h>

#include "tests/schedule/schedule.h"

/* Objects that all actors know by number. */
static inline void *object(unsigned number)
{
    return (char *)shmheap_underlying(mem) + stage->offsets[number];
}

static inline void object_note(unsigned number, const void *ptr)
{
    stage->offsets[number] = (uint64_t)((const char *)ptr - (char *)shmheap_underlying(mem));
}

/* SCENARIOS(X) is X(name) for each. */
#define SCENARIOS(X)                                                                               \
    X(free_beside_alloc)                                                                           \
    X(free_beside_free)                                                                            \
    X(double_free)                                                                                 \
    X(realloc_beside_free)                                                                         \
    X(allocs_in_little_room)                                                                       \
    X(recoverers)                                                                                  \
    X(reaping_alloc)                                                                               \
    X(frees_beside_allocs)                                                                         \
    X(two_receivers)                                                                               \
    X(put_back)                                                                                    \
    X(four_receivers)                                                                              \
    X(handle_against_free)                                                                         \
    X(send_against_free)                                                                           \
    X(resolve_against_free)                                                                        \
    X(reap_against_receive)                                                                        \
    X(peek_against_receive)                                                                        \
    X(name_made_twice)                                                                             \
    X(last_use_against_use)                                                                        \
    X(find_against_names)                                                                          \
    X(remove_against_use)                                                                          \
    X(keep_against_last_use)                                                                       \
    X(names_among_three)                                                                           \
    X(two_connect)                                                                                 \
    X(two_connect_to_file)                                                                         \
    X(connect_against_leaving)                                                                     \
    X(file_connect_against_leaving)                                                                \
    X(slots_run_short)                                                                             \
    X(cache_against_reclaim)                                                                       \
    X(cached_double_free)                                                                          \
    X(handle_against_resize)                                                                       \
    X(leaving_against_reclaim)                                                                     \
    X(wait_against_free)                                                                           \
    X(wait_against_death)                                                                          \
    X(two_waiters)                                                                                 \
    X(three_waiters)

#define DECLARE(name) extern const struct scenario name;
SCENARIOS(DECLARE)
#undef DECLARE

#endif
