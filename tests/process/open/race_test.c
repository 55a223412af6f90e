/* Creates, connects and removals at the same time; threads and processes on one heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <unistd.h>

#include "tests/support/test.h"

enum {
    RACERS = 4,
    CONNECT_ROUNDS = 1000,
    EXCLUSIVE_ROUNDS = 500,
    REMOVE_ROUNDS = 1000,
    THREADS = 3,
    HAMMER_ROUNDS = 60000
};

struct race {
    const char *name;
    struct test_barrier barrier;
    unsigned next;
    unsigned winners;
    uint64_t ids[RACERS];
};

static struct race *race_begin(void)
{
    struct race *race = test_shared(sizeof *race);
    race->name = test_name();
    test_barrier_begin(&race->barrier, RACERS);
    return race;
}

static void race_run(struct race *race, void (*racer)(void *))
{
    pid_t pids[RACERS];
    for (unsigned i = 0; i < RACERS; i++)
        pids[i] = test_fork(racer, race);
    for (unsigned i = 0; i < RACERS; i++)
        test_join(pids[i]);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(race->name)), ENOENT);
    test_unshare(race, sizeof *race);
}

static unsigned race_number(struct race *race)
{
    return __atomic_fetch_add(&race->next, 1, __ATOMIC_RELAXED);
}

static void use(shmheap_memory_handle mem, unsigned self)
{
    char *ptr = shmheap_alloc(mem, 100 + self);
    CHECK(ptr != NULL);
    test_fill(ptr, 100 + self, self);
    CHECK(shmheap_handle_to_ptr(mem, shmheap_ptr_to_handle(mem, ptr)) == ptr);
    CHECK(test_filled(ptr, 100 + self, self));
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
}

/* Connects as soon as there is anything of that name. */
static shmheap_memory_handle connect_eagerly(const char *name)
{
    for (;;) {
        shmheap_memory_handle mem = shmheap_connect(name);
        if (shmheap_valid(mem))
            return mem;
        CHECK_EQ(errno, ENOENT);
        sched_yield();
    }
}

static void connect_or_create(void *context)
{
    struct race *race = context;
    unsigned self = race_number(race);
    size_t rounds = test_rounds(CONNECT_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        test_barrier_wait(&race->barrier);
        shmheap_memory_handle mem = self == round % RACERS
                                        ? shmheap_create(race->name, 4096 + 4096 * (round % 50))
                                        : connect_eagerly(race->name);
        CHECK(shmheap_valid(mem));
        use(mem, self);
        test_barrier_wait(&race->barrier);
        if (self == 0) {
            test_check_empty(mem);
            CHECK_EQ(test_stat(mem).processes, RACERS);
            CHECK_EQ(test_stat(mem).allocs, RACERS);
            CHECK_EQ(shmheap_unlink(race->name), 0);
        }
        test_barrier_wait(&race->barrier);
        shmheap_disconnect(mem);
    }
}

static void connects_race_with_the_create(void) { race_run(race_begin(), connect_or_create); }

static void create_if_missing(void *context)
{
    struct race *race = context;
    unsigned self = race_number(race);
    const shmheap_options options = {.len = 8192, .flags = SHMHEAP_CREATE};
    size_t rounds = test_rounds(EXCLUSIVE_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        shmheap_memory_handle mem;
        test_barrier_wait(&race->barrier);
        CHECK_EQ(shmheap_open(&mem, race->name, &options), 0);
        race->ids[self] = test_stat(mem).id;
        use(mem, self);
        test_barrier_wait(&race->barrier);
        CHECK_EQ(race->ids[self], race->ids[0]);
        if (self == 0)
            CHECK_EQ(shmheap_unlink(race->name), 0);
        test_barrier_wait(&race->barrier);
        shmheap_disconnect(mem);
    }
}

static void all_create_if_missing_and_get_the_same(void)
{
    race_run(race_begin(), create_if_missing);
}

static void create_exclusively(void *context)
{
    struct race *race = context;
    unsigned self = race_number(race);
    size_t rounds = test_rounds(EXCLUSIVE_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        race->winners = 0;
        test_barrier_wait(&race->barrier);
        errno = 0;
        shmheap_memory_handle mem = shmheap_create(race->name, 65536);
        if (shmheap_valid(mem)) {
            __atomic_fetch_add(&race->winners, 1, __ATOMIC_RELAXED);
            use(mem, self);
        } else {
            CHECK_EQ(errno, EEXIST);
        }
        test_barrier_wait(&race->barrier);
        CHECK_EQ(race->winners, 1);
        if (shmheap_valid(mem))
            shmheap_destroy(race->name, mem);
        test_barrier_wait(&race->barrier);
    }
}

static void exactly_one_exclusive_create_wins(void) { race_run(race_begin(), create_exclusively); }

