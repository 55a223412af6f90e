/* Ownership of objects: sending, receiving once, reaping the objects of dead processes, with real
 * deaths.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { CLAIMERS = 4, OBJECTS = 2000, LEN = 1 << 20, VICTIMS = 200 };

/* struct relay is shared by the processes of a test. */
struct relay {
    const char *name;
    struct test_barrier barrier;
    unsigned next;
    shmheap_object_handle handles[OBJECTS];
    unsigned claims[OBJECTS];
    uint64_t made, steps;
};

static shmheap_memory_handle create(const char *name, unsigned flags, size_t len)
{
    const shmheap_options options = {.len = len,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | flags};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    return mem;
}

static void sent_and_received(void)
{
    shmheap_memory_handle a = test_anonymous(LEN, 0, 0), b;
    CHECK_EQ(shmheap_open_fd(&b, shmheap_fd(a), NULL), 0);
    char *ptr = shmheap_alloc(a, 100), *other = shmheap_alloc(b, 100);
    test_fill(ptr, 100, 7);
    shmheap_object_handle shared = shmheap_ptr_to_handle(a, ptr), sent = shmheap_send(a, ptr);
    CHECK(sent.bits != 0 && sent.bits != shared.bits);
    CHECK_REFUSED(shmheap_handle_to_ptr(b, shared) == NULL, ESTALE);
    CHECK_REFUSED(shmheap_handle_to_ptr(b, sent) == NULL, ESTALE);
    CHECK_REFUSED(shmheap_try_free(b, shmheap_underlying(b)) == -1, EINVAL);
    CHECK_REFUSED(shmheap_try_free(a, ptr) == -1, EINVAL);
    CHECK_REFUSED(shmheap_send(a, ptr).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_receive(b, shared) == NULL, ESTALE);
    char *received = shmheap_receive(b, sent);
    CHECK(received != NULL && test_filled(received, 100, 7));
    CHECK_REFUSED(shmheap_receive(a, sent) == NULL, ESTALE);
    CHECK_REFUSED(shmheap_receive(b, sent) == NULL, ESTALE);
    CHECK_REFUSED(shmheap_send(a, ptr).bits == 0, EPERM); /* b's now */
    CHECK_REFUSED(shmheap_send(a, NULL).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send(a, ptr + 8).bits == 0, EINVAL);
    CHECK_SOUND(a);
    shmheap_free(b, received);
    shmheap_free(b, other);
    test_check_empty(a);
    shmheap_disconnect(b);
    shmheap_disconnect(a);
}

static void wrong_handles_and_flags_are_refused(void)
{
    shmheap_memory_handle a = test_anonymous(LEN, 0, 0), b = test_anonymous(LEN, 0, 0), reader;
    const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    void *ptr = shmheap_alloc(a, 10);
    shmheap_object_handle sent = shmheap_send(a, ptr), null = {0};
    CHECK_REFUSED(shmheap_receive(a, null) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_receive(b, sent) == NULL, EINVAL);
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(a), &read_only), 0);
    CHECK_REFUSED(shmheap_receive(reader, sent) == NULL, EACCES);
    CHECK_REFUSED(shmheap_send(reader, ptr).bits == 0, EACCES);
    CHECK_REFUSED(shmheap_reap(reader, 0) == -1, EACCES);
    CHECK_REFUSED(shmheap_reap(a, 2) == -1, EINVAL);
    CHECK_EQ(shmheap_reap(a, 0), 0);
    CHECK(shmheap_receive(a, sent) == ptr);
    shmheap_disconnect(reader);
    shmheap_disconnect(b);
    shmheap_disconnect(a);
    CHECK_REFUSED(shmheap_receive(a, sent) == NULL, EINVAL);
}

/* All claim all objects; each is claimed once. */
static void claim_all(void *context)
{
    struct relay *relay = context;
    shmheap_memory_handle mem = test_connect(relay->name);
    test_barrier_wait(&relay->barrier);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char *ptr = shmheap_receive(mem, relay->handles[i]);
        if (ptr == NULL) {
            CHECK_EQ(errno, ESTALE);
            continue;
        }
        __atomic_fetch_add(&relay->claims[i], 1, __ATOMIC_RELAXED);
        CHECK(test_filled(ptr, 40 + i % 50, i));
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
    shmheap_disconnect(mem);
}

