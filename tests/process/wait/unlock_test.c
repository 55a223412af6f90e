/* Each unlock wakes a thread that waits for the lock, also where the thread goes to sleep during
 * the unlock; and a waiter runs a barrier before it sleeps.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "tests/process/wait/sleepers.h"
#include "tests/support/wrap.h"

void (*shmheap_store_hook)(void);

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

static const struct test tests[] = {TEST(an_unlock_wakes),
                                    TEST(a_waiter_runs_a_barrier_before_it_sleeps)};
TEST_MAIN(tests)
