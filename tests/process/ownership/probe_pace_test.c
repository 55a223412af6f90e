/* To probe whether the owners of objects live takes the longer the more processes there are. So an
 * allocation that finds no room probes at once where they are few. Where they are many, a while has
 * to pass after an allocation that probed in vain.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/process/slot.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { LEN = 1 << 16, TAKEN_MOST = LEN / 16, FEW = 16, MANY = 20, PAIR_NS = 64 };

/* Of all heaps: slots of the largest number of processes, each with each other one. */
static const uint64_t longest_ns = (uint64_t)SLOTS_MAX * SLOTS_MAX * PAIR_NS;

struct crowd {
    shmheap_memory_handle mems[MANY];
    unsigned count; /* of processes with a slot: each connection here stands for one */
    pid_t holder;   /* the last of them, which has an object */
};

/* The heap is full. Its first allocation that found no room has probed, and all lived. One process
 * more has left in order, and does not count. */
static void gather(struct crowd *crowd, unsigned count)
{
    void *taken[TAKEN_MOST];
    unsigned slot;
    wrap_clock_stop();
    crowd->count = count;
    crowd->mems[0] = test_anonymous_with(LEN, 0, SHMHEAP_REAP);
    for (unsigned i = 1; i < count - 1; i++)
        crowd->mems[i] = test_connect_again(crowd->mems[0], 0);
    for (unsigned i = 0; i < count - 1; i++)
        test_own_slot(crowd->mems[i]);
    shmheap_memory_handle left = test_connect_again(crowd->mems[0], 0);
    CHECK(shmheap_alloc(left, 1) != NULL);
    shmheap_disconnect(left);
    crowd->holder = test_fork_holder(crowd->mems[0], 0, &slot);
    CHECK_LE(1, test_take_all(crowd->mems[0], taken, TAKEN_MOST));
}

static void leave(struct crowd *crowd)
{
    CHECK_SOUND(crowd->mems[0]);
    for (unsigned i = 0; i < crowd->count - 1; i++)
        shmheap_disconnect(crowd->mems[i]);
}

static void pass(uint64_t ns)
{
    uint64_t all = (uint64_t)wrap_clock.tv_nsec + ns;
    wrap_clock.tv_sec += (time_t)(all / 1000000000);
    wrap_clock.tv_nsec = (long)(all % 1000000000);
}

/* The dead process has the only block that can become free. */
static int finds_room(const struct crowd *crowd)
{
    errno = 0;
    void *object = shmheap_alloc(crowd->mems[0], 1);
    CHECK_EQ(errno, object != NULL ? 0 : ENOMEM);
    return object != NULL;
}

static void few_are_always_probed(void)
{
    struct crowd crowd;
    gather(&crowd, FEW);
    CHECK(!finds_room(&crowd));
    test_kill(crowd.holder);
    CHECK(finds_room(&crowd));
    leave(&crowd);
}

static void many_are_probed_after_a_while(void)
{
    for (unsigned count = FEW + 1; count <= MANY; count += MANY - FEW - 1) {
        struct crowd crowd;
        gather(&crowd, count);
        test_kill(crowd.holder);
        CHECK(!finds_room(&crowd));
        pass(count * count * PAIR_NS);
        CHECK(!finds_room(&crowd));
        pass(1);
        CHECK(finds_room(&crowd));
        leave(&crowd);
    }
}

/* A peer cannot stop the probes: a longer while than that of the most processes is none. */
static void a_forged_time_does_not_count(void)
{
    struct crowd crowd;
    gather(&crowd, MANY);
    test_kill(crowd.holder);
    uint64_t now =
        (uint64_t)wrap_clock.tv_sec * UINT64_C(1000000000) + (uint64_t)wrap_clock.tv_nsec;
    store_u64(&connection_hints(crowd.mems[0].heap)->reap_after_ns, now + longest_ns);
    CHECK(!finds_room(&crowd));
    store_u64(&connection_hints(crowd.mems[0].heap)->reap_after_ns, now + longest_ns + 1);
    CHECK(finds_room(&crowd));
    leave(&crowd);
}

static const struct test tests[] = {TEST(few_are_always_probed),
                                    TEST(many_are_probed_after_a_while),
                                    TEST(a_forged_time_does_not_count)};
TEST_MAIN(tests)