/* No barrier: a process may remove the name at any moment of another's create or connect. */
static void create_use_remove(void *context)
{
    struct race *race = context;
    unsigned self = race_number(race);
    const shmheap_options options = {.len = 8192, .flags = SHMHEAP_CREATE};
    size_t rounds = test_rounds(REMOVE_ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        shmheap_memory_handle mem;
        CHECK_EQ(shmheap_open(&mem, race->name, &options), 0);
        use(mem, self);
        CHECK_SOUND(mem);
        if (self % 2)
            shmheap_destroy(race->name, mem);
        else
            shmheap_disconnect(mem);
    }
    test_barrier_wait(&race->barrier);
    shmheap_unlink(race->name);
}

static void removals_race_with_creates(void) { race_run(race_begin(), create_use_remove); }

/* Threads and processes on one heap that grows meanwhile. */

struct hammer {
    shmheap_memory_handle mem;
    unsigned next;
};

struct held {
    char *ptr;
    size_t len;
    uint64_t mark;
    shmheap_object_handle handle;
};

static void check_and_resize(shmheap_memory_handle mem, struct held *object,
                             struct test_random *random)
{
    size_t len = test_random_below(random, 3000);
    CHECK(test_filled(object->ptr, object->len, object->mark));
    char *ptr = shmheap_realloc(mem, object->ptr, len);
    CHECK(ptr != NULL);
    CHECK(test_filled(ptr, (len < object->len ? len : object->len) & ~(size_t)7, object->mark));
    test_fill(ptr, len, object->mark);
    *object = (struct held){ptr, len, object->mark, shmheap_ptr_to_handle(mem, ptr)};
    CHECK(object->handle.bits != 0);
}

static void check_and_free(shmheap_memory_handle mem, struct held *object)
{
    CHECK_PTR(shmheap_handle_to_ptr(mem, object->handle), object->ptr);
    CHECK(test_filled(object->ptr, object->len, object->mark));
    CHECK_EQ(shmheap_try_free(mem, object->ptr), 0);
    object->ptr = NULL;
}

static void make(shmheap_memory_handle mem, struct held *object, struct test_random *random)
{
    object->len = test_random_below(random, 600);
    object->mark = test_random_next(random);
    object->ptr = shmheap_alloc(mem, object->len);
    CHECK(object->ptr != NULL);
    test_fill(object->ptr, object->len, object->mark);
    object->handle = shmheap_ptr_to_handle(mem, object->ptr);
}

static void *hammer_thread(void *context)
{
    struct hammer *hammer = context;
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&hammer->next, 1, __ATOMIC_RELAXED) + 100);
    struct held held[64];
    memset(held, 0, sizeof held);
    size_t rounds = test_rounds(HAMMER_ROUNDS);
    for (size_t i = 0; i < rounds; i++) {
        struct held *object = &held[test_random_below(&random, 64)];
        if (!object->ptr)
            make(hammer->mem, object, &random);
        else if (test_random_below(&random, 3) == 0)
            check_and_resize(hammer->mem, object, &random);
        else
            check_and_free(hammer->mem, object);
        if (i % 4096 == 0)
            CHECK_SOUND(hammer->mem);
    }
    for (size_t i = 0; i < 64; i++)
        if (held[i].ptr)
            check_and_free(hammer->mem, &held[i]);
    return NULL;
}

static void hammer_process(void *context) { test_threads(THREADS, hammer_thread, context); }

static void threads_and_processes_on_one_heap(void)
{
    struct hammer *hammer = test_shared(sizeof *hammer);
    pid_t pids[3];
    hammer->mem = test_anonymous(4096, 4 << 20, 0);
    for (unsigned i = 0; i < 3; i++)
        pids[i] = test_fork(hammer_process, hammer);
    hammer_process(hammer);
    for (unsigned i = 0; i < 3; i++)
        test_join(pids[i]);
    test_check_empty(hammer->mem);
    CHECK(test_stat(hammer->mem).grows > 0);
    shmheap_disconnect(hammer->mem);
    test_unshare(hammer, sizeof *hammer);
}

/* Each thread has a connection of its own, to heaps that come and go. */
static void *connecting_thread(void *context)
{
    const char *name = context;
    const shmheap_options options = {.len = 65536, .flags = SHMHEAP_CREATE};
    size_t rounds = test_rounds(1000);
    for (size_t i = 0; i < rounds; i++) {
        shmheap_memory_handle mem;
        CHECK_EQ(shmheap_open(&mem, name, &options), 0);
        use(mem, (unsigned)i % 100);
        shmheap_disconnect(mem);
    }
    return NULL;
}

static void threads_connect_and_disconnect(void)
{
    const char *name = test_name();
    test_threads(4, connecting_thread, (void *)(uintptr_t)name);
    shmheap_memory_handle mem = test_connect(name);
    test_check_empty(mem);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 0);
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {
    TEST(connects_race_with_the_create),     TEST(all_create_if_missing_and_get_the_same),
    TEST(exactly_one_exclusive_create_wins), TEST(removals_race_with_creates),
    TEST(threads_and_processes_on_one_heap), TEST(threads_connect_and_disconnect)};
TEST_MAIN(tests)
