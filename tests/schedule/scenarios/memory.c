/* memory.c: allocating and freeing neighbours.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/schedule.h"
#include "tests/schedule/scenarios/scenarios.h"

enum { SIZE = 120 };

static void *object(unsigned number)
{
    return (char *)shmheap_underlying(mem) + stage->offsets[number];
}

/* Actor 0 makes four objects beside each other. */
static void four_objects(unsigned actor)
{
    for (unsigned i = 0; actor == 0 && i < 4; i++)
        stage->offsets[i] = (uint64_t)((char *)shmheap_alloc(mem, SIZE) -
                                       (char *)shmheap_underlying(mem));
}

static void free_beside_alloc_run(unsigned actor)
{
    call_begins();
    if (actor == 0)
        record_status(shmheap_try_free(mem, object(1)));
    else
        record_ptr(shmheap_alloc(mem, SIZE));
}

const struct scenario free_beside_alloc = {.name = "free_beside_alloc",
                                           .actors = 2,
                                           .bytes = 1024,
                                           .flags = DIES,
                                           .begin = four_objects,
                                           .run = free_beside_alloc_run};
