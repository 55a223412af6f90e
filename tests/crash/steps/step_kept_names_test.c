/* A process dies after each single instruction of the calls that keep and remove a name.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene.h"
#include "tests/crash/scene/scene_names.h"

static void *use_kept(struct scene *scene)
{
    void *object = shmheap_alloc_kept(scene->mem, "it", IT_LEN);
    CHECK(object != NULL);
    return object;
}

/* Kept, and without users. */
static void make_root(struct scene *scene)
{
    make_kept(scene);
    scene->ptrs[0] = use_kept(scene);
    test_fill(scene->ptrs[0], IT_LEN, MARK + 1);
    CHECK_EQ(shmheap_try_free(scene->mem, scene->ptrs[0]), 0);
}

static void make_root_in_use_by_the_dead(struct scene *scene)
{
    make_root(scene);
    for (unsigned i = 0; i <= USERS_IN_RECORD; i++)
        test_in_child(use_and_die, scene);
}

static void make_root_and_use_it(struct scene *scene)
{
    make_root(scene);
    CHECK_PTR(use(scene), scene->ptrs[0]);
}

static void alloc_kept(struct scene *scene) { use_kept(scene); }

static void keep(struct scene *scene) { CHECK_EQ(shmheap_name_keep(scene->mem, "it"), 0); }

static void remove_it(struct scene *scene) { CHECK(shmheap_name_remove(scene->mem, "it") >= 0); }

static int add_kept(const shmheap_name_info *name, void *context)
{
    if (strcmp(name->name, "it") == 0)
        *(uint64_t *)context += name->kept;
    return 0;
}

static int is_kept(const struct scene *scene)
{
    uint64_t count = 0;
    CHECK_EQ(shmheap_names(scene->mem, add_kept, &count), 0);
    CHECK_LE(count, 1);
    return count != 0;
}

/* None, or kept from its first instant; the users are dead. */
static void check_kept_or_none(struct scene *scene, unsigned stage)
{
    check_kept(scene);
    CHECK_EQ(shmheap_find(scene->mem, "it", NULL) != NULL, is_kept(scene));
    CHECK(stage <= 1);
}

static void check_kept_without_users(struct scene *scene, unsigned stage)
{
    check_kept_or_none(scene, stage);
    CHECK_EQ(users(scene), 0);
}

/* Kept or removed, whole in either case; where the survivor uses it, it is there. */
static void check_root_or_none(struct scene *scene, unsigned stage)
{
    size_t len = 0;
    check_kept(scene);
    char *it = shmheap_find(scene->mem, "it", &len);
    CHECK(it == NULL ? users(scene) == 0
                     : len == IT_LEN && it == scene->ptrs[0] && test_filled(it, IT_LEN, MARK + 1));
    CHECK(it == NULL || is_kept(scene) || users(scene) != 0);
    CHECK(stage <= 1);
}

static void remove_at_last(struct scene *scene)
{
    CHECK_EQ(shmheap_name_remove(scene->mem, "it"), 0);
    CHECK_REFUSED(shmheap_find(scene->mem, "it", NULL) == NULL, ENOENT);
    CHECK_SOUND(scene->mem);
}

static void check_root(struct scene *scene, unsigned stage)
{
    check_root_or_none(scene, stage);
    CHECK(is_kept(scene));
    CHECK_EQ(users(scene), 0);
    remove_at_last(scene);
}

static void check_root_in_use(struct scene *scene, unsigned stage)
{
    check_root_or_none(scene, stage);
    CHECK_EQ(users(scene), 1);
    CHECK_EQ(shmheap_try_free(scene->mem, scene->ptrs[0]), 0);
    if (is_kept(scene))
        remove_at_last(scene);
    check_gone(scene, stage);
    CHECK_SOUND(scene->mem);
}

static const struct scene_call calls_keep[] = {
    {.text = "alloc_kept, a new name",
     .build = make_kept,
     .operate = alloc_kept,
     .check = check_kept_or_none,
     .afterwards = check_kept_without_users,
     .loose = 1},
    {.text = "alloc_kept, of a kept name without users",
     .build = make_root,
     .operate = alloc_kept,
     .check = check_root_or_none,
     .afterwards = check_root},
    {.text = "name_keep, of a name in use",
     .build = make_it,
     .operate = keep,
     .check = check_root_or_none,
     .afterwards = check_root_in_use},
    {.text = "name_keep, of a kept name",
     .build = make_root,
     .operate = keep,
     .check = check_root_or_none,
     .afterwards = check_root},
    {.text = "free, the last use of a kept name",
     .build = make_root,
     .prepare = child_uses,
     .operate = free_named,
     .check = check_root_or_none,
     .afterwards = check_root},
    {.text = "reap, of uses of a kept name by dead processes",
     .build = make_root_in_use_by_the_dead,
     .operate = reap,
     .check = check_root_or_none,
     .afterwards = check_root},
};

static const struct scene_call calls_remove[] = {
    {.text = "name_remove, without users",
     .build = make_root,
     .operate = remove_it,
     .check = check_root_or_none},
    {.text = "name_remove, used by the survivor",
     .build = make_root_and_use_it,
     .operate = remove_it,
     .check = check_root_or_none,
     .afterwards = check_root_in_use},
    {.text = "name_remove, used by dead processes",
     .build = make_root_in_use_by_the_dead,
     .operate = remove_it,
     .check = check_root_or_none,
     .loose = 1},
};

static void keeping_at_every_instruction(void)
{
    scene_sweep(calls_keep, sizeof calls_keep / sizeof *calls_keep);
}

static void removing_at_every_instruction(void)
{
    scene_sweep(calls_remove, sizeof calls_remove / sizeof *calls_remove);
}

static const struct test tests[] = {TEST(keeping_at_every_instruction),
                                    TEST(removing_at_every_instruction)};
TEST_MAIN(tests)