static void each_object_is_claimed_once(void)
{
    struct relay *relay = test_shared(sizeof *relay);
    pid_t pids[CLAIMERS];
    relay->name = test_name();
    test_barrier_begin(&relay->barrier, CLAIMERS);
    shmheap_memory_handle mem = create(relay->name, 0, LEN);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char *ptr = shmheap_alloc(mem, 40 + i % 50);
        test_fill(ptr, 40 + i % 50, i);
        relay->handles[i] = shmheap_send(mem, ptr);
        CHECK(relay->handles[i].bits != 0);
    }
    for (unsigned i = 0; i < CLAIMERS; i++)
        pids[i] = test_fork(claim_all, relay);
    for (unsigned i = 0; i < CLAIMERS; i++)
        test_join(pids[i]);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(relay->claims[i], 1);
    test_check_empty(mem);
    shmheap_destroy(relay->name, mem);
    test_unshare(relay, sizeof *relay);
}

/* Allocates, shares, sends and frees at random until it is killed. */
static void hold_and_be_killed(void *context)
{
    struct relay *relay = context;
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&relay->next, 1, __ATOMIC_RELAXED));
    shmheap_memory_handle mem = test_connect(relay->name);
    void *held[50] = {0};
    for (;;) {
        void **place = &held[test_random_below(&random, 50)];
        uint64_t choice = test_random_below(&random, 8);
        if (*place == NULL)
            *place = shmheap_alloc(mem, test_random_below(&random, 500));
        else if (choice == 0)
            *place = shmheap_receive(mem, shmheap_send(mem, *place));
        else if (choice < 5 && shmheap_try_free(mem, *place) == 0)
            *place = NULL;
        __atomic_fetch_add(&relay->steps, 1, __ATOMIC_RELAXED);
    }
}

static int count_sent(const shmheap_block_info *block, void *context)
{
    *(uint64_t *)context += block->state == SHMHEAP_STATE_SENT;
    return 0;
}

/* After each death reaping leaves nothing but what was in transit at that instant, one object at
 * most. */
static void nothing_is_lost_with_the_dead(void)
{
    struct relay *relay = test_shared(sizeof *relay);
    relay->name = test_name();
    shmheap_memory_handle mem = create(relay->name, 0, LEN);
    uint64_t reaped = 0, in_transit = 0;
    size_t victims = test_rounds(VICTIMS);
    for (size_t i = 0; i < victims; i++) {
        uint64_t until = __atomic_load_n(&relay->steps, __ATOMIC_RELAXED) + 100 + i;
        pid_t pid = test_fork(hold_and_be_killed, relay);
        while (__atomic_load_n(&relay->steps, __ATOMIC_RELAXED) < until)
            sched_yield();
        test_kill(pid);
        long freed = shmheap_reap(mem, 0);
        CHECK(freed >= 0);
        reaped += (uint64_t)freed;
        CHECK_SOUND(mem);
        uint64_t sent = 0;
        CHECK_EQ(shmheap_walk(mem, count_sent, &sent), 0);
        CHECK_LE(sent, i + 1);
        CHECK_EQ(test_stat(mem).used_blocks, sent);
        CHECK_EQ(test_stat(mem).dead, 0);
        in_transit = sent;
    }
    printf("  %zu deaths, %llu blocks reaped, %llu left in transit\n", victims,
           (unsigned long long)reaped, (unsigned long long)in_transit);
    shmheap_destroy(relay->name, mem);
    test_unshare(relay, sizeof *relay);
}

/* Leaves objects of each kind behind, and is killed while its parent waits. */
static void leave_behind(void *context)
{
    struct relay *relay = context;
    shmheap_memory_handle mem = test_connect(relay->name);
    for (unsigned i = 0; i < 30; i++) {
        void *ptr = shmheap_alloc(mem, 1000);
        if (i % 3 == 1)
            relay->handles[relay->made++] = shmheap_ptr_to_handle(mem, ptr);
        if (i % 3 == 2)
            relay->handles[relay->made++] = shmheap_send(mem, ptr);
    }
    test_barrier_wait(&relay->barrier);
    for (;;)
        pause();
}

static struct relay *left_behind(unsigned flags, size_t len, shmheap_memory_handle *mem)
{
    struct relay *relay = test_shared(sizeof *relay);
    relay->name = test_name();
    test_barrier_begin(&relay->barrier, 2);
    *mem = create(relay->name, flags, len);
    pid_t pid = test_fork(leave_behind, relay);
    test_barrier_wait(&relay->barrier);
    CHECK_EQ(shmheap_reap(*mem, SHMHEAP_REAP_SHARED), 0); /* it lives */
    test_kill(pid);
    return relay;
}

