/* A process that takes the lock again and again cannot overtake the processes that wait for it:
 * once a waiter has waited for LOCK_STARVING_MS the lock is left to it. Without timing: the greedy
 * process's clock stands still, and the starving waiters sleep until they are woken.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { WAITERS = 8, ROUNDS = 5 };

struct scene {
    shmheap_memory_handle mem;
    volatile int entered;         /* the greedy process is inside the lock */
    volatile int asleep[WAITERS]; /* the waiter is starving and goes to sleep */
    pid_t pids[WAITERS];
    unsigned joined; /* waiters that have been started */
};

void (*shmheap_store_hook)(void);

static struct scene *scene;
static int waiter = -1;      /* this process is the waiter of that number */
static void (*inside)(void); /* called once, at this process's first store in the lock */
static unsigned own_slot;
static uint64_t allocs_before;

/* A starving waiter says that it sleeps, and has no time limit. */
static long sleep_starving(long number, long *a)
{
    int sleeps = number == SYS_futex && scene != NULL && (int)a[1] == FUTEX_WAIT_BITSET &&
                 (void *)a[0] == (void *)&scene->mem.heap->control->lock;
    if (sleeps && waiter >= 0 && (uint32_t)a[5] == LOCK_WAITER_STARVING) {
        a[3] = 0;
        scene->asleep[waiter] = 1;
    }
    if (sleeps && wrap_clock.tv_sec != 0)
        sched_yield(); /* its time limit has long passed */
    return wrap_syscall_real(number, a);
}

static uint64_t allocs(void) { return load_u64(&scene->mem.heap->control->allocs); }

static void call_inside(void)
{
    void (*call)(void) = inside;
    if (call == NULL || lock_owner_slot(scene->mem.heap) != own_slot)
        return;
    inside = NULL;
    call();
}

/* The greedy process stays inside until all waiters are starving and sleep. */
static void await_starving(void)
{
    allocs_before = allocs();
    scene->entered = 1;
    for (unsigned i = 0; i < scene->joined; i++)
        while (!scene->asleep[i] || test_state(scene->pids[i]) != 'S')
            sched_yield();
    CHECK(load_u64(&scene->mem.heap->control->lock) & LOCK_STARVING);
}

static void await_starving_and_kill(void)
{
    await_starving();
    for (unsigned i = 0; i < scene->joined; i++)
        test_kill(scene->pids[i]);
}

/* Its first alloc, and each starving waiter's, came before the second one. */
static void check_not_overtaken(void) { CHECK_EQ(allocs(), allocs_before + 1 + scene->joined); }

static void wait_once(void *context)
{
    waiter = *(int *)context;
    shmheap_store_hook = NULL;
    test_own_slot(scene->mem);
    __atomic_fetch_add(&scene->joined, 1, __ATOMIC_SEQ_CST);
    while (!scene->entered)
        sched_yield();
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
}

static void scene_begin(void)
{
    scene = test_shared(sizeof *scene);
    scene->mem = test_anonymous(1 << 20, 0, 16);
    own_slot = test_own_slot(scene->mem);
    shmheap_store_hook = call_inside;
    wrap_syscall = sleep_starving;
}

static void waiters_begin(void)
{
    scene->entered = 0;
    scene->joined = 0;
    for (int i = 0; i < WAITERS; i++) {
        scene->asleep[i] = 0;
        scene->pids[i] = test_fork(wait_once, &i);
    }
    while (__atomic_load_n(&scene->joined, __ATOMIC_SEQ_CST) < WAITERS)
        sched_yield();
}

/* The greedy process's calls that take the lock. */
static void alloc_inside(void (*call)(void))
{
    inside = call;
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
    CHECK(inside == NULL);
}

static void scene_end(void)
{
    CHECK_EQ(test_stat(scene->mem).recoveries, 0);
    CHECK_SOUND(scene->mem);
    shmheap_store_hook = NULL;
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
    scene = NULL;
}

static void starving_waiters_come_first(void)
{
    scene_begin();
    for (int round = 0; round < ROUNDS; round++) {
        waiters_begin();
        wrap_clock_stop();
        alloc_inside(await_starving);
        alloc_inside(check_not_overtaken);
        wrap_clock.tv_sec = 0;
        for (int i = 0; i < WAITERS; i++)
            test_join(scene->pids[i]);
    }
    scene_end();
}

/* All starving waiters die in their sleep: the lock is free for the process that released it. Its
 * clock stands still, so that it would wait for ever for a lock that is left to a dead process. */
static void dead_waiters_keep_nothing(void)
{
    scene_begin();
    waiters_begin();
    wrap_clock_stop();
    alloc_inside(await_starving_and_kill);
    CHECK_EQ(load_u64(&scene->mem.heap->control->lock), 0);
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
    wrap_clock.tv_sec = 0;
    scene_end();
}

/* The lock is left to a starving waiter that has died once it was woken: the next process that has
 * waited long enough takes it, and need not recover. */
static void the_next_takes_what_was_left(void)
{
    scene_begin();
    shmheap_store_hook = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        __atomic_store_n(&scene->mem.heap->control->lock, LOCK_HANDOFF, __ATOMIC_RELEASE);
        CHECK_EQ(lock_owner_slot(scene->mem.heap), 0);
        CHECK(shmheap_alloc(scene->mem, 100) != NULL);
        CHECK_EQ(load_u64(&scene->mem.heap->control->lock), 0);
    }
    scene_end();
}

/* Words that no process of ours leaves: taken as from a dead owner. The bits of waiters alone name
 * no owner, and become LOCK_HANDOFF. A waiter that the kernel keeps off the processor for a whole
 * slice meanwhile takes such a word as from a dead owner, too. */
static void senseless_words_are_survived(void)
{
    static const struct {
        uint64_t word, recoveries_least;
    } cases[] = {{LOCK_STARVING, 0},
                 {FUTEX_WAITERS, 0},
                 {LOCK_STARVING | 5, 1},
                 {LOCK_HANDOFF | 5, 1},
                 {LOCK_HANDOFF | UINT64_C(1023) << LOCK_SLOT_SHIFT, 1},
                 {LOCK_HANDOFF | UINT64_C(1024) << LOCK_SLOT_SHIFT, 1},
                 {~(uint64_t)FUTEX_OWNER_DIED, 1},
                 {LOCK_HANDOFF | FUTEX_OWNER_DIED, 1},
                 {LOCK_STARVING | FUTEX_OWNER_DIED, 1}};
    shmheap_memory_handle mem = test_anonymous(1 << 16, 0, 16);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t recoveries = test_stat(mem).recoveries;
        __atomic_store_n(&mem.heap->control->lock, cases[i].word, __ATOMIC_RELEASE);
        CHECK(shmheap_alloc(mem, 100) != NULL);
        CHECK_LE(recoveries + cases[i].recoveries_least, test_stat(mem).recoveries);
        CHECK_LE(test_stat(mem).recoveries, recoveries + 1);
        CHECK_EQ(load_u64(&mem.heap->control->lock), 0);
    }
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(starving_waiters_come_first), TEST(dead_waiters_keep_nothing),
    TEST(the_next_takes_what_was_left), TEST(senseless_words_are_survived)};
TEST_MAIN(tests)
