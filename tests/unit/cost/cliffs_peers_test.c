/* As cliffs_test, where other processes die, have caches or wait.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"
#include "tests/unit/cost/counted.h"

enum { DEATHS = 5 };

struct holder {
    shmheap_memory_handle mem;
    struct test_barrier *full; /* of this round: a process that is killed may not have left it */
    struct test_barrier barriers[DEATHS];
};

static void takes_all(void *context)
{
    struct holder *holder = context;
    while (shmheap_alloc(holder->mem, OBJECT_LEN) != NULL)
        continue;
    test_barrier_wait(holder->full);
    for (;;)
        pause();
}

static void a_death_is_found_by_the_next_alloc(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    shmheap_options options = {.len = LEN,
                               .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_REAP};
    CHECK_EQ(shmheap_open(&holder->mem, NULL, &options), 0);
    for (unsigned i = 0; i < DEATHS; i++) {
        holder->full = &holder->barriers[i];
        test_barrier_begin(holder->full, 2);
        pid_t pid = test_fork(takes_all, holder);
        test_barrier_wait(holder->full);
        for (unsigned k = 0; k < TRIES; k++)
            CHECK_REFUSED(shmheap_alloc(holder->mem, LARGE) == NULL, ENOMEM);
        test_kill(pid);
        void *ptr = shmheap_alloc(holder->mem, LARGE);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(holder->mem, ptr), 0);
        test_check_empty(holder->mem);
    }
    shmheap_disconnect(holder->mem);
    test_unshare(holder, sizeof *holder);
}

/* With many processes one call tests which processes live; the next test comes after some time. */
static void liveness_is_not_tested_each_time(void)
{
    enum { CONNECTIONS = 40 };
    shmheap_memory_handle mems[CONNECTIONS];
    void *object = NULL;
    mems[0] = full_heap(SHMHEAP_REAP, &object);
    for (unsigned i = 1; i < CONNECTIONS; i++)
        CHECK_EQ(shmheap_open_fd(&mems[i], shmheap_fd_writable(mems[0]), NULL), 0);
    wrap_clock_stop();
    count_begin();
    for (unsigned i = 0; i < TRIES; i++)
        CHECK_REFUSED(shmheap_alloc(mems[i % CONNECTIONS], LARGE) == NULL, ENOMEM);
    CHECK_LE(counted.lock_questions, 3 * CONNECTIONS);
    counted.lock_questions = 0;
    wrap_clock.tv_sec++;
    CHECK_REFUSED(shmheap_alloc(mems[0], LARGE) == NULL, ENOMEM);
    count_end();
    CHECK(counted.lock_questions >= CONNECTIONS - 1);
    wrap_clock.tv_sec = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        shmheap_disconnect(mems[i]);
}

enum { CACHED_PEERS = 8, PACE_MOST = 63 + 64 * CACHED_PEERS + CACHED_PEERS };

/* So many connections have each a line for the cache of this thread, in a heap that is full
 * then. */
static void full_heap_with_lines(shmheap_memory_handle *mem, shmheap_memory_handle *peers,
                                 void **objects)
{
    const shmheap_options cached = {.flags = SHMHEAP_CACHED};
    *mem = full_heap(0, objects);
    for (unsigned i = 1; i < 64 * CACHED_PEERS;
         i++) /* from the end on: its neighbours are free then */
        CHECK_EQ(shmheap_try_free(*mem, (char *)*objects - 64 * i), 0);
    for (unsigned i = 0; i < CACHED_PEERS; i++) {
        CHECK_EQ(shmheap_open_fd(&peers[i], shmheap_fd_writable(*mem), &cached), 0);
        CHECK_EQ(shmheap_try_free(peers[i], shmheap_alloc(peers[i], OBJECT_LEN)), 0);
    }
    while (shmheap_alloc(*mem, OBJECT_LEN) != NULL)
        continue;
}

