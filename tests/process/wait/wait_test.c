/* shmheap_alloc_wait: a thread that finds the heap full sleeps until a process frees.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { LEN = 65536, WAITERS = 4, ROUNDS = 200, UNTOUCHED = 1234, MOST = LEN / 16 };

struct scene {
    shmheap_memory_handle mem;
    void *large, *held[MOST]; /* what fills the heap */
    size_t count, each;
    unsigned got;
    int timeout_ms; /* of the waiters */
    struct test_barrier filled;
};

static struct scene *scene_begin(unsigned flags)
{
    struct scene *scene = test_shared(sizeof *scene);
    shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    CHECK_EQ(shmheap_open(&scene->mem, NULL, &options), 0);
    scene->each = 5000;
    scene->timeout_ms = -1;
    scene->large = shmheap_alloc(scene->mem, 2 * scene->each);
    CHECK(scene->large != NULL);
    return scene;
}

static void fill(struct scene *scene)
{
    void *ptr;
    for (scene->count = 0; (ptr = shmheap_alloc(scene->mem, scene->each)) != NULL; scene->count++)
        scene->held[scene->count] = ptr;
    CHECK(scene->count > WAITERS);
}

static void scene_end(struct scene *scene)
{
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

/* Gets an object, and frees it, so that the next one can have it. */
static void wait_for_object(void *context)
{
    struct scene *scene = context;
    errno = UNTOUCHED;
    char *ptr = shmheap_alloc_wait(scene->mem, scene->each, scene->timeout_ms);
    CHECK(ptr != NULL);
    CHECK_EQ(errno, UNTOUCHED);
    test_fill(ptr, scene->each, 7);
    CHECK(test_filled(ptr, scene->each, 7));
    CHECK_EQ(shmheap_try_free(scene->mem, ptr), 0);
    __atomic_fetch_add(&scene->got, 1, __ATOMIC_RELEASE);
}

/* Until a thread has said that it waits for space. */
static void until_a_thread_waits(const struct scene *scene)
{
    while (__atomic_load_n(&scene->mem.heap->control->wait_sleepers, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
}

static void what_cannot_be_had_is_not_waited_for(void)
{
    struct scene *scene = scene_begin(0);
    CHECK_REFUSED(shmheap_alloc_wait(scene->mem, LEN, -1) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_wait(scene->mem, SIZE_MAX, -1) == NULL, ENOMEM);
    fill(scene);
    CHECK_REFUSED(shmheap_alloc_wait(scene->mem, scene->each, 0) == NULL, ENOMEM);
    shmheap_memory_handle none = {NULL};
    CHECK_REFUSED(shmheap_alloc_wait(none, 8, -1) == NULL, EINVAL);
    scene_end(scene);
}

static void time_is_up(void)
{
    struct scene *scene = scene_begin(0);
    fill(scene);
    CHECK_REFUSED(shmheap_alloc_wait(scene->mem, scene->each, 1) == NULL, ETIMEDOUT);
    uint64_t failed = test_stat(scene->mem).failed_allocs;
    CHECK_REFUSED(shmheap_alloc_wait(scene->mem, scene->each, 30) == NULL, ETIMEDOUT);
    /* It slept, since no process frees: it inspected the heap once when it began to wait, and once
     * when its time was up. */
    CHECK_LE(test_stat(scene->mem).failed_allocs - failed, 5);
    CHECK_SOUND(scene->mem);
    shmheap_free(scene->mem, scene->held[3]);
    errno = UNTOUCHED;
    CHECK_PTR(shmheap_alloc_wait(scene->mem, scene->each, 1), scene->held[3]);
    CHECK_EQ(errno, UNTOUCHED);
    scene_end(scene);
}

/* Each way to give back: free, several at once, a realloc, a process that leaves. */
static void free_one(struct scene *scene)
{
    CHECK_EQ(shmheap_try_free(scene->mem, scene->held[1]), 0);
}
static void free_some(struct scene *scene)
{
    CHECK_EQ(shmheap_free_many(scene->mem, scene->held, 2), 2);
}
static void make_smaller(struct scene *scene)
{
    CHECK_PTR(shmheap_realloc(scene->mem, scene->large, 8), scene->large);
}

/* The first call of a connection with caches: while a thread waits it makes no cache, whose own
 * block would take space. */
static void free_by_a_newcomer(struct scene *scene)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    shmheap_memory_handle newcomer;
    CHECK_EQ(shmheap_open_fd(&newcomer, shmheap_fd(scene->mem), &options), 0);
    char *ptr = (char *)shmheap_underlying(newcomer) + test_offset(scene->mem, scene->held[1]);
    CHECK_EQ(shmheap_try_free(newcomer, ptr), 0);
    shmheap_disconnect(newcomer);
}

static void woken_by(unsigned flags, void (*give)(struct scene *scene))
{
    for (unsigned waiters = 1; waiters <= WAITERS; waiters++) {
        struct scene *scene = scene_begin(flags);
        pid_t pids[WAITERS];
        fill(scene);
        for (unsigned i = 0; i < waiters; i++)
            pids[i] = test_fork(wait_for_object, scene);
        until_a_thread_waits(scene);
        give(scene);
        for (unsigned i = 0; i < waiters; i++)
            test_join(pids[i]);
        CHECK_EQ(scene->got, waiters);
        CHECK_SOUND(scene->mem);
        scene_end(scene);
    }
}

static void woken_by_a_free(void) { woken_by(0, free_one); }
static void woken_by_frees_into_a_cache(void) { woken_by(SHMHEAP_CACHED, free_one); }
static void woken_by_a_newcomer_with_caches(void) { woken_by(0, free_by_a_newcomer); }
static void woken_by_several_frees(void) { woken_by(0, free_some); }
static void woken_by_a_realloc(void) { woken_by(0, make_smaller); }

/* Limits of more nanoseconds than 32 bits count: no waiter's time is up before the free. */
static void woken_long_before_the_time_is_up(void)
{
    static const int limits_ms[] = {60000, 3600000, INT_MAX};
    for (unsigned i = 0; i < sizeof limits_ms / sizeof *limits_ms; i++) {
        struct scene *scene = scene_begin(0);
        scene->timeout_ms = limits_ms[i];
        fill(scene);
        pid_t waiter = test_fork(wait_for_object, scene);
        until_a_thread_waits(scene);
        free_one(scene);
        test_join(waiter);
        CHECK_EQ(scene->got, 1);
        scene_end(scene);
    }
}

/* Its objects become free when it dies: no call wakes the waiters then, they inspect the heap again
 * by themselves. */
static void holds_until_killed(void *context)
{
    struct scene *scene = context;
    fill(scene);
    test_barrier_wait(&scene->filled);
    for (;;)
        pause();
}

static void what_a_dead_process_held_is_found(void)
{
    struct scene *scene = scene_begin(SHMHEAP_REAP);
    test_barrier_begin(&scene->filled, 2);
    pid_t holder = test_fork(holds_until_killed, scene);
    test_barrier_wait(&scene->filled);
    pid_t waiter = test_fork(wait_for_object, scene);
    until_a_thread_waits(scene);
    test_kill(holder);
    test_join(waiter);
    CHECK_EQ(scene->got, 1);
    CHECK_SOUND(scene->mem);
    scene_end(scene);
}

/* More threads want objects than there is room for: each gets its object, again and again. */
static void takes_turns(void *context)
{
    struct scene *scene = context;
    for (int i = 0; i < ROUNDS; i++)
        wait_for_object(scene);
}

static void all_get_their_turn(void)
{
    for (unsigned flags = 0; flags <= SHMHEAP_CACHED; flags += SHMHEAP_CACHED) {
        struct scene *scene = scene_begin(flags);
        pid_t pids[WAITERS];
        fill(scene);
        free_some(scene);
        for (unsigned i = 0; i < WAITERS; i++)
            pids[i] = test_fork(takes_turns, scene);
        for (unsigned i = 0; i < WAITERS; i++)
            test_join(pids[i]);
        CHECK_EQ(scene->got, WAITERS * ROUNDS);
        CHECK_SOUND(scene->mem);
        scene_end(scene);
    }
}

static const struct test tests[] = {TEST(what_cannot_be_had_is_not_waited_for),
                                    TEST(time_is_up),
                                    TEST(woken_by_a_free),
                                    TEST(woken_by_frees_into_a_cache),
                                    TEST(woken_by_a_newcomer_with_caches),
                                    TEST(woken_by_several_frees),
                                    TEST(woken_by_a_realloc),
                                    TEST(woken_long_before_the_time_is_up),
                                    TEST(what_a_dead_process_held_is_found),
                                    TEST(all_get_their_turn)};
TEST_MAIN(tests)
