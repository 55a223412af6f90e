/* A process dies after each single instruction of shmheap_copy: there is no copy, or a whole one,
 * and the heap is as before.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/scene/scene.h"

enum { KEPT_LEN = 300, MARK = 5 };

static char path[64]; /* in shared memory, where files without a name can be made */

static void make_kept(struct scene *scene)
{
    void *kept = shmheap_alloc_kept(scene->mem, "kept", KEPT_LEN);
    CHECK(kept != NULL);
    test_fill(kept, KEPT_LEN, MARK);
}

/* The child before may have finished its copy. */
static void take_slot_and_unlink(struct scene *scene)
{
    void *ptr = shmheap_alloc(scene->mem, 10);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(scene->mem, ptr), 0);
    CHECK(unlink(path) == 0 || errno == ENOENT);
}

static void copy(struct scene *scene) { CHECK_EQ(shmheap_copy(scene->mem, path), 0); }

static void check_kept(shmheap_memory_handle mem)
{
    size_t len = 0;
    void *kept = shmheap_find(mem, "kept", &len);
    CHECK(kept != NULL && len == KEPT_LEN && test_filled(kept, KEPT_LEN, MARK));
}

static void check_copy(struct scene *scene, unsigned stage)
{
    shmheap_memory_handle mem;
    const shmheap_options options = {.flags = SHMHEAP_FILE};
    struct stat status;
    check_kept(scene->mem);
    CHECK(stage <= 1);
    if (lstat(path, &status) != 0)
        return;
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    CHECK_SOUND(mem);
    check_kept(mem);
    shmheap_destroy(path, mem);
}

static void check_again(struct scene *scene, unsigned stage)
{
    CHECK(unlink(path) == 0 || errno == ENOENT);
    copy(scene);
    check_copy(scene, stage);
}

static const struct scene_call calls[] = {
    {.text = "copy",
     .build = make_kept,
     .prepare = take_slot_and_unlink,
     .operate = copy,
     .check = check_copy,
     .afterwards = check_again,
     .len = 6144},
};

static void copying_at_every_instruction(void)
{
    snprintf(path, sizeof path, "%s", test_shm_path(test_name()));
    scene_sweep(calls, sizeof calls / sizeof *calls);
}

static const struct test tests[] = {TEST(copying_at_every_instruction)};
TEST_MAIN(tests)