/* The owners of cache lines are tested less often the more often a test found no dead process. */
static void owners_of_caches_are_asked_seldom(void)
{
    shmheap_memory_handle mem, peers[CACHED_PEERS];
    void *object = NULL;
    full_heap_with_lines(&mem, peers, &object);
    CHECK(mem.heap->control->cache_lines != 0);
    for (unsigned way = 0; way < 2; way++) {
        count_begin();
        for (unsigned i = 0; i < 10 * TRIES; i++)
            CHECK_REFUSED(shmheap_alloc(mem, way == 0 ? LARGE : OBJECT_LEN) == NULL, ENOMEM);
        count_end();
        CHECK_LE(counted.lock_questions, 10 * CACHED_PEERS); /* after the 1st, 3rd, 7th ... 511th */
        CHECK_LE(counted.loads, 10 * TRIES * LOADS_EACH);
    }
    for (unsigned i = 0; i < CACHED_PEERS; i++)
        shmheap_disconnect(peers[i]);
    shmheap_disconnect(mem);
}

struct line_owner {
    shmheap_memory_handle mem;
    struct test_barrier ready;
};

static void has_a_line(void *context)
{
    struct line_owner *owner = context;
    CHECK_EQ(shmheap_try_free(owner->mem, shmheap_alloc(owner->mem, OBJECT_LEN)), 0);
    test_barrier_wait(&owner->ready);
    for (;;)
        pause();
}

