/* Each call that frees wakes a thread that waits for memory, and memory that comes before a thread
 * sleeps keeps it awake.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "tests/process/wait/sleepers.h"
#include "tests/support/wrap.h"

void (*shmheap_store_hook)(void);

static void fill(void)
{
    void *ptr;
    while ((ptr = shmheap_alloc(scene->mem, EACH)) != NULL)
        scene->held[scene->count++] = ptr;
    CHECK(scene->count > WAITERS);
}

/* Until not even the smallest object fits. */
static void fill_all(void)
{
    fill();
    for (size_t len = EACH / 2; len > 0; len /= 2)
        while (shmheap_alloc(scene->mem, len) != NULL)
            continue;
}

static void wait_for_memory(void *context)
{
    waiter = *(int *)context;
    CHECK(shmheap_alloc_wait(scene->mem, EACH, -1) != NULL); /* keeps it */
}

/* Each way to give back memory for one object. */
static void by_free(void) { shmheap_free(scene->mem, scene->held[1]); }
static void by_try_free(void) { CHECK_EQ(shmheap_try_free(scene->mem, scene->held[1]), 0); }
static void by_free_many(void) { CHECK_EQ(shmheap_free_many(scene->mem, scene->held + 1, 1), 1); }
static void by_realloc(void)
{
    CHECK_PTR(shmheap_realloc(scene->mem, scene->large, EACH - 100), scene->large);
}
static void by_free_of_a_name(void) { shmheap_free(scene->mem, scene->large); }
static void by_removing_a_name(void)
{
    CHECK_EQ(shmheap_name_remove(scene->mem, "kept"), 1); /* this process uses it */
    CHECK_EQ(woken(), 0);
    shmheap_free(scene->mem, scene->large);
}
static void by_name_remove(void) { CHECK_EQ(shmheap_name_remove(scene->mem, "kept"), 0); }
static void by_reap(void) { CHECK_LE(1, shmheap_reap(scene->mem, 0)); }

static void no_preparation(void) {}
static void large_gets_a_name(void)
{
    shmheap_free(scene->mem, scene->large);
    CHECK((scene->large = shmheap_alloc_named(scene->mem, "name", 2 * EACH)) != NULL);
}
static void large_is_kept(void)
{
    shmheap_free(scene->mem, scene->large);
    CHECK((scene->large = shmheap_alloc_kept(scene->mem, "kept", 2 * EACH)) != NULL);
}
static void nothing_uses_large(void)
{
    large_is_kept();
    shmheap_free(scene->mem, scene->large);
}
static void die_with_an_object(void *context)
{
    (void)context;
    shmheap_memory_handle mem = test_connect_again(scene->mem, 0);
    CHECK(shmheap_alloc(mem, 2 * EACH) != NULL);
    _exit(0); /* without its destructors: as a death */
}
static void large_is_a_dead_process_s(void)
{
    shmheap_free(scene->mem, scene->large);
    test_in_child(die_with_an_object, NULL);
}

static void a_call_that_frees_wakes(void)
{
    static const struct {
        void (*prepare)(void), (*give)(void);
    } ways[] = {{no_preparation, by_free},
                {no_preparation, by_try_free},
                {no_preparation, by_free_many},
                {no_preparation, by_realloc},
                {large_gets_a_name, by_free_of_a_name},
                {large_is_kept, by_removing_a_name},
                {nothing_uses_large, by_name_remove},
                {large_is_a_dead_process_s, by_reap}};
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        int number = 0;
        scene_begin();
        scene->futex = &scene->mem.heap->control->wait_futex;
        ways[i].prepare();
        fill();
        scene->pids[0] = test_fork(wait_for_memory, &number);
        until_it_sleeps(0);
        ways[i].give();
        CHECK_EQ(woken(), 1);
        test_join(scene->pids[0]);
        scene_end();
    }
}

