/* The slots of dead processes are given away: their blocks get a label, and an allocation that
 * finds no room still reaps them. One process at a time collects slots. What is no slot is not
 * alive.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "c/src/process/slot.h"
#include "c/src/recovery/recover.h"
#include "tests/support/test.h"

enum { LEN = 1 << 16, OBJECT_LEN = 5000, TAKEN_MOST = LEN / 16 };

static void hold_and_die(void *context)
{
    shmheap_memory_handle mem = test_connect_again(*(shmheap_memory_handle *)context, 0);
    CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
    _exit(0); /* as a death */
}

/* As a process does that finds all slots taken. */
static void collect(shmheap_memory_handle mem)
{
    CHECK_EQ(heap_lock(mem.heap), 0);
    CHECK_EQ(recover_slots(mem.heap, 1), 1);
    heap_unlock(mem.heap);
}

static void an_allocation_reaps_what_has_a_label(void)
{
    shmheap_memory_handle mem = test_anonymous_with(LEN, 0, SHMHEAP_REAP);
    void *taken[TAKEN_MOST];
    test_own_slot(mem);
    test_in_child(hold_and_die, &mem);
    collect(mem);
    CHECK_EQ(connection_hints(mem.heap)->reap_wanted, 1);
    CHECK_EQ(test_stat(mem).dead, 0);
    CHECK_EQ(test_stat(mem).used_blocks, 1);
    size_t count = test_take_all(mem, taken, TAKEN_MOST); /* the last of them by reaping */
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += shmheap_usable_size(mem, taken[i]) + sizeof(uint64_t);
    CHECK_EQ(bytes, test_stat(mem).used_bytes); /* the dead process has none */
    CHECK_EQ(test_stat(mem).free_bytes, 0);
    CHECK_EQ(connection_hints(mem.heap)->reap_wanted, 0); /* later ones need no walk */
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* The walk of a reap stops at a damaged header. Behind that header may lie more objects of dead
 * processes: a later allocation has to reap again. */
static void a_walk_that_cannot_go_on_is_wanted_again(void)
{
    shmheap_memory_handle mem = test_anonymous_with(LEN, 0, SHMHEAP_REAP);
    test_own_slot(mem);
    test_in_child(hold_and_die, &mem);
    uint64_t *last = shmheap_alloc(mem, 100);
    CHECK(last != NULL);
    collect(mem);
    uint64_t *header = last - 1, right = *header;
    *header = right & ~(uint64_t)HEADER_SIZE_MASK;
    CHECK_REFUSED(shmheap_reap(mem, 0) == -1, EBADMSG);
    CHECK_EQ(connection_hints(mem.heap)->reap_wanted, 1);
    *header = right;
    CHECK(shmheap_reap(mem, 0) >= 0);
    CHECK_EQ(connection_hints(mem.heap)->reap_wanted, 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void cache_and_die(void *context)
{
    enum { OBJECTS = 20 };
    void *ptrs[OBJECTS];
    shmheap_memory_handle mem =
        test_connect_again(*(shmheap_memory_handle *)context, SHMHEAP_CACHED);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, 64)) != NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    _exit(0);
}

/* A slot that is given away has no blocks: neither cached ones nor the line of a cache. */
static void what_a_cache_had_gets_a_label(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    test_own_slot(mem);
    test_in_child(cache_and_die, &mem);
    CHECK(mem.heap->control->cache_lines != 0);
    CHECK_LE(1, test_cached(mem).blocks);
    collect(mem);
    CHECK_SOUND(mem);
    CHECK_LE(1, shmheap_reap(mem, 0));
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

static void one_process_collects_at_a_time(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), other = test_connect_again(mem, 0);
    const uint32_t slot = mem.heap->slot, others_slot = other.heap->slot;
    other.heap->lock_limit_ms = 0;
    CHECK_EQ(connection_lockable(mem.heap), 0);
    CHECK_EQ(connection_lockable(other.heap), 0);
    CHECK_EQ(slot_collector_begin(mem.heap), 0);
    CHECK_EQ(mem.heap->slot, SLOT_COLLECTOR);
    CHECK_REFUSED(slot_collector_begin(other.heap) == -1, ETIMEDOUT);
    CHECK_EQ(other.heap->slot, others_slot);
    slot_collector_end(mem.heap);
    CHECK_EQ(slot_collector_begin(other.heap), 0);
    slot_collector_end(other.heap);
    mem.heap->slot = slot;
    other.heap->slot = others_slot;
    connection_settle(mem.heap);
    connection_settle(other.heap);
    CHECK_SOUND(mem);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

/* A peer can write any number where a slot belongs, and lock the byte of that number. */
static void a_number_that_is_no_slot_is_not_alive(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, LEN);
    const unsigned mine = test_own_slot(mem), numbers[] = {0, mem.heap->slot_count};
    int fd = shm_open(name, O_RDWR, 0); /* its locks are not those of the connection */
    CHECK(fd >= 0);
    for (unsigned i = 0; i < 2; i++) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = numbers[i], .l_len = 1};
        CHECK_EQ(fcntl(fd, F_OFD_SETLK, &lock), 0);
        CHECK_EQ(slot_alive(mem.heap, numbers[i]), 0);
    }
    CHECK_EQ(slot_alive(mem.heap, mine), 1);
    CHECK_EQ(close(fd), 0);
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {
    TEST(an_allocation_reaps_what_has_a_label), TEST(a_walk_that_cannot_go_on_is_wanted_again),
    TEST(what_a_cache_had_gets_a_label), TEST(one_process_collects_at_a_time),
    TEST(a_number_that_is_no_slot_is_not_alive)};
TEST_MAIN(tests)
