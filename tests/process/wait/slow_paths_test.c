/* The slow paths of the lock, one by one, with a simulated clock and kernel: how long a waiter
 * spins and sleeps, when it starves, what an unlock leaves and which thread it wakes, and how a
 * thread registers for its death.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/wait/simulated.h"

/* The lock is this thread's, which the kernel knows. bits: of waiters. */
static void check_mine(uint64_t bits)
{
    CHECK_EQ(heap->control->lock, TID | (uint64_t)heap->slot << LOCK_SLOT_SHIFT | bits);
    CHECK_PTR((char *)*lock_self.pending + lock_self.futex_offset, &heap->control->lock);
    CHECK_EQ(heap->control->sequence % 2, 1);
    lock_release(heap);
}

/* Waiting -------------------------------------------------------------------------------------- */

/* Sleep i, of a waiter that had waited for so many ms when it came, as its first sleep shows. */
static void check_sleep(unsigned i, uint64_t waited_ms)
{
    uint64_t first = kernel.sleep[0].at_ns, at = kernel.sleep[i].at_ns,
             waited = waited_ms * MS + at - first, len = waited < 5 * MS ? 5 * MS : waited;
    if (len > first + LOCK_SLICE_MS * MS - at)
        len = first + LOCK_SLICE_MS * MS - at;
    CHECK_EQ(kernel.sleep[i].len_ns, len);
    CHECK_EQ(kernel.sleep[i].kind,
             waited >= LOCK_STARVING_MS * MS ? LOCK_WAITER_STARVING : LOCK_WAITER);
}

static void a_waiter_sleeps_ever_longer_and_starves(void)
{
    static const uint64_t waited[] = {0, 1, 20, 49, 50, 300};
    for (size_t i = 0; i < sizeof waited / sizeof *waited; i++) {
        shmheap_memory_handle mem = simulated_begin();
        uint64_t came = its_clock.now_ns, seen;
        CHECK_EQ(lock_wait(heap, waited[i], &seen), LOCK_SUSPECT);
        CHECK_EQ(seen, heap->control->lock);
        CHECK_EQ(heap->control->lock & LOCK_HANDOFF, LOCK_HANDOFF);
        /* The owner stands still. So the waiter soon sleeps. */
        CHECK_LE(kernel.sleep[0].at_ns - came, 15 * US);
        CHECK_LE(10 * US, kernel.sleep[0].at_ns - came);
        CHECK_LE(kernel.sleeps, 8);
        for (unsigned sleep = 0; sleep < kernel.sleeps; sleep++)
            check_sleep(sleep, waited[i]);
        for (unsigned sleep = 1; sleep < kernel.sleeps; sleep++)
            CHECK_EQ(kernel.sleep[sleep].reads, 1); /* not woken: it does not spin */
        simulated_end(mem);
    }
}

static void it_spins_while_the_owner_works(void)
{
    shmheap_memory_handle mem = simulated_begin();
    uint64_t came = its_clock.now_ns, seen;
    its_clock.moves = INT_MAX;
    its_clock.tick_ns = 30 * US; /* a load in that time is rare enough */
    CHECK_EQ(lock_wait(heap, 0, &seen), LOCK_SUSPECT);
    CHECK_LE(150 * US, kernel.sleep[0].at_ns - came);
    CHECK_LE(kernel.sleep[0].at_ns - came, 240 * US);
    simulated_end(mem);
}

static void it_sleeps_once_the_owner_stands_still(void)
{
    shmheap_memory_handle mem = simulated_begin();
    uint64_t came = its_clock.now_ns, seen;
    its_clock.moves = 5;
    CHECK_EQ(lock_wait(heap, 0, &seen), LOCK_SUSPECT);
    CHECK_LE(14 * US, kernel.sleep[0].at_ns - came);
    CHECK_LE(kernel.sleep[0].at_ns - came, 20 * US);
    simulated_end(mem);
}

