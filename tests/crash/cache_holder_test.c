/* A process is stopped right before it takes a block out of its cache, or puts one in; others run
 * out of room meanwhile. While it lives they leave its blocks alone, however long it stands there;
 * when it dies there, they get all of them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "tests/support/test.h"

enum { LEN = 256 << 10, WARM = 20, OBJECT_LEN = 100, TAKEN_MAX = 4000 };

enum step { TAKING, ADDING };

/* struct scene is shared. */
struct scene {
    const char *name;
    enum step step;
    int ready[2], go[2];
    volatile uint64_t
        offset; /* of the object that the stopped process was about to get, or to free */
};

void (*shmheap_store_hook)(void);

static struct scene *stopping;
static unsigned stops;

static void say(const int *to) { CHECK_EQ(write(to[1], "w", 1), 1); }

static void hear(const int *from)
{
    char byte;
    CHECK_EQ(read(from[0], &byte, 1), 1);
}

/* The only store to a shared header that this way of the call makes. */
static void stop_here(void)
{
    shmheap_store_hook = NULL;
    stops++;
    say(stopping->ready);
    hear(stopping->go);
}

static shmheap_memory_handle connect_warm(const struct scene *scene)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    shmheap_memory_handle mem;
    void *ptrs[WARM];
    CHECK_EQ(shmheap_open(&mem, scene->name, &options), 0);
    for (unsigned i = 0; i < WARM; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, OBJECT_LEN)) != NULL);
    for (unsigned i = 0; i < WARM; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    return mem;
}

static void stop_in_cache(void *context)
{
    stopping = context;
    shmheap_memory_handle mem = connect_warm(stopping);
    char *ptr = stopping->step == ADDING ? shmheap_alloc(mem, OBJECT_LEN) : NULL;
    CHECK_EQ(lock_owner_slot(mem.heap), 0);
    shmheap_store_hook = stop_here;
    if (stopping->step == ADDING)
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    else
        ptr = shmheap_alloc(mem, OBJECT_LEN);
    CHECK_EQ(stops, 1);
    if (stopping->step == TAKING) {
        CHECK(ptr != NULL);
        test_fill(ptr, OBJECT_LEN, 1);
        stopping->offset = test_offset(mem, ptr);
        say(stopping->ready);
        hear(stopping->go);
        CHECK(test_filled(ptr, OBJECT_LEN, 1));
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
    /* By now the other threads have everything else, so that this goes back into the heap. */
    say(stopping->ready);
    hear(stopping->go);
    shmheap_disconnect(mem);
}

static struct scene *scene_begin(enum step step, shmheap_memory_handle *mem)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->name = test_name();
    scene->step = step;
    CHECK(pipe(scene->ready) == 0 && pipe(scene->go) == 0);
    *mem = shmheap_create(scene->name, LEN);
    CHECK(shmheap_valid(*mem));
    return scene;
}

static void scene_end(struct scene *scene, shmheap_memory_handle mem)
{
    test_check_empty(mem);
    for (unsigned end = 0; end < 2; end++)
        CHECK(close(scene->ready[end]) == 0 && close(scene->go[end]) == 0);
    shmheap_destroy(scene->name, mem);
    test_unshare(scene, sizeof *scene);
}

/* The taken objects have the contents of test_take_all: no other process writes there. */
static void free_all(shmheap_memory_handle mem, void **ptrs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(test_filled(ptrs[i], 8, i));
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    }
}

static void left_alone_while_it_lives(enum step step)
{
    shmheap_memory_handle mem;
    struct scene *scene = scene_begin(step, &mem);
    void *ptrs[TAKEN_MAX];
    pid_t pid = test_fork(stop_in_cache, scene);
    hear(scene->ready);
    uint64_t cached = test_cached(mem).blocks;
    CHECK(cached > 0);
    size_t count = test_take_all(mem, ptrs, TAKEN_MAX);
    CHECK_EQ(test_cached(mem).blocks, cached);
    CHECK_EQ(test_stat(mem).free_bytes, 0);
    CHECK_SOUND(mem);
    say(scene->go);
    hear(scene->ready);
    if (step == TAKING) {
        for (size_t i = 0; i < count; i++)
            CHECK(test_offset(mem, ptrs[i]) != scene->offset);
        say(scene->go);
        hear(scene->ready);
    }
    /* It stands aside now, so that the rest of its blocks is to be had. */
    size_t more = test_take_all(mem, ptrs + count, TAKEN_MAX - count);
    CHECK(more > 0);
    CHECK_EQ(test_cached(mem).blocks, 0);
    free_all(mem, ptrs, count);
    free_all(mem, ptrs + count, more);
    say(scene->go);
    test_join(pid);
    scene_end(scene, mem);
}

static void all_taken_when_it_dies(enum step step)
{
    shmheap_memory_handle mem;
    struct scene *scene = scene_begin(step, &mem);
    void *ptrs[TAKEN_MAX];
    pid_t pid = test_fork(stop_in_cache, scene);
    hear(scene->ready);
    CHECK(test_cached(mem).blocks > 0);
    test_kill(pid);
    size_t count = test_take_all(mem, ptrs, TAKEN_MAX);
    CHECK_EQ(test_cached(mem).blocks, 0);
    CHECK_EQ(test_stat(mem).free_bytes, 0);
    CHECK_EQ(test_stat(mem).recoveries, 0);
    /* What it had not yet put into its cache is its own still, and the cache's line. */
    CHECK_LE(shmheap_reap(mem, 0), step == ADDING ? 2 : 1);
    free_all(mem, ptrs, count);
    scene_end(scene, mem);
}

static void stopped_as_it_takes_a_block(void) { left_alone_while_it_lives(TAKING); }
static void stopped_as_it_adds_a_block(void) { left_alone_while_it_lives(ADDING); }
static void killed_as_it_takes_a_block(void) { all_taken_when_it_dies(TAKING); }
static void killed_as_it_adds_a_block(void) { all_taken_when_it_dies(ADDING); }

static const struct test tests[] = {
    TEST(stopped_as_it_takes_a_block), TEST(stopped_as_it_adds_a_block),
    TEST(killed_as_it_takes_a_block), TEST(killed_as_it_adds_a_block)};
TEST_MAIN(tests)
