/* A process is stopped inside shmheap_alloc while it holds the lock, then killed: the survivor goes
 * on at once.
 * SPDX-License-Identifier: Apache-2.0 */

#include "c/src/process/lock.h"
#include "tests/crash/scene/stepper.h"
#include "tests/support/test.h"

enum { DEATHS = 50, INSTRUCTIONS_MAX = 200000 };

struct scene {
    struct stepper stepper;
    shmheap_memory_handle mem;
    unsigned slot; /* of the child */
};

static void learn_slot(void *context)
{
    struct scene *scene = context;
    scene->slot = test_own_slot(scene->mem);
}

static void alloc_once(void *context)
{
    struct scene *scene = context;
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
}

/* The child stands inside the lock, some instructions on. */
static pid_t stop_inside(struct scene *scene, unsigned instructions)
{
    unsigned steps = 0;
    pid_t pid = stepper_begin(&scene->stepper);
    CHECK_EQ(lock_owner_slot(scene->mem.heap), 0);
    while (lock_owner_slot(scene->mem.heap) == 0) {
        CHECK(stepper_step(pid, &scene->stepper));
        CHECK(++steps < INSTRUCTIONS_MAX);
    }
    for (unsigned i = 0; i < instructions; i++)
        CHECK(stepper_step(pid, &scene->stepper));
    CHECK_EQ(lock_owner_slot(scene->mem.heap), scene->slot);
    return pid;
}

static void one_death(struct scene *scene, uint64_t deaths)
{
    pid_t pid = stop_inside(scene, (unsigned)deaths % 40);
    stepper_kill(&scene->stepper, pid);
    void *ptr = shmheap_alloc(scene->mem, 50);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(scene->mem, ptr), 0);
    shmheap_stats stats = test_stat(scene->mem);
    CHECK_EQ(stats.recoveries, deaths);
    CHECK_EQ(stats.dead, deaths);
    CHECK(stats.last_recovery_ns > 0);
    CHECK_SOUND(scene->mem);
}

static void check_survivor(shmheap_memory_handle mem)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = mem;
    scene->stepper =
        (struct stepper){.prepare = learn_slot, .operate = alloc_once, .context = scene};
    char *kept = shmheap_alloc(mem, 1000);
    test_fill(kept, 1000, 1);
    for (uint64_t deaths = 1; deaths <= DEATHS; deaths++)
        one_death(scene, deaths);
    CHECK(test_filled(kept, 1000, 1));
    test_unshare(scene, sizeof *scene);
}

static void the_survivor_recovers_in_a_file(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    check_survivor(mem);
    shmheap_disconnect(mem);
}

static void the_survivor_recovers_in_own_memory(void)
{
    void *memory = test_shared(1 << 20);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory, 1 << 20, NULL), 0);
    check_survivor(mem);
    shmheap_disconnect(mem);
    test_unshare(memory, 1 << 20);
}

/* Others sleep on the lock when its owner is killed: all wake up. */
static void waits_and_allocs(void *context)
{
    struct scene *scene = context;
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
}

