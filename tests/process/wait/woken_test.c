/* Each call that frees wakes a thread that waits for memory, each unlock a thread that waits for the
 * lock. Their sleeps have no time limit here, and the woken threads are counted: a missing wake is
 * a wrong count, not a delay.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "c/src/process/wait.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { LEN = 65536, EACH = 5000, HELD_MOST = LEN / EACH, WAITERS = 3 };

/* struct scene is shared by all processes of a test. */
struct scene {
    shmheap_memory_handle mem;
    void *held[HELD_MOST], *large; /* they fill the heap; large has the room of two */
    unsigned count;
    volatile const void *futex;   /* whose sleepers and wakes count */
    volatile int asleep[WAITERS]; /* the waiter is about to sleep without a limit */
    volatile int goes;            /* the lock's owner is where the waiter may begin */
    long woken;                   /* threads, by all processes */
    pid_t pids[WAITERS];
};

void (*shmheap_store_hook)(void);

static struct scene *scene;
static int waiter = -1; /* this process is the waiter of that number */

static long count_wakes(long number, long *a)
{
    /* Each connection maps the word elsewhere, at the same place in a page. */
    int is_ours = number == SYS_futex && scene != NULL &&
                  ((uintptr_t)a[0] ^ (uintptr_t)scene->futex) % 4096 == 0;
    if (is_ours && a[1] == FUTEX_WAIT_BITSET && waiter >= 0) {
        a[3] = 0;
        scene->asleep[waiter] = 1;
    }
    long result = wrap_syscall_real(number, a);
    if (is_ours && a[1] == FUTEX_WAKE_BITSET && result > 0)
        __atomic_fetch_add(&scene->woken, result, __ATOMIC_SEQ_CST);
    return result;
}

static long woken(void) { return __atomic_load_n(&scene->woken, __ATOMIC_SEQ_CST); }

/* The state of the process in /proc/PID/stat. */
static char state_of(pid_t pid)
{
    char path[40], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
    CHECK(fclose(file) == 0);
    char *name_end = strrchr(line, ')');
    CHECK(name_end != NULL && name_end[1] == ' ');
    return name_end[2];
}

static int sleeps(int number)
{
    return scene->asleep[number] && state_of(scene->pids[number]) == 'S';
}

static void until_it_sleeps(int number)
{
    while (!sleeps(number))
        sched_yield();
}

static void scene_begin(void)
{
    scene = test_shared(sizeof *scene);
    scene->mem = test_anonymous(LEN, 0, 0);
    CHECK((scene->large = shmheap_alloc(scene->mem, 2 * EACH)) != NULL);
    wrap_syscall = count_wakes;
}

static void fill(void)
{
    void *ptr;
    while ((ptr = shmheap_alloc(scene->mem, EACH)) != NULL)
        scene->held[scene->count++] = ptr;
    CHECK(scene->count > WAITERS);
}

static void scene_end(void)
{
    wrap_syscall = NULL;
    CHECK_SOUND(scene->mem);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
    scene = NULL;
}

/* Memory -------------------------------------------------------------------------------------- */

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
 * A free that suffices for that number alone wakes one of the others, in vain. That one registers
 * its own need, and the other registers anew: else the need of one would hide the other's. */
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
    fill();
    for (size_t len = EACH / 2; len > 0; len /= 2)
        while (shmheap_alloc(scene->mem, len) != NULL)
            continue;
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

/* The block of a cache's line becomes free at the end of the cache, which is all that is free then. */
enum { WARM = 20, SMALL = 40, TAKEN_MOST = 4000 };

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

static void wait_for_little_memory(void *context)
{
    waiter = *(int *)context;
    CHECK(shmheap_alloc_wait(scene->mem, SMALL, -1) != NULL);
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

/* The lock ------------------------------------------------------------------------------------ */

static void wait_for_the_lock(void *context)
{
    shmheap_store_hook = NULL;
    test_own_slot(scene->mem);
    waiter = *(int *)context;
    scene->goes--;
    while (scene->goes != 1)
        sched_yield();
    CHECK(shmheap_try_free(scene->mem, NULL) == 0);
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
}

static int first_inside, is_last; /* where the owner lets the waiter begin */
static unsigned own_slot;

/* Inside the lock at the first store; or at the last one, which unlocks: sequence is even, and the
 * owner has seen that no thread sleeps. */
static void let_it_sleep(void)
{
    const struct control *control = scene->mem.heap->control;
    int at_end = control->sequence % 2 == 0;
    if (lock_owner_slot(scene->mem.heap) != own_slot || at_end != is_last || first_inside)
        return;
    first_inside = 1;
    scene->goes = 1;
    until_it_sleeps(0);
}

static void an_unlock_wakes(void)
{
    for (is_last = 0; is_last <= 1; is_last++) {
        int number = 0;
        scene_begin();
        shmheap_free(scene->mem, scene->large);
        own_slot = test_own_slot(scene->mem);
        scene->futex = (const void *)&scene->mem.heap->control->lock;
        scene->goes = 1;
        scene->pids[0] = test_fork(wait_for_the_lock, &number);
        while (scene->goes != 0)
            sched_yield();
        first_inside = 0;
        shmheap_store_hook = let_it_sleep;
        CHECK(shmheap_alloc(scene->mem, 100) != NULL);
        shmheap_store_hook = NULL;
        CHECK(first_inside);
        CHECK_EQ(woken(), 1);
        test_join(scene->pids[0]);
        scene_end();
    }
}

/* The barrier --------------------------------------------------------------------------------- */

static int flushed;

/* A processor's store may become visible as late as at the next barrier. Here the store of an
 * unlock does, whose owner has already seen that no thread waits. */
static long flush_at_barrier(long number, long *a)
{
    shared_u64 *lock = &scene->mem.heap->control->lock;
    if (number == SYS_membarrier && !flushed) {
        CHECK_EQ(scene->mem.heap->control->waiting, 1);
        flushed = 1;
        *lock = 0;
    }
    if (number == SYS_futex && a[1] == FUTEX_WAIT_BITSET && (void *)a[0] == (void *)lock)
        CHECK(flushed); /* else it sleeps at a lock that is free */
    return wrap_syscall_real(number, a);
}

static void a_waiter_runs_a_barrier_before_it_sleeps(void)
{
    scene_begin();
    shmheap_memory_handle owner = test_connect_again(scene->mem, 0);
    test_own_slot(scene->mem);
    uint64_t slot = test_own_slot(owner);
    wrap_syscall = flush_at_barrier;
    flushed = 0;
    scene->mem.heap->control->lock = (uint64_t)gettid() | slot << LOCK_SLOT_SHIFT;
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
    CHECK(flushed);
    CHECK_EQ(test_stat(scene->mem).recoveries, 0);
    shmheap_disconnect(owner);
    scene_end();
}

static const struct test tests[] = {TEST(a_call_that_frees_wakes),
                                    TEST(a_woken_thread_passes_the_wake_on),
                                    TEST(the_number_of_a_dead_thread_hides_no_need),
                                    TEST(the_end_of_a_cache_wakes),
                                    TEST(memory_that_comes_before_the_sleep_is_noticed),
                                    TEST(an_unlock_wakes),
                                    TEST(a_waiter_runs_a_barrier_before_it_sleeps)};
TEST_MAIN(tests)