/* What a dead process had for its cache is found all the same, after some allocs that fail. */
static void lines_of_the_dead_come_back_to_one_that_polls(void)
{
    struct line_owner *owner = test_shared(sizeof *owner);
    const shmheap_options options = {.len = LEN,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    CHECK_EQ(shmheap_open(&owner->mem, NULL, &options), 0);
    test_barrier_begin(&owner->ready, 2);
    pid_t pid = test_fork(has_a_line, owner);
    test_barrier_wait(&owner->ready);
    for (unsigned i = 0; i < 10 * TRIES; i++)
        CHECK_REFUSED(shmheap_alloc(owner->mem, LEN - 64) == NULL, ENOMEM);
    test_kill(pid);
    unsigned tries = 1;
    while (shmheap_alloc(owner->mem, LEN - 64) == NULL && tries <= PACE_MOST)
        tries++;
    CHECK_LE(tries, PACE_MOST);
    CHECK_SOUND(owner->mem);
    shmheap_disconnect(owner->mem);
    test_unshare(owner, sizeof *owner);
}

struct waiting {
    shmheap_memory_handle mem;
    size_t len;
    unsigned got;
};

static void waits(void *context)
{
    struct waiting *waiting = context;
    void *ptr = shmheap_alloc_wait(waiting->mem, waiting->len, -1);
    CHECK(ptr != NULL);
    __atomic_fetch_add(&waiting->got, 1, __ATOMIC_RELEASE);
    CHECK_EQ(shmheap_try_free(waiting->mem, ptr), 0);
}

/* Until so many sleep in the kernel: a wake of none of them says how many there are. */
static void until_asleep(const struct waiting *waiting, int count)
{
    uint32_t *futex = &waiting->mem.heap->control->wait_futex, other;
    int moved = 0;
    while (moved < count) {
        sched_yield();
        /* Moved to another futex and back: how many there were. One whose time ends between both is
         * not moved back; it will sleep again. */
        long away = syscall(SYS_futex, futex, FUTEX_REQUEUE, 0, (long)INT_MAX, &other, 0);
        moved = (int)syscall(SYS_futex, &other, FUTEX_REQUEUE, 0, (long)INT_MAX, futex, 0);
        CHECK(moved >= 0);
        CHECK_LE(moved, away);
    }
}

static struct waiting *waiting_begin(size_t len, unsigned flags, void **filler)
{
    struct waiting *waiting = test_shared(sizeof *waiting);
    shmheap_options options = {.len = 1 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    CHECK_EQ(shmheap_open(&waiting->mem, NULL, &options), 0);
    waiting->len = len;
    waited_on = &waiting->mem.heap->control->wait_futex;
    CHECK((*filler = shmheap_alloc(waiting->mem, 900000)) != NULL);
    return waiting;
}

static void waiting_end(struct waiting *waiting)
{
    CHECK_SOUND(waiting->mem);
    shmheap_disconnect(waiting->mem);
    test_unshare(waiting, sizeof *waiting);
}

static void a_free_wakes_only_threads_that_it_serves(void)
{
    enum { WAITERS = 8 };
    void *filler;
    struct waiting *waiting = waiting_begin(500000, 0, &filler);
    pid_t pids[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++)
        pids[i] = test_fork(waits, waiting);
    until_asleep(waiting, WAITERS);
    count_begin();
    pairs(waiting->mem, TRIES);
    CHECK_EQ(counted.wakes, 0);
    CHECK_EQ(waiting->got, 0);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    count_end();
    CHECK_EQ(counted.wakes, 1);
    CHECK_EQ(counted.woken, 1);
    for (unsigned i = 0; i < WAITERS; i++)
        test_join(pids[i]); /* each wakes the next one */
    CHECK_EQ(waiting->got, WAITERS);
    waiting_end(waiting);
}

/* A waiter whose need would be served, but which died: one wake finds that out. */
static void the_dead_are_not_woken_for_ever(void)
{
    void *filler;
    struct waiting *waiting = waiting_begin(500000, 0, &filler);
    pid_t alive = test_fork(waits, waiting);
    until_asleep(waiting, 1);
    waiting->len = 150000;
    pid_t dead = test_fork(waits, waiting);
    until_asleep(waiting, 2);
    test_kill(dead);
    void *part = shmheap_realloc(waiting->mem, filler, 800000);
    CHECK_PTR(part, filler);
    count_begin();
    pairs(waiting->mem, TRIES);
    CHECK_LE(counted.wakes, 2);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    count_end();
    test_join(alive);
    CHECK_EQ(waiting->got, 1);
    waiting_end(waiting);
}

/* Several sizes of one class: all that can be are served, and none keeps a free busy afterwards. */
static void all_that_fit_are_served(void)
{
    enum { WAITERS = 12 };
    void *filler;
    struct waiting *waiting = waiting_begin(0, 0, &filler);
    pid_t pids[WAITERS], too_large;
    waiting->len = 1000000;
    too_large = test_fork(waits, waiting);
    until_asleep(waiting, 1);
    for (unsigned i = 0; i < WAITERS; i++) {
        waiting->len = 400000 + 30000 * (i * 5 % WAITERS);
        pids[i] = test_fork(waits, waiting);
        until_asleep(waiting, 2 + (int)i);
    }
    void *rest = shmheap_alloc(waiting->mem, 100000);
    CHECK(rest != NULL);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    for (unsigned i = 0; i < WAITERS; i++)
        test_join(pids[i]);
    CHECK_EQ(waiting->got, WAITERS);
    until_asleep(waiting, 1);
    count_begin();
    pairs(waiting->mem, TRIES);
    count_end();
    CHECK_LE(counted.woken, 1); /* it says its need anew */
    CHECK_EQ(shmheap_try_free(waiting->mem, rest), 0);
    test_join(too_large);
    waiting_end(waiting);
}

/* Caches work on while a thread waits in vain. */
static void caches_work_while_a_thread_waits(void)
{
    void *filler;
    struct waiting *waiting = waiting_begin(500000, SHMHEAP_CACHED, &filler);
    pid_t pid = test_fork(waits, waiting);
    until_asleep(waiting, 1);
    pairs(waiting->mem, 1000); /* the first ones without */
    uint64_t allocs = test_stat(waiting->mem).allocs;
    pairs(waiting->mem, TRIES);
    CHECK_LE(test_stat(waiting->mem).allocs - allocs, TRIES / 4);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    test_join(pid);
    waiting_end(waiting);
}

static const struct test tests[] = {TEST(a_death_is_found_by_the_next_alloc),
                                    TEST(liveness_is_not_tested_each_time),
                                    TEST(owners_of_caches_are_asked_seldom),
                                    TEST(lines_of_the_dead_come_back_to_one_that_polls),
                                    TEST(a_free_wakes_only_threads_that_it_serves),
                                    TEST(the_dead_are_not_woken_for_ever),
                                    TEST(all_that_fit_are_served),
                                    TEST(caches_work_while_a_thread_waits)};
TEST_MAIN(tests)