static void shared_and_sent_ones_stay_unless_asked_for(void)
{
    shmheap_memory_handle mem;
    struct relay *relay = left_behind(0, LEN, &mem);
    CHECK_EQ(test_stat(mem).used_blocks, 30);
    CHECK_EQ(shmheap_reap(mem, 0), 10);
    CHECK_EQ(test_stat(mem).used_blocks, 20);
    CHECK(shmheap_handle_to_ptr(mem, relay->handles[0]) != NULL);
    CHECK_EQ(shmheap_reap(mem, 0), 0);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 10);
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, relay->handles[0]) == NULL, ESTALE);
    CHECK_EQ(test_stat(mem).used_blocks, 10);
    for (unsigned i = 1; i < 20; i += 2)
        CHECK_EQ(shmheap_try_free(mem, shmheap_receive(mem, relay->handles[i])), 0);
    test_check_empty(mem);
    shmheap_destroy(relay->name, mem);
    test_unshare(relay, sizeof *relay);
}

static void what_a_process_left_in_order_stays(void)
{
    shmheap_memory_handle a = test_anonymous(LEN, 0, 0), b;
    CHECK_EQ(shmheap_open_fd(&b, shmheap_fd(a), NULL), 0);
    CHECK(shmheap_alloc(b, 100) != NULL);
    shmheap_disconnect(b);
    CHECK_EQ(shmheap_reap(a, SHMHEAP_REAP_SHARED), 0);
    CHECK_EQ(test_stat(a).used_blocks, 1);
    CHECK_SOUND(a);
    shmheap_disconnect(a);
}

/* A full heap has room again when reaping has freed what only dead processes held. */
static void reaped_before_an_alloc_fails(void)
{
    shmheap_memory_handle mem;
    struct relay *relay = left_behind(SHMHEAP_REAP, 32768, &mem);
    void *all = shmheap_alloc(mem, test_stat(mem).largest_free);
    CHECK(all != NULL);
    CHECK_EQ(test_stat(mem).used_blocks, 31);
    CHECK(shmheap_alloc(mem, 1000) != NULL);
    CHECK_EQ(test_stat(mem).used_blocks, 22);
    CHECK_SOUND(mem);
    shmheap_destroy(relay->name, mem);
    test_unshare(relay, sizeof *relay);
}

/* The same for an aligned object, which fits into none of the holes wherever they lie, but happens
 * to fit where one of them is. */
static void reaped_before_an_aligned_alloc_fails(void)
{
    shmheap_memory_handle mem;
    struct relay *relay = left_behind(SHMHEAP_REAP, 32768, &mem);
    CHECK(shmheap_alloc(mem, test_stat(mem).largest_free) != NULL);
    char *ptr = shmheap_aligned_alloc(mem, 1024, 100);
    CHECK(ptr != NULL);
    CHECK_EQ((uintptr_t)ptr % 1024, 0);
    CHECK_EQ(test_stat(mem).used_blocks, 22);
    CHECK_EQ(test_stat(mem).failed_allocs, 0);
    CHECK_SOUND(mem);
    shmheap_destroy(relay->name, mem);
    test_unshare(relay, sizeof *relay);
}

/* Without SHMHEAP_REAP no allocation frees what a dead process held: only shmheap_reap does. */
static void without_the_flag_an_alloc_reaps_nothing(void)
{
    shmheap_memory_handle mem;
    struct relay *relay = left_behind(0, 32768, &mem);
    void *ptrs[1];
    CHECK(shmheap_alloc(mem, test_stat(mem).largest_free) != NULL);
    uint64_t used = test_stat(mem).used_blocks;
    CHECK_REFUSED(shmheap_alloc(mem, 1000) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_many(mem, 1000, 1, ptrs) == 0, ENOMEM);
    CHECK_REFUSED(shmheap_aligned_alloc(mem, 1024, 1000) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_named(mem, "name", 1000) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_wait(mem, 1000, 1) == NULL, ETIMEDOUT);
    CHECK_EQ(test_stat(mem).used_blocks, used);
    CHECK_LE(1, shmheap_reap(mem, 0));
    CHECK(shmheap_alloc(mem, 1000) != NULL);
    CHECK_SOUND(mem);
    shmheap_destroy(relay->name, mem);
    test_unshare(relay, sizeof *relay);
}

static const struct test tests[] = {TEST(sent_and_received),
                                    TEST(wrong_handles_and_flags_are_refused),
                                    TEST(each_object_is_claimed_once),
                                    TEST(nothing_is_lost_with_the_dead),
                                    TEST(shared_and_sent_ones_stay_unless_asked_for),
                                    TEST(what_a_process_left_in_order_stays),
                                    TEST(reaped_before_an_alloc_fails),
                                    TEST(reaped_before_an_aligned_alloc_fails),
                                    TEST(without_the_flag_an_alloc_reaps_nothing)};
TEST_MAIN(tests)
