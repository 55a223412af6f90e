/* Two processes take the same slot of a heap in memory without a file: one has it, the other takes
 * the next. Two processes change the same word of a slot.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/process/slot.h"
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

/* Two processes change different bits of one word: both changes stay. */
static uint64_t *word;

static void another_changes_the_word(void)
{
    shmheap_store_hook = NULL;
    *word |= SLOT_HAS_HEIRS;
}

static void no_change_of_a_word_is_lost(void)
{
    shmheap_memory_handle mem;
    memory = test_shared(BYTES);
    CHECK_EQ(shmheap_create_at(&mem, memory, BYTES, NULL), 0);
    unsigned slot = test_own_slot(mem);
    word = &slot_entry(mem.heap, slot)->word;
    uint64_t before = *word;
    shmheap_store_hook = another_changes_the_word;
    slot_change(mem.heap, slot, SLOT_STATE_MASK, SLOT_LEAVING);
    CHECK(shmheap_store_hook == NULL);
    CHECK_EQ(*word, (before & ~(uint64_t)SLOT_STATE_MASK) | SLOT_LEAVING | SLOT_HAS_HEIRS);
    *word = before;
    shmheap_disconnect(mem);
    test_unshare(memory, BYTES);
}

static const struct test tests[] = {TEST(the_slower_takes_the_next),
                                    TEST(no_change_of_a_word_is_lost)};
TEST_MAIN(tests)
