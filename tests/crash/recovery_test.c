/* Heaps after a death inside the lock: every block is as it was. One heap has a million blocks. One
 * is sparse, and gets no memory for the index of what it does not use.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "c/src/process/lock.h"
#include "tests/crash/scene/stepper.h"
#include "tests/support/test.h"

enum { BLOCKS = 1000000, INSTRUCTIONS_MAX = 200000 };

struct scene {
    struct stepper stepper;
    shmheap_memory_handle mem;
};

static void warm_up(void *context)
{
    struct scene *scene = context;
    CHECK(test_own_slot(scene->mem) != 0);
}

/* Of a size that no block but the top block has. */
static void alloc_large(void *context)
{
    struct scene *scene = context;
    CHECK(shmheap_alloc(scene->mem, 100000) != NULL);
}

/* Objects of 0 to 100 bytes, then every third freed, which merges none. */
static void fill_heap(shmheap_memory_handle mem, size_t count)
{
    struct test_random random = test_random_begin(1);
    void **objects = calloc(count, sizeof *objects);
    CHECK(objects != NULL);
    for (size_t i = 0; i < count; i++) {
        objects[i] = shmheap_alloc(mem, test_random_below(&random, 100));
        CHECK(objects[i] != NULL);
    }
    for (size_t i = 0; i < count; i += 3)
        CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
    free(objects);
}

static void die_inside(struct scene *scene)
{
    unsigned steps = 0;
    pid_t pid = stepper_begin(&scene->stepper);
    while (lock_owner_slot(scene->mem.heap) == 0) {
        CHECK(stepper_step(pid, &scene->stepper));
        CHECK(++steps < INSTRUCTIONS_MAX);
    }
    stepper_kill(&scene->stepper, pid);
}

/* States, owners and generations too, not only places. */
static void check_same(const struct test_blocks *before, const struct test_blocks *after)
{
    CHECK_EQ(after->count, before->count);
    for (size_t i = 0; i < before->count; i++) {
        const shmheap_block_info *a = &before->blocks[i], *b = &after->blocks[i];
        CHECK(a->offset == b->offset && a->size == b->size && a->state == b->state &&
              a->slot == b->slot && a->generation == b->generation);
    }
}

static struct scene *scene_begin(shmheap_memory_handle mem)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = mem;
    scene->stepper = (struct stepper){.prepare = warm_up, .operate = alloc_large, .context = scene};
    return scene;
}

static void scene_end(struct scene *scene)
{
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

/* A process dies inside; the next call recovers. Returns the number of blocks. */
static size_t check_recovers(struct scene *scene)
{
    struct test_blocks before = test_blocks_take(scene->mem);
    die_inside(scene);
    struct test_blocks after = test_blocks_take(scene->mem);
    size_t count = after.count;
    CHECK_EQ(test_stat(scene->mem).recoveries, 1);
    check_same(&before, &after);
    test_blocks_drop(&before);
    test_blocks_drop(&after);
    return count;
}

static void check_recovery(size_t granule)
{
    size_t blocks = test_rounds(BLOCKS);
    struct scene *scene = scene_begin(test_anonymous((size_t)blocks * 128, 0, granule));
    fill_heap(scene->mem, blocks);
    CHECK_SOUND(scene->mem);
    shmheap_stats stats_before = test_stat(scene->mem);
    size_t count = check_recovers(scene);
    shmheap_stats stats = test_stat(scene->mem);
    CHECK_LE(blocks, count);
    CHECK_SOUND(scene->mem);
    CHECK_EQ(stats.used_bytes, stats_before.used_bytes);
    CHECK_EQ(stats.used_blocks, stats_before.used_blocks);
    CHECK_EQ(stats.free_blocks, stats_before.free_blocks);
    CHECK_EQ(stats.largest_free, stats_before.largest_free);
    printf("  alignment %zu, %zu blocks: recovered in %.1f ms\n", granule, count,
           (double)stats.last_recovery_ns / 1e6);
    scene_end(scene);
}

static void of_a_million_blocks(void)
{
    check_recovery(16);
    check_recovery(8);
}

static uint64_t memory_of(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

/* Blocks at the begin, around a large object that nothing is written to, and behind it. Their
 * index alone has 28 MiB. */
static void check_sparse(size_t granule)
{
    struct scene *scene =
        scene_begin(test_anonymous_with((size_t)1 << 30, granule, SHMHEAP_SPARSE));
    fill_heap(scene->mem, 1000);
    CHECK(shmheap_alloc(scene->mem, (size_t)600 << 20) != NULL);
    fill_heap(scene->mem, 1000);
    uint64_t memory = memory_of(scene->mem);
    CHECK_SOUND(scene->mem);
    CHECK_EQ(memory_of(scene->mem), memory);
    check_recovers(scene);
    CHECK_LE(memory_of(scene->mem), memory + (64 << 10)); /* the call that died took some, too */
    memory = memory_of(scene->mem);
    CHECK_SOUND(scene->mem);
    CHECK_EQ(memory_of(scene->mem), memory);
    scene_end(scene);
}

static void of_a_sparse_heap(void)
{
    check_sparse(16);
    check_sparse(8);
}

static const struct test tests[] = {TEST(of_a_million_blocks), TEST(of_a_sparse_heap)};
TEST_MAIN(tests)
