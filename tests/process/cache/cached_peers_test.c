/* Processes with caches: another process that runs out of room gets their blocks, also those of a
 * process that sleeps or died.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <unistd.h>

#include "tests/process/cache/cached_scene.h"
#include "tests/support/test.h"

struct object {
    char *ptr;
    size_t len;
    uint64_t mark;
};

static void replace(shmheap_memory_handle mem, struct object *object, struct test_random *random,
                    int may_fail)
{
    CHECK(object->ptr == NULL || test_filled(object->ptr, object->len, object->mark));
    CHECK_EQ(shmheap_try_free(mem, object->ptr), 0);
    object->len = choose_len(random);
    object->mark = test_random_next(random);
    object->ptr = shmheap_alloc(mem, object->len);
    CHECK(object->ptr != NULL || (may_fail && errno == ENOMEM));
    if (object->ptr != NULL)
        test_fill(object->ptr, object->len, object->mark);
}

static void drop_all(shmheap_memory_handle mem, struct object *objects, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        CHECK(objects[i].ptr == NULL ||
              test_filled(objects[i].ptr, objects[i].len, objects[i].mark));
        CHECK_EQ(shmheap_try_free(mem, objects[i].ptr), 0);
    }
}

/* Fills its caches, then sleeps in a read while another takes all there is, then goes on. */
static void sleep_on_full_caches(void *context)
{
    struct scene *scene = context;
    struct test_random random = test_random_begin(1);
    struct object held[HELD] = {{NULL, 0, 0}};
    shmheap_memory_handle mem = connect_cached(scene->name);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        fill_caches(mem, turn);
        say(scene->ready);
        hear(scene->go);
        for (unsigned i = 0; i < 2000; i++)
            replace(mem, &held[test_random_below(&random, HELD)], &random, 0);
        drop_all(mem, held, HELD);
        memset(held, 0, sizeof held);
    }
    shmheap_disconnect(mem);
}

static void caches_of_a_sleeper_are_given_back(void)
{
    struct scene *scene = scene_begin(0);
    pid_t pid = test_fork(sleep_on_full_caches, scene);
    uint64_t found = 0;
    for (unsigned turn = 0; turn < TURNS; turn++) {
        hear(scene->ready);
        found += test_cached(scene->looker).blocks;
        /* From a connection with caches of its own, and from one without. */
        shmheap_memory_handle mem = turn % 2 ? scene->mem : scene->looker;
        void *all[2000];
        size_t count = test_take_all(mem, all, 2000);
        CHECK_EQ(test_cached(scene->looker).blocks, 0);
        CHECK_EQ(test_stat(scene->looker).free_bytes, 0);
        for (size_t i = 0; i < count; i++)
            CHECK_EQ(shmheap_try_free(mem, all[i]), 0);
        CHECK_SOUND(scene->looker);
        say(scene->go);
    }
    CHECK(found > 0);
    test_join(pid);
    scene_end(scene);
}

/* A full process gets the caches of a process that never rests, which does not notice. */
static void never_rest(void *context)
{
    struct scene *scene = context;
    struct test_random random = test_random_begin(2);
    struct object held[HELD] = {{NULL, 0, 0}};
    shmheap_memory_handle mem = connect_cached(scene->name);
    say(scene->ready);
    while (!scene->stop) {
        replace(mem, &held[test_random_below(&random, HELD)], &random, 1);
        __atomic_fetch_add(&scene->steps, 1, __ATOMIC_RELAXED);
    }
    drop_all(mem, held, HELD);
    shmheap_disconnect(mem);
}

static void caches_of_one_at_work_are_given_back(void)
{
    struct scene *scene = scene_begin(8);
    pid_t pids[2] = {test_fork(never_rest, scene), test_fork(never_rest, scene)};
    size_t turns = test_rounds(500), refusals = 0;
    hear(scene->ready);
    hear(scene->ready);
    for (size_t turn = 0; turn < turns; turn++) {
        char *large[400];
        unsigned count = 0;
        uint64_t until = __atomic_load_n(&scene->steps, __ATOMIC_RELAXED) + 200;
        while (__atomic_load_n(&scene->steps, __ATOMIC_RELAXED) < until)
            sched_yield();
        while (count < 400 && (large[count] = shmheap_alloc(scene->looker, 15000)) != NULL)
            test_fill(large[count++], 15000, turn);
        refusals += count < 400;
        for (unsigned i = 0; i < count; i++) {
            CHECK(test_filled(large[i], 15000, turn));
            CHECK_EQ(shmheap_try_free(scene->looker, large[i]), 0);
        }
    }
    scene->stop = 1;
    test_join(pids[0]);
    test_join(pids[1]);
    CHECK(refusals > 0);
    printf("  %zu times all memory was taken, %llu steps of others meanwhile\n", refusals,
           (unsigned long long)scene->steps);
    scene_end(scene);
}

