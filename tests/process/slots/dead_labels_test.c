/* The slots of dead processes are given away: their blocks get a label, and an allocation that
 * finds no room still reaps them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "c/src/recovery/recover.h"
#include "tests/support/test.h"

enum { LEN = 1 << 16, OBJECT_LEN = 5000, TAKEN_MOST = LEN / 16 };

static void hold_and_die(void *context)
{
    shmheap_memory_handle mem = test_connect_again(*(shmheap_memory_handle *)context, 0);
    CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
    _exit(0); /* as a death */
}

static void an_allocation_reaps_what_has_a_label(void)
{
    shmheap_memory_handle mem = test_anonymous_with(LEN, 0, SHMHEAP_REAP);
    void *taken[TAKEN_MOST];
    test_own_slot(mem);
    test_in_child(hold_and_die, &mem);
    /* What a process does that finds all slots taken. */
    CHECK_EQ(heap_lock(mem.heap), 0);
    CHECK_EQ(recover_slots(mem.heap, 1), 1);
    heap_unlock(mem.heap);
    CHECK_EQ(test_stat(mem).dead, 0);
    CHECK_EQ(test_stat(mem).used_blocks, 1);
    size_t count = test_take_all(mem, taken, TAKEN_MOST); /* the last of them by reaping */
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += shmheap_usable_size(mem, taken[i]) + sizeof(uint64_t);
    CHECK_EQ(bytes, test_stat(mem).used_bytes); /* the dead process has none */
    CHECK_EQ(test_stat(mem).free_bytes, 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(an_allocation_reaps_what_has_a_label)};
TEST_MAIN(tests)
