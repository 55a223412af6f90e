/* 200 processes at once on one heap, which is one free block at the end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { PROCESSES = 200, ROUNDS = 3000, HELD = 20 };

struct crowd {
    const char *name;
    struct test_barrier barrier;
    unsigned next;
};

struct held {
    char *ptr;
    size_t len;
    uint64_t mark;
};

static void drop(shmheap_memory_handle mem, struct held *object)
{
    if (!object->ptr)
        return;
    CHECK(test_filled(object->ptr, object->len, object->mark));
    CHECK_EQ(shmheap_try_free(mem, object->ptr), 0);
    object->ptr = NULL;
}

static void replace(shmheap_memory_handle mem, struct held *object, struct test_random *random)
{
    drop(mem, object);
    object->len = test_random_below(random, 400);
    object->mark = test_random_next(random);
    object->ptr = test_random_below(random, 8) ? shmheap_alloc(mem, object->len)
                                               : shmheap_aligned_alloc(mem, 256, object->len);
    CHECK(object->ptr != NULL);
    test_fill(object->ptr, object->len, object->mark);
}

static void churn(shmheap_memory_handle mem, struct held *held, struct test_random *random)
{
    size_t rounds = test_rounds(ROUNDS);
    for (size_t i = 0; i < rounds; i++)
        replace(mem, &held[test_random_below(random, HELD)], random);
}

static void one_of_many(void *context)
{
    struct crowd *crowd = context;
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&crowd->next, 1, __ATOMIC_RELAXED));
    struct held held[HELD];
    memset(held, 0, sizeof held);
    shmheap_memory_handle mem = test_connect(crowd->name);
    test_barrier_wait(&crowd->barrier);
    churn(mem, held, &random);
    test_barrier_wait(&crowd->barrier); /* all hold something */
    churn(mem, held, &random);
    for (size_t i = 0; i < HELD; i++)
        drop(mem, &held[i]);
    test_barrier_wait(&crowd->barrier); /* all have freed all */
    test_barrier_wait(&crowd->barrier); /* the parent has looked */
    shmheap_disconnect(mem);
}

static void the_heap_is_one_free_block_at_the_end(void)
{
    struct crowd *crowd = test_shared(sizeof *crowd);
    pid_t pids[PROCESSES];
    crowd->name = test_name();
    test_barrier_begin(&crowd->barrier, PROCESSES + 1);
    shmheap_memory_handle mem = shmheap_create(crowd->name, 16 << 20);
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = test_fork(one_of_many, crowd);
    for (unsigned i = 0; i < 3; i++)
        test_barrier_wait(&crowd->barrier);
    CHECK_EQ(test_stat(mem).processes, PROCESSES + 1);
    test_check_empty(mem);
    test_barrier_wait(&crowd->barrier);
    for (unsigned i = 0; i < PROCESSES; i++)
        test_join(pids[i]);
    test_check_empty(mem);
    shmheap_stats stats = test_stat(mem);
    CHECK_EQ(stats.allocs, stats.frees);
    CHECK_EQ(stats.allocs, PROCESSES * 2 * test_rounds(ROUNDS));
    CHECK_EQ(stats.recoveries, 0);
    CHECK_EQ(stats.processes, 1);
    printf("  %u processes, %llu objects, at most %llu bytes at once\n", PROCESSES,
           (unsigned long long)stats.allocs, (unsigned long long)stats.high_water_bytes);
    shmheap_destroy(crowd->name, mem);
    test_unshare(crowd, sizeof *crowd);
}

static const struct test tests[] = {TEST(the_heap_is_one_free_block_at_the_end)};
TEST_MAIN(tests)
