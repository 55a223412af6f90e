/* What processes with SHMHEAP_CACHED had for their caches comes back however they end: at once
 * where they end in order and alone, else when an alloc finds no room.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 65536, CHILDREN = 600 };

struct ending {
    shmheap_memory_handle mem;
    void (*end)(int status);
};

static void use_and_end(void *context)
{
    const struct ending *ending = context;
    void *object = shmheap_alloc(ending->mem, 100);
    CHECK(object != NULL);
    shmheap_free(ending->mem, object);
    ending->end(0);
}

/* Blocks that are left in use. There is room for half of the heap all the same. */
static uint64_t left_by_children(void (*end)(int status))
{
    const shmheap_options options = {.len = LEN,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    struct ending ending = {.end = end};
    CHECK_EQ(shmheap_open(&ending.mem, NULL, &options), 0);
    for (unsigned i = 0; i < CHILDREN; i++)
        test_in_child(use_and_end, &ending);
    uint64_t left = test_stat(ending.mem).used_blocks;
    void *half = shmheap_alloc(ending.mem, LEN / 2);
    CHECK(half != NULL);
    shmheap_free(ending.mem, half);
    CHECK_SOUND(ending.mem);
    shmheap_disconnect(ending.mem);
    return left;
}

static void in_order(void) { CHECK_EQ(left_by_children(exit), 0); }
static void by_death(void) { CHECK_LE(left_by_children(_exit), LEN / 128); }

static const struct test tests[] = {TEST(in_order), TEST(by_death)};
TEST_MAIN(tests)
