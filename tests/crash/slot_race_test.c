/* Two processes take the same slot of a heap in memory without a file: one has it, the other takes
 * the next.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/base/platform.h"
#include "tests/support/test.h"

enum { BYTES = 1 << 20 };

void (*shmheap_store_hook)(void);
static void *memory;

static void attach_and_end(void *context)
{
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_attach_at(&mem, context, BYTES), 0);
    CHECK_EQ(test_own_slot(mem),
             3); /* 2 is this child's as well, by the connection that it inherited */
}

/* The first store of attaching is the one to the slot's word, which has been seen free. */
static void another_is_quicker(void)
{
    shmheap_store_hook = NULL;
    test_in_child(attach_and_end, memory);
}

static void the_slower_takes_the_next(void)
{
    shmheap_memory_handle first, slower;
    memory = test_shared(BYTES);
    CHECK_EQ(shmheap_create_at(&first, memory, BYTES, NULL), 0);
    CHECK_EQ(test_own_slot(first), 1);
    shmheap_store_hook = another_is_quicker;
    CHECK_EQ(shmheap_attach_at(&slower, memory, BYTES), 0);
    CHECK(shmheap_store_hook == NULL);
    CHECK_EQ(test_own_slot(slower), 4);
    CHECK_EQ(test_stat(first).processes, 2);
    CHECK_EQ(test_stat(first).dead, 1);
    CHECK_SOUND(first);
    shmheap_disconnect(slower);
    shmheap_disconnect(first);
    test_unshare(memory, BYTES);
}

static const struct test tests[] = {TEST(the_slower_takes_the_next)};
TEST_MAIN(tests)
