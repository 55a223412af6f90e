/* The word of a slot changes between any two loads of a call: a process takes no slot that is not
 * free any more, and reaps no objects of a process that has just left in order.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "c/src/process/slot.h"
#include "tests/support/test.h"

enum { BYTES = 1 << 20, LOADS_MOST = 100, SLOT = 2 };

void (*shmheap_load_hook)(const void *word);

/* A peer stores value in the word right before the at-th load of it. */
static uint64_t *word, value;
static unsigned loads, at;

/* The word may be mapped at several places: a change here shows there. */
static int is_word(const void *loaded)
{
    const volatile uint64_t *there = loaded;
    if (loaded == word || ((uintptr_t)loaded ^ (uintptr_t)word) % 4096 != 0)
        return loaded == word;
    uint64_t before = *there;
    *(volatile uint64_t *)word ^= 1;
    int changes = *there != before;
    *(volatile uint64_t *)word ^= 1;
    return changes;
}

static void peer_stores(const void *loaded)
{
    if (is_word(loaded) && loads++ == at)
        *word = value;
}

static void peer_begins(uint64_t *place, uint64_t stores)
{
    word = place;
    value = stores;
    loads = 0;
    shmheap_load_hook = peer_stores;
}

static shmheap_memory_handle heap_of(int has_file, void **memory)
{
    shmheap_memory_handle mem;
    *memory = NULL;
    if (has_file)
        return test_anonymous(BYTES, 0, 0);
    *memory = test_shared(BYTES);
    CHECK_EQ(shmheap_create_at(&mem, *memory, BYTES, NULL), 0);
    return mem;
}

static shmheap_memory_handle join(shmheap_memory_handle mem, void *memory)
{
    shmheap_memory_handle other;
    if (memory == NULL)
        return test_connect_again(mem, 0);
    CHECK_EQ(shmheap_attach_at(&other, memory, BYTES), 0);
    return other;
}

static void heap_end(shmheap_memory_handle mem, void *memory)
{
    shmheap_load_hook = NULL;
    shmheap_disconnect(mem);
    if (memory != NULL)
        test_unshare(memory, BYTES);
}

/* Another process takes the slot, and perhaps leaves it at once, before the first load or between
 * the first and the second: what comes after that, this process has the slot. */
static void a_slot_that_was_free_is_not_taken(void)
{
    static const enum slot_state states[] = {SLOT_TAKEN, SLOT_VACATED, SLOT_LEAVING, SLOT_HEIR};
    for (int has_file = 0; has_file <= 1; has_file++)
        for (unsigned i = 0; i < sizeof states / sizeof *states; i++)
            for (at = 0; at < 2; at++) {
                void *memory;
                shmheap_memory_handle mem = heap_of(has_file, &memory);
                uint64_t seen = states[i] | UINT64_C(4194303) << SLOT_PID_SHIFT | SLOT_BY_PID;
                CHECK_EQ(test_own_slot(mem), 1);
                peer_begins(&slot_entry(mem.heap, SLOT)->word, seen);
                shmheap_memory_handle other = join(mem, memory);
                shmheap_load_hook = NULL;
                CHECK_LE(at + 1, loads);
                CHECK_EQ(other.heap->slot, SLOT + 1);
                CHECK_EQ(*word, seen);
                *word = SLOT_FREE;
                shmheap_disconnect(other);
                heap_end(mem, memory);
            }
}

/* A living process leaves in order at any load of a reap: its object stays. */
static void what_a_process_leaves_meanwhile_stays(void)
{
    unsigned last = 1;
    for (at = 0; at < last; at++) {
        void *memory;
        shmheap_memory_handle mem = heap_of(0, &memory), other = join(mem, memory);
        CHECK(shmheap_alloc(other, 100) != NULL);
        uint64_t *entry = &slot_entry(mem.heap, other.heap->slot)->word;
        peer_begins(entry, (*entry & ~(uint64_t)SLOT_STATE_MASK) | SLOT_VACATED);
        CHECK_EQ(shmheap_reap(mem, 0), 0);
        last = loads;
        CHECK(last < LOADS_MOST);
        shmheap_load_hook = NULL;
        CHECK_EQ(test_stat(mem).used_blocks, 1);
        *entry = SLOT_FREE;
        heap_end(mem, memory);
    }
    CHECK(last > 2);
}

static const struct test tests[] = {TEST(a_slot_that_was_free_is_not_taken),
                                    TEST(what_a_process_leaves_meanwhile_stays)};
TEST_MAIN(tests)
