/* What processes with SHMHEAP_CACHED had for their caches comes back however they end: at once
 * where they end in order and alone, else when an alloc finds no room.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/test.h"

enum {
    LEN = 65536,
    LARGE = 1 << 20,
    CHILDREN = 600,
    THREAD_OBJECTS = 20,
    ROUNDS = 300,
    OTHERS = 8
};

/* ThreadSanitizer has a thread of its own in each process, so none ends alone: the line of its
 * cache stays until an alloc finds no room. */
enum { IN_ORDER_MOST = TEST_UNDER_TSAN ? LEN / 128 : 0 };

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

/* A thread that goes on while the program ends, after the library has given back. */
static struct test_barrier step;
static shmheap_memory_handle shared;
static int threads_go_on;

static void use(void)
{
    void *objects[THREAD_OBJECTS];
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < THREAD_OBJECTS; i++)
            CHECK((objects[i] = shmheap_alloc(shared, 100)) != NULL);
        for (unsigned i = 0; i < THREAD_OBJECTS; i++)
            CHECK_EQ(shmheap_try_free(shared, objects[i]), 0);
    }
}

static void *use_twice(void *unused)
{
    use();
    test_barrier_wait(&step);
    test_barrier_wait(&step);
    use();
    test_barrier_wait(&step);
    return unused;
}

/* Runs after the destructors without a priority, which the library's is one of. */
__attribute__((destructor(101))) static void after_the_library(void)
{
    if (!threads_go_on)
        return;
    test_barrier_wait(&step);
    test_barrier_wait(&step);
}

/* What was on the stack before does not matter to what the library does at the end: here ones. */
static __attribute__((noinline)) void stack_of_ones(void)
{
    volatile unsigned char ones[64 << 10];
    for (size_t i = 0; i < sizeof ones; i++)
        ones[i] = 1;
}

static void end_beside_a_thread(void *unused)
{
    pthread_t thread;
    CHECK(unused == NULL);
    test_barrier_begin(&step, 2);
    CHECK_EQ(pthread_create(&thread, NULL, use_twice, NULL), 0);
    CHECK_EQ(pthread_detach(thread), 0); /* exit() ends it */
    use();
    test_barrier_wait(&step);
    CHECK_LE(1, test_cached(shared).blocks);
    threads_go_on = 1;
    stack_of_ones();
    exit(0);
}

/* Only its caches are given back, not those of other connections. */
static void beside_a_thread_that_goes_on(void)
{
    shmheap_memory_handle here = test_anonymous(LARGE, 0, 0), others[OTHERS];
    for (unsigned i = 0; i < OTHERS; i++) {
        others[i] = test_connect_again(here, SHMHEAP_CACHED);
        CHECK_EQ(shmheap_try_free(others[i], shmheap_alloc(others[i], 100)), 0);
    }
    shared = test_connect_again(here, SHMHEAP_CACHED);
    uint64_t stay = test_cached(here).blocks;
    CHECK_LE(OTHERS, stay);
    test_in_child(end_beside_a_thread, NULL);
    CHECK_EQ(test_cached(here).blocks, stay);
    for (unsigned i = 0; i < OTHERS; i++)
        shmheap_disconnect(others[i]);
    CHECK_EQ(test_cached(here).blocks, 0);
    CHECK_EQ(test_stat(here).dead, 0);
    CHECK_LE(test_stat(here).used_blocks, 2); /* the lines of the two caches */
    CHECK_EQ(shmheap_reap(here, 0), 0);
    CHECK_EQ(test_stat(here).used_blocks, 0);
    CHECK_SOUND(here);
    shmheap_disconnect(shared);
    shmheap_disconnect(here);
}

static void in_order(void) { CHECK_LE(left_by_children(exit), IN_ORDER_MOST); }
static void by_death(void) { CHECK_LE(left_by_children(_exit), LEN / 128); }

static const struct test tests[] = {TEST(in_order), TEST(by_death),
                                    TEST(beside_a_thread_that_goes_on)};
TEST_MAIN(tests)