static void one_that_was_woken_spins(void)
{
    for (int by_word = 0; by_word <= 1; by_word++) {
        shmheap_memory_handle mem = simulated_begin();
        uint64_t seen;
        *(by_word ? &kernel.interrupted_at : &kernel.woken_at) = 1;
        CHECK_EQ(lock_wait(heap, 0, &seen), LOCK_SUSPECT);
        CHECK_EQ(kernel.sleep[1].reads, 1);
        CHECK_LE(10, kernel.sleep[2].reads);
        CHECK_EQ(kernel.sleep[3].reads, 1);
        simulated_end(mem);
    }
}

static void it_takes_what_is_for_it(void)
{
    static const struct {
        uint64_t word, waited_ms;
        enum lock_result result;
        int sleeps;
    } cases[] = {
        {0, 0, LOCK_TAKEN, 0},
        {FUTEX_OWNER_DIED, 0, LOCK_DIED, 0},
        {LOCK_HANDOFF, LOCK_STARVING_MS, LOCK_TAKEN, 0},
        {LOCK_HANDOFF, 0, LOCK_TAKEN, 1}, /* until it starves */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shmheap_memory_handle mem = simulated_begin();
        uint64_t seen, came = its_clock.now_ns;
        heap->control->lock = cases[i].word;
        if (cases[i].word == LOCK_HANDOFF) /* as the waiter left it that set the bits */
            heap->control->waiting = kernel.barriers = 1;
        lock_self_forget(); /* also in a thread that has had no lock yet */
        CHECK_EQ(lock_wait(heap, cases[i].waited_ms, &seen), cases[i].result);
        CHECK_EQ(kernel.sleeps != 0, cases[i].sleeps);
        CHECK_EQ(its_clock.now_ns - came >= LOCK_STARVING_MS * MS, cases[i].sleeps);
        check_mine((cases[i].word | (cases[i].sleeps ? LOCK_HANDOFF : 0)) & LOCK_HANDOFF);
        simulated_end(mem);
    }
}

static void it_takes_the_lock_when_woken(void)
{
    shmheap_memory_handle mem = simulated_begin();
    uint64_t seen;
    kernel.woken_at = kernel.frees_at = 2;
    CHECK_EQ(lock_wait(heap, 0, &seen), LOCK_TAKEN);
    CHECK_EQ(kernel.sleeps, 3);
    check_mine(FUTEX_WAITERS); /* others may sleep */
    simulated_end(mem);
}

static void it_takes_a_dead_owners_lock_once(void)
{
    shmheap_memory_handle mem = simulated_begin();
    CHECK_EQ(lock_seize(heap, others_word() + 1), LOCK_SUSPECT); /* another has taken it */
    CHECK_EQ(heap->control->lock, others_word());
    CHECK_PTR(*lock_self.pending, NULL);
    CHECK_EQ(lock_seize(heap, others_word()), LOCK_DIED);
    check_mine(0);
    simulated_end(mem);
}

/* Unlocking ------------------------------------------------------------------------------------ */

#define ANY_WAITER (LOCK_WAITER | LOCK_WAITER_STARVING)