/* The free wakes one thread alone, though there is room for both. That thread wakes the other. */
static void a_woken_thread_passes_the_wake_on(void)
{
    scene_begin();
    scene->futex = &scene->mem.heap->control->wait_futex;
    fill();
    for (int i = 0; i < 2; i++) {
        scene->pids[i] = test_fork(wait_for_memory, &i);
        until_it_sleeps(i);
    }
    CHECK_EQ(shmheap_free_many(scene->mem, scene->held, 2), 2);
    test_join(scene->pids[0]);
    CHECK_EQ(woken(), 2);
    test_join(scene->pids[1]);
    scene_end();
}

/* Three threads of one size class: the one that needs least has died asleep, and its number stays.
 * A free that suffices for that number alone wakes one of the two that live, in vain. That one
 * registers its own need, and the other registers anew: else the need of one would hide the
 * other's. */
enum { LEAST = EACH - 500, MIDDLE = EACH + 300, GREATEST = EACH + 3000, NEIGHBOUR = 400 };

static void wait_for_least(void *context)
{
    waiter = *(int *)context;
    CHECK(shmheap_alloc_wait(scene->mem, LEAST, -1) != NULL);
}
static void wait_for_middle(void *context)
{
    waiter = *(int *)context;
    CHECK(shmheap_alloc_wait(scene->mem, MIDDLE, -1) != NULL);
}
static void wait_for_greatest(void *context)
{
    waiter = *(int *)context;
    shmheap_alloc_wait(scene->mem, GREATEST, -1);
}

static void sleeper_begin(int number, void (*run)(void *))
{
    scene->pids[number] = test_fork(run, &number);
    until_it_sleeps(number);
}

static void the_number_of_a_dead_thread_hides_no_need(void)
{
    scene_begin();
    scene->futex = &scene->mem.heap->control->wait_futex;
    void *neighbour = shmheap_alloc(scene->mem, NEIGHBOUR); /* of the first object that fills */
    fill_all();
    sleeper_begin(0, wait_for_least);
    sleeper_begin(1, wait_for_greatest);
    sleeper_begin(2, wait_for_middle);
    test_kill(scene->pids[0]);
    scene->asleep[1] = scene->asleep[2] = 0;
    shmheap_free(scene->mem, scene->held[0]);
    while (!sleeps(1) && !sleeps(2))
        sched_yield();
    CHECK_EQ(woken(), 2); /* both of those that live */
    until_it_sleeps(1);
    until_it_sleeps(2);
    shmheap_free(scene->mem, neighbour);
    test_join(scene->pids[2]); /* perhaps woken by the other one */
    test_kill(scene->pids[1]);
    scene_end();
}

/* A thread that needs little has died asleep, and its number stays. A free that suffices for both
 * wakes the one that lives, in a higher size class: 2 * EACH are more than 512 granules. */
enum { SMALL = 40 };

static void wait_for_little_memory(void *context)
{
    waiter = *(int *)context;
    CHECK(shmheap_alloc_wait(scene->mem, SMALL, -1) != NULL);
}

static void wait_for_much_memory(void *context)
{
    waiter = *(int *)context;
    CHECK(shmheap_alloc_wait(scene->mem, 2 * EACH, -1) != NULL);
}

static void the_number_of_a_dead_thread_hides_no_class(void)
{
    scene_begin();
    scene->futex = &scene->mem.heap->control->wait_futex;
    fill_all();
    sleeper_begin(0, wait_for_little_memory);
    sleeper_begin(1, wait_for_much_memory);
    test_kill(scene->pids[0]);
    shmheap_free(scene->mem, scene->large);
    CHECK_EQ(woken(), 1);
    test_join(scene->pids[1]);
    scene_end();
}

/* The block of a cache's line becomes free at the end of the cache, which is all that is free then.
 * */
enum { WARM = 20, TAKEN_MOST = 4000 };

static struct test_barrier warmed, may_end;
static shmheap_memory_handle caching;

