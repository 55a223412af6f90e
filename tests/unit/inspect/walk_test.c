/* shmheap_walk and shmheap_processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum { OBJECTS = 1000 };

static void fill_heap(shmheap_memory_handle mem, void **objects)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = shmheap_alloc(mem, i % 200);
        CHECK(objects[i] != NULL);
    }
    for (size_t i = 0; i < OBJECTS; i += 3) {
        shmheap_free(mem, objects[i]);
        objects[i] = NULL;
    }
}

static void every_block_once_in_order(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    void *objects[OBJECTS];
    fill_heap(mem, objects);
    unsigned slot = test_own_slot(mem);
    struct test_blocks blocks = test_blocks_take(mem); /* checks that they tile the region */
    size_t found = 0;
    for (size_t i = 0, object = 0; i < blocks.count; i++) {
        const shmheap_block_info *block = &blocks.blocks[i];
        if (block->state == SHMHEAP_STATE_FREE) {
            CHECK_EQ(block->slot, 0);
            continue;
        }
        while (objects[object] == NULL)
            object++;
        CHECK_EQ(block->offset, test_offset(mem, objects[object]));
        CHECK_EQ(block->len, shmheap_usable_size(mem, objects[object]));
        CHECK_EQ(block->state, SHMHEAP_STATE_USED);
        CHECK_EQ(block->slot, slot);
        object++;
        found++;
    }
    CHECK_EQ(found, OBJECTS - (OBJECTS + 2) / 3);
    test_blocks_drop(&blocks);
    shmheap_disconnect(mem);
}

static int stop_at(const shmheap_block_info *block, void *context)
{
    unsigned *left = context;
    CHECK(block->size >= 16);
    return --*left == 0 ? -77 : 0;
}

static void the_visitor_can_stop(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    void *objects[OBJECTS];
    fill_heap(mem, objects);
    for (unsigned after = 1; after < 500; after += 31) {
        unsigned left = after;
        CHECK_EQ(shmheap_walk(mem, stop_at, &left), -77);
        CHECK_EQ(left, 0);
    }
    CHECK_REFUSED(shmheap_walk(mem, NULL, NULL) == -1, EINVAL);
    shmheap_disconnect(mem);
}

struct visit {
    shmheap_memory_handle mem;
    uint64_t visited, last_offset;
    unsigned allocs; /* that the visitor may still make: it also visits what it has made */
};

static int free_visited(const shmheap_block_info *block, void *context)
{
    struct visit *visit = context;
    CHECK(block->offset > visit->last_offset);
    visit->last_offset = block->offset;
    if (block->state == SHMHEAP_STATE_FREE)
        return 0;
    visit->visited++;
    return shmheap_try_free(visit->mem, (char *)shmheap_underlying(visit->mem) + block->offset);
}

static void the_visitor_can_free_each_block(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 8);
    void *objects[OBJECTS];
    fill_heap(mem, objects);
    struct visit visit = {mem, 0, 0, 0};
    uint64_t used = test_stat(mem).used_blocks;
    CHECK_EQ(shmheap_walk(mem, free_visited, &visit), 0);
    CHECK_EQ(visit.visited, used);
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

static int alloc_and_free(const shmheap_block_info *block, void *context)
{
    struct visit *visit = context;
    CHECK(block->offset > visit->last_offset);
    visit->last_offset = block->offset;
    /* Marked objects live throughout; what the visitor makes and frees lies in between. */
    visit->visited += block->state == SHMHEAP_STATE_SHARED;
    for (size_t len = 8; len <= 512 && visit->allocs > 0; len *= 4, visit->allocs--) {
        void *ptr = shmheap_alloc(visit->mem, len);
        CHECK(ptr != NULL);
        if (visit->last_offset % 64 < 32)
            shmheap_free(visit->mem, ptr);
    }
    return 0;
}

static void what_lives_throughout_is_visited_once(void)
{
    shmheap_memory_handle mem = test_anonymous(4 << 20, 0, 0);
    void *objects[OBJECTS];
    fill_heap(mem, objects);
    uint64_t marked = 0;
    for (size_t i = 0; i < OBJECTS; i++)
        if (objects[i] != NULL)
            marked += shmheap_ptr_to_handle(mem, objects[i]).bits != 0;
    struct visit visit = {mem, 0, 0, 3000};
    CHECK_EQ(shmheap_walk(mem, alloc_and_free, &visit), 0);
    CHECK_EQ(visit.visited, marked);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

struct processes {
    unsigned alive, dead, self;
    uint64_t blocks, bytes;
    pid_t dead_pid;
};

static int see_process(const shmheap_process_info *process, void *context)
{
    struct processes *seen = context;
    CHECK(process->slot >= 1 && process->slot <= 1022);
    CHECK(strlen(process->name) > 0 && strlen(process->name) < sizeof process->name);
    CHECK(process->connected_ns > UINT64_C(1500000000000000000));
    seen->blocks += process->blocks;
    seen->bytes += process->bytes;
    if (process->self)
        CHECK_EQ(process->pid, getpid());
    if (!process->alive)
        seen->dead_pid = (pid_t)process->pid;
    seen->self += (unsigned)process->self;
    ++*(process->alive ? &seen->alive : &seen->dead);
    return 0;
}

static void take_three(void *context)
{
    shmheap_memory_handle *mem = context;
    for (unsigned i = 0; i < 3; i++)
        CHECK(shmheap_alloc(*mem, 100) != NULL);
}

static void processes_and_what_they_hold(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0), second;
    CHECK_EQ(shmheap_open_fd(&second, shmheap_fd(mem), NULL), 0);
    CHECK(shmheap_alloc(mem, 100) && shmheap_alloc(second, 100));
    pid_t child = test_fork(take_three, &mem);
    test_join(child);
    struct processes seen;
    memset(&seen, 0, sizeof seen);
    CHECK_EQ(shmheap_processes(mem, see_process, &seen), 0);
    CHECK_EQ(seen.alive, 2);
    CHECK_EQ(seen.dead, 1);
    CHECK_EQ(seen.self, 1);
    CHECK_EQ(seen.blocks, 5);
    CHECK_EQ(seen.bytes, 5 * 112);
    CHECK_EQ(seen.dead_pid, child);
    shmheap_stats stats = test_stat(mem);
    CHECK_EQ(stats.processes, 2);
    CHECK_EQ(stats.dead, 1);
    shmheap_disconnect(second);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(every_block_once_in_order), TEST(the_visitor_can_stop),
                                    TEST(the_visitor_can_free_each_block),
                                    TEST(what_lives_throughout_is_visited_once),
                                    TEST(processes_and_what_they_hold)};
TEST_MAIN(tests)