static void an_unlock_wakes_one_waiter(void)
{
    enum { TAKES = -2 };
    static const struct {
        uint64_t bits;
        int waiting, is_broken;
        long starving; /* sleepers; TAKES: none, one has the lock already */
        uint64_t left;
        unsigned wakes[2]; /* kinds */
    } cases[] = {
        {0, 0, 0, 0, 0, {0, 0}},
        {0, 1, 0, 0, 0, {ANY_WAITER, 0}},
        {FUTEX_WAITERS, 0, 0, 0, 0, {ANY_WAITER, 0}},
        {FUTEX_WAITERS, 1, 0, 0, 0, {ANY_WAITER, 0}},
        {LOCK_HANDOFF, 1, 0, 1, LOCK_HANDOFF, {LOCK_WAITER_STARVING, 0}},
        {LOCK_HANDOFF, 1, 0, 0, 0, {LOCK_WAITER_STARVING, ANY_WAITER}},
        {LOCK_HANDOFF, 1, 0, -1, 0, {LOCK_WAITER_STARVING, ANY_WAITER}},
        {LOCK_HANDOFF, 1, 0, TAKES, 0, {LOCK_WAITER_STARVING, ANY_WAITER}},
        {FUTEX_WAITERS, 1, 1, 0, FUTEX_OWNER_DIED, {ANY_WAITER, 0}},
        {LOCK_HANDOFF, 1, 1, 1, FUTEX_OWNER_DIED, {LOCK_WAITER_STARVING, 0}},
        {LOCK_HANDOFF, 1, 1, 0, FUTEX_OWNER_DIED, {LOCK_WAITER_STARVING, ANY_WAITER}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shmheap_memory_handle mem = simulated_begin();
        uint64_t sequence = heap->control->sequence;
        lock_announce(heap);
        heap->control->lock = lock_mine(heap) | cases[i].bits;
        heap->control->waiting = (uint64_t)cases[i].waiting;
        kernel.starving = cases[i].starving;
        kernel.takes = cases[i].starving == TAKES;
        kernel.others = 1;
        if (cases[i].is_broken)
            lock_release_broken(heap);
        else
            lock_release_waking(heap, 0);
        CHECK_EQ(heap->control->lock, kernel.takes ? others_word() : cases[i].left);
        CHECK_EQ(heap->control->sequence != sequence, cases[i].is_broken);
        CHECK_EQ(kernel.wakes, (cases[i].wakes[0] != 0) + (cases[i].wakes[1] != 0));
        for (unsigned number = 0; number < kernel.wakes; number++)
            CHECK_EQ(kernel.wake[number], cases[i].wakes[number]);
        if (kernel.wakes != 0 && kernel.wake[kernel.wakes - 1] == ANY_WAITER)
            CHECK_EQ(heap->control->waiting, 0);
        CHECK_PTR(*lock_self.pending, NULL);
        simulated_end(mem);
    }
}

/* Registering ---------------------------------------------------------------------------------- */

static void a_thread_without_a_robust_list_registers_one(void)
{
    for (int get_fails = 0; get_fails <= 1; get_fails++)
        for (int set_fails = 0; set_fails <= 1; set_fails++) {
            robust_lists_begin();
            kernel.get_fails = get_fails;
            kernel.set_fails = set_fails;
            lock_self.futex_offset = 1;
            errno = EXDEV;
            lock_self_fill();
            CHECK_EQ(errno, EXDEV);
            CHECK_EQ(lock_self.tid, gettid());
            CHECK_EQ(kernel.registered != NULL, !get_fails);
            struct robust_list_head *head = kernel.registered;
            CHECK(lock_self.pending != NULL);
            CHECK_EQ(head != NULL && lock_self.pending == &head->list_op_pending,
                     !get_fails && !set_fails);
            CHECK_EQ(lock_self.futex_offset, 0);
            CHECK(head == NULL || head->list.next == &head->list);
        }
    robust_lists_end();
}

static void else_it_uses_that_of_the_c_library(void)
{
    struct robust_list_head list = {.futex_offset = -24};
    robust_lists_begin();
    kernel.list = &list;
    lock_self_fill();
    CHECK_PTR(kernel.registered, NULL);
    CHECK_PTR(lock_self.pending, &list.list_op_pending);
    CHECK_EQ(lock_self.futex_offset, -24);
    robust_lists_end();
}

static void a_process_registers_for_barriers(void)
{
    shmheap_memory_handle mem = simulated_begin();
    int before = lock_barrier_remote;
    for (int fails = 0; fails <= 1; fails++) {
        kernel.barrier_fails = fails;
        kernel.barriers = 0;
        lock_barrier_remote = fails;
        lock_register();
        CHECK_EQ(kernel.barriers, 1);
        CHECK_EQ(lock_barrier_remote, !fails);
    }
    lock_barrier_remote = before;
    simulated_end(mem);
}

static const struct test tests[] = {TEST(a_waiter_sleeps_ever_longer_and_starves),
                                    TEST(it_spins_while_the_owner_works),
                                    TEST(it_sleeps_once_the_owner_stands_still),
                                    TEST(one_that_was_woken_spins),
                                    TEST(it_takes_what_is_for_it),
                                    TEST(it_takes_the_lock_when_woken),
                                    TEST(it_takes_a_dead_owners_lock_once),
                                    TEST(an_unlock_wakes_one_waiter),
                                    TEST(a_thread_without_a_robust_list_registers_one),
                                    TEST(else_it_uses_that_of_the_c_library),
                                    TEST(a_process_registers_for_barriers)};
TEST_MAIN(tests)
