/* A child of a process with full caches leaves them to its parent; exec gives them back.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/process/cache/cached_scene.h"
#include "tests/support/test.h"

/* fork with full caches: what lies in the parent's caches is the parent's. */
static void alloc_many_in(struct scene *scene, unsigned who, char **ptrs)
{
    for (unsigned i = 0; i < SHARED_MAX; i++) {
        ptrs[i] = shmheap_alloc(scene->mem, i % 400);
        CHECK(ptrs[i] != NULL);
        test_fill(ptrs[i], i % 400, (uint64_t)who << 32 | i);
        scene->offsets[who][i] = test_offset(scene->mem, ptrs[i]);
    }
}

static void check_and_free(struct scene *scene, unsigned who, char **ptrs)
{
    for (unsigned i = 0; i < SHARED_MAX; i++) {
        CHECK(test_filled(ptrs[i], i % 400, (uint64_t)who << 32 | i));
        CHECK_EQ(shmheap_try_free(scene->mem, ptrs[i]), 0);
    }
}

static void child_of_full_caches(void *context)
{
    struct scene *scene = context;
    static char *ptrs[SHARED_MAX];
    alloc_many_in(scene, 1, ptrs);
    CHECK(test_own_slot(scene->mem) != scene->slot);
    say(scene->ready);
    hear(scene->go);
    check_and_free(scene, 1, ptrs);
    shmheap_disconnect(scene->mem);
}

static int order_of(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void check_disjoint(struct scene *scene)
{
    uint64_t *all = scene->offsets[0];
    qsort(all, 2 * SHARED_MAX, sizeof *all, order_of);
    for (size_t i = 1; i < 2 * SHARED_MAX; i++)
        CHECK(all[i] != all[i - 1]);
}

static void a_child_of_full_caches(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        struct scene *scene = scene_begin(alignment);
        static char *ptrs[SHARED_MAX];
        scene->slot = test_own_slot(scene->mem);
        fill_caches(scene->mem, 9);
        CHECK(test_cached(scene->looker).blocks > 0);
        pid_t pid = test_fork(child_of_full_caches, scene);
        alloc_many_in(scene, 0, ptrs);
        hear(scene->ready);
        check_disjoint(scene);
        CHECK_SOUND(scene->looker);
        check_and_free(scene, 0, ptrs);
        say(scene->go);
        test_join(pid);
        CHECK_EQ(test_own_slot(scene->mem), scene->slot);
        scene_end(scene);
    }
}

/* A child that ends without a change gives nothing of the parent's caches back. */
static void child_that_disconnects(void *context)
{
    struct scene *scene = context;
    shmheap_disconnect(scene->mem);
}

static void child_that_exits(void *context) { (void)context; }

static void children_that_only_end(void)
{
    struct scene *scene = scene_begin(0);
    fill_caches(scene->mem, 10);
    uint64_t before = test_cached(scene->looker).blocks;
    test_in_child(child_that_disconnects, scene);
    test_in_child(child_that_exits, scene);
    CHECK_EQ(test_cached(scene->looker).blocks, before);
    static char *ptrs[SHARED_MAX];
    alloc_many_in(scene, 0, ptrs);
    check_and_free(scene, 0, ptrs);
    CHECK_SOUND(scene->looker);
    scene_end(scene);
}

/* exec ends the connection without a word. */
static void fill_and_exec(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = connect_cached(scene->name);
    fill_caches(mem, 12);
    CHECK(test_cached(scene->looker).blocks > 0);
    execl("/bin/true", "true", (char *)NULL);
    CHECK(0);
}

static void exec_with_full_caches(void)
{
    struct scene *scene = scene_begin(0);
    test_in_child(fill_and_exec, scene);
    CHECK_LE(1, shmheap_reap(scene->looker, 0));
    test_check_empty(scene->looker);
    scene_end(scene);
}

static const struct test tests[] = {TEST(a_child_of_full_caches), TEST(children_that_only_end),
                                    TEST(exec_with_full_caches)};
TEST_MAIN(tests)