static void warm_up(void)
{
    void *ptrs[WARM];
    for (unsigned i = 0; i < WARM; i++)
        CHECK((ptrs[i] = shmheap_alloc(caching, SMALL)) != NULL);
    for (unsigned i = 0; i < WARM; i++)
        CHECK_EQ(shmheap_try_free(caching, ptrs[i]), 0);
}

static void *warm_up_and_end(void *context)
{
    warm_up();
    test_barrier_wait(&warmed);
    test_barrier_wait(&may_end);
    return context;
}

static void the_end_of_a_cache_wakes(void)
{
    for (int of_thread = 0; of_thread <= 1; of_thread++) {
        void *taken[TAKEN_MOST];
        pthread_t thread;
        int number = 0;
        scene_begin();
        scene->futex = &scene->mem.heap->control->wait_futex;
        caching = test_connect_again(scene->mem, SHMHEAP_CACHED);
        test_barrier_begin(&warmed, 2);
        test_barrier_begin(&may_end, 2);
        if (of_thread) {
            CHECK_EQ(pthread_create(&thread, NULL, warm_up_and_end, NULL), 0);
            test_barrier_wait(&warmed);
        } else {
            warm_up();
        }
        test_take_all(scene->mem, taken, TAKEN_MOST);
        scene->pids[0] = test_fork(wait_for_little_memory, &number);
        until_it_sleeps(0);
        if (of_thread) {
            test_barrier_wait(&may_end);
            CHECK_EQ(pthread_join(thread, NULL), 0);
        } else {
            shmheap_disconnect(caching);
        }
        CHECK_EQ(woken(), 1);
        test_join(scene->pids[0]);
        if (of_thread)
            shmheap_disconnect(caching);
        test_barrier_end(&warmed);
        test_barrier_end(&may_end);
        scene_end();
    }
}

static shmheap_memory_handle giver;
static void *given;
static unsigned stores, at;
static int gave;

static void give(void)
{
    shmheap_store_hook = NULL;
    gave = 1;
    CHECK_EQ(shmheap_try_free(giver, given), 0);
}

static void give_between_stores(void)
{
    if (*(volatile uint64_t *)&scene->mem.heap->control->lock == 0 && stores++ == at)
        give();
}

/* What comes before the sleep keeps the thread awake. */
static long give_before_sleep(long number, long *a)
{
    const uint32_t *futex = &scene->mem.heap->control->wait_futex;
    if (number == SYS_futex && a[1] == FUTEX_WAIT_BITSET && (void *)a[0] == (void *)futex) {
        if (!gave)
            give();
        CHECK(*futex != (uint32_t)a[2]); /* else it sleeps though there is memory */
    }
    return wrap_syscall_real(number, a);
}

static void memory_that_comes_before_the_sleep_is_noticed(void)
{
    int slept = 0;
    for (at = 0; !slept; at++) {
        scene_begin();
        giver = test_connect_again(scene->mem, 0);
        test_own_slot(giver);
        given = (char *)shmheap_underlying(giver) + test_offset(scene->mem, scene->large);
        fill();
        wrap_syscall = give_before_sleep;
        shmheap_store_hook = give_between_stores;
        stores = 0;
        gave = 0;
        CHECK(shmheap_alloc_wait(scene->mem, EACH, -1) != NULL);
        CHECK(gave);
        slept = stores <= at; /* it came right before the sleep */
        shmheap_disconnect(giver);
        scene_end();
    }
    CHECK(at > 2);
}

static const struct test tests[] = {TEST(a_call_that_frees_wakes),
                                    TEST(a_woken_thread_passes_the_wake_on),
                                    TEST(the_number_of_a_dead_thread_hides_no_need),
                                    TEST(the_number_of_a_dead_thread_hides_no_class),
                                    TEST(the_end_of_a_cache_wakes),
                                    TEST(memory_that_comes_before_the_sleep_is_noticed)};
TEST_MAIN(tests)