static void all_waiters_go_on(void)
{
    enum { WAITERS = 8 };
    struct scene *scene = test_shared(sizeof *scene);
    pid_t waiters[WAITERS];
    scene->mem = test_anonymous(1 << 20, 0, 0);
    scene->stepper =
        (struct stepper){.prepare = learn_slot, .operate = alloc_once, .context = scene};
    pid_t pid = stop_inside(scene, 10);
    for (unsigned i = 0; i < WAITERS; i++)
        waiters[i] = test_fork(waits_and_allocs, scene);
    /* One of them has marked the lock as awaited. */
    while (!(load_u64(&scene->mem.heap->control->lock) & FUTEX_WAITERS))
        continue;
    stepper_kill(&scene->stepper, pid);
    for (unsigned i = 0; i < WAITERS; i++)
        test_join(waiters[i]);
    CHECK_SOUND(scene->mem);
    CHECK_EQ(test_stat(scene->mem).recoveries, 1);
    CHECK(test_stat(scene->mem).used_blocks >= WAITERS);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

/* A living owner is waited for, and never robbed: stopped for longer than a waiter's patience
 * between questions. */
static void a_living_owner_is_not_robbed(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = test_anonymous(1 << 20, 0, 0);
    scene->stepper =
        (struct stepper){.prepare = learn_slot, .operate = alloc_once, .context = scene};
    pid_t pid = stop_inside(scene, 10);
    scene->mem.heap->lock_limit_ms = 3 * LOCK_SLICE_MS;
    CHECK_REFUSED(shmheap_alloc(scene->mem, 10) == NULL, ETIMEDOUT);
    CHECK_REFUSED(shmheap_check(scene->mem, NULL) == -1, ETIMEDOUT);
    CHECK_EQ(lock_owner_slot(scene->mem.heap), scene->slot);
    while (stepper_step(pid, &scene->stepper))
        continue;
    CHECK(shmheap_alloc(scene->mem, 10) != NULL);
    CHECK_EQ(test_stat(scene->mem).recoveries, 0);
    CHECK_SOUND(scene->mem);
    stepper_kill(&scene->stepper, pid);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

/* The bits of a starving waiter, as lock_waiter_mark sets them. */
static void say_starving(shmheap_memory_handle mem)
{
    __atomic_fetch_or(SHARED_VALUE(&mem.heap->control->lock), LOCK_HANDOFF, __ATOMIC_SEQ_CST);
}

/* The child is killed so many instructions after it took the lock, for which a starving waiter
 * waits: the survivor goes on. 0: the child's call was over before. */
static int dies_before_a_starving_waiter(struct scene *scene, unsigned instructions,
                                         unsigned *recovered)
{
    uint64_t recoveries = test_stat(scene->mem).recoveries;
    pid_t pid = stop_inside(scene, 0);
    int steps = 1;
    say_starving(scene->mem);
    for (unsigned i = 0; steps && i < instructions; i++)
        steps = stepper_step(pid, &scene->stepper);
    uint64_t word = load_u64(&scene->mem.heap->control->lock);
    CHECK(word == 0 || word == LOCK_HANDOFF || lock_word_slot(word) == scene->slot);
    stepper_kill(&scene->stepper, pid);
    void *ptr = shmheap_alloc(scene->mem, 50);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(scene->mem, ptr), 0);
    CHECK_EQ(load_u64(&scene->mem.heap->control->lock), 0);
    /* Recovery is for a death inside the lock alone. */
    CHECK_EQ(test_stat(scene->mem).recoveries - recoveries, lock_word_slot(word) != 0);
    *recovered += lock_word_slot(word) != 0;
    CHECK_SOUND(scene->mem);
    CHECK(shmheap_reap(scene->mem, 0) >= 0);
    return steps;
}

static void deaths_on_the_way_to_a_starving_waiter(void)
{
    unsigned instructions = 0, deaths = 0, recovered = 0;
    unsigned stride = test_rounds(10) == 10 ? 1 : 7;
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = test_anonymous(1 << 20, 0, 0);
    scene->stepper =
        (struct stepper){.prepare = learn_slot, .operate = alloc_once, .context = scene};
    for (; dies_before_a_starving_waiter(scene, instructions, &recovered); deaths++)
        CHECK((instructions += stride) < INSTRUCTIONS_MAX);
    CHECK(recovered > 0 && recovered < deaths);
    printf("  %u instructions, %u deaths, %u of them inside the lock\n", instructions, deaths,
           recovered);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

static const struct test tests[] = {TEST(the_survivor_recovers_in_a_file),
                                    TEST(the_survivor_recovers_in_own_memory),
                                    TEST(all_waiters_go_on), TEST(a_living_owner_is_not_robbed),
                                    TEST(deaths_on_the_way_to_a_starving_waiter)};
TEST_MAIN(tests)