/* Killed while its caches are full, and while it works: reaping gives all of it back, cached blocks
 * too. */
static void fill_and_be_killed(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = connect_cached(scene->name);
    fill_caches(mem, 11);
    for (unsigned i = 0; i < 50; i++)
        CHECK(shmheap_alloc(mem, 100) != NULL);
    say(scene->ready);
    for (;;)
        pause();
}

static void killed_with_full_caches(void)
{
    struct scene *scene = scene_begin(0);
    for (unsigned death = 0; death < 5; death++) {
        pid_t pid = test_fork(fill_and_be_killed, scene);
        hear(scene->ready);
        uint64_t cached = test_cached(scene->looker).blocks;
        CHECK(cached > 0);
        CHECK_EQ(shmheap_reap(scene->looker, SHMHEAP_REAP_SHARED), 0);
        CHECK_EQ(test_cached(scene->looker).blocks, cached);
        test_kill(pid);
        long reaped = shmheap_reap(scene->looker, 0);
        CHECK_LE(50, reaped);
        CHECK_EQ(test_cached(scene->looker).blocks, 0);
        CHECK_EQ(test_stat(scene->looker).dead, 0);
        test_check_empty(scene->looker);
    }
    scene_end(scene);
}

/* A process that runs out of room gets the cached blocks of a dead process, whether a process reaps
 * or not. */
static void a_dead_ones_caches_are_no_loss(void)
{
    struct scene *scene = scene_begin(0);
    pid_t pid = test_fork(fill_and_be_killed, scene);
    hear(scene->ready);
    test_kill(pid);
    CHECK(test_cached(scene->looker).blocks > 0);
    void *large;
    uint64_t bytes = 0;
    while ((large = shmheap_alloc(scene->looker, 8)) != NULL)
        bytes += 16;
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(test_cached(scene->looker).blocks, 0);
    CHECK_EQ(test_stat(scene->looker).free_bytes, 0);
    shmheap_destroy(scene->name, scene->looker);
    shmheap_disconnect(scene->mem);
    CHECK(bytes > 0);
    test_unshare(scene, sizeof *scene);
}

/* Objects travel by handles, and are freed where they arrive: into caches of another than they came
 * from. */
static uint64_t *random_box(struct scene *scene, struct test_random *random)
{
    return &scene->line[test_random_below(random, LINE)];
}

static void pass_on(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = connect_cached(scene->name);
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&scene->steps, 1, __ATOMIC_RELAXED));
    size_t rounds = test_rounds(ROUNDS);
    for (size_t i = 0; i < rounds; i++) {
        uint64_t head[2] = {choose_len(&random), test_random_next(&random)};
        char *ptr = shmheap_alloc(mem, sizeof head + head[0]);
        CHECK(ptr != NULL);
        memcpy(ptr, head, sizeof head);
        test_fill(ptr + sizeof head, head[0], head[1]);
        uint64_t bits = (i % 2 ? shmheap_send(mem, ptr) : shmheap_ptr_to_handle(mem, ptr)).bits;
        CHECK(bits != 0);
        bits = __atomic_exchange_n(random_box(scene, &random), bits, __ATOMIC_ACQ_REL);
        if (bits == 0)
            continue;
        const shmheap_object_handle handle = {bits};
        ptr = shmheap_receive(mem, handle);
        if (ptr == NULL)
            ptr = shmheap_handle_to_ptr(mem, handle);
        CHECK(ptr != NULL);
        memcpy(head, ptr, sizeof head);
        CHECK(test_filled(ptr + sizeof head, head[0], head[1]));
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
        CHECK_REFUSED(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE);
    }
    shmheap_disconnect(mem);
}

static void freed_by_another_than_allocated(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        struct scene *scene = scene_begin(alignment);
        pid_t pids[3];
        for (unsigned i = 0; i < 3; i++)
            pids[i] = test_fork(pass_on, scene);
        for (unsigned i = 0; i < 3; i++)
            test_join(pids[i]);
        CHECK_EQ(test_cached(scene->looker).blocks, 0);
        for (unsigned i = 0; i < LINE; i++) {
            const shmheap_object_handle handle = {scene->line[i]};
            void *ptr = handle.bits != 0 ? shmheap_receive(scene->looker, handle) : NULL;
            if (ptr == NULL && handle.bits != 0)
                ptr = shmheap_handle_to_ptr(scene->looker, handle);
            CHECK_EQ(shmheap_try_free(scene->looker, ptr), 0);
        }
        scene_end(scene);
    }
}

static const struct test tests[] = {
    TEST(caches_of_a_sleeper_are_given_back), TEST(caches_of_one_at_work_are_given_back),
    TEST(killed_with_full_caches), TEST(a_dead_ones_caches_are_no_loss),
    TEST(freed_by_another_than_allocated)};
TEST_MAIN(tests)
