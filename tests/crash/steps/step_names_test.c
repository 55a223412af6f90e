/* A process dies after each single instruction of the calls that make, use and give back a name.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene.h"
#include "tests/crash/scene/scene_names.h"

/* As many names as the table is made for. */
static void fill_table(struct scene *scene)
{
    char text[32];
    make_kept(scene);
    for (unsigned i = 1; i < NAMES_IN_TABLE; i++) {
        snprintf(text, sizeof text, "other %u", i);
        CHECK(shmheap_alloc_named(scene->mem, text, 16) != NULL);
    }
}

/* The table lies above a hole that the child's name takes, so that the table goes there with the
 * name's end. */
static void make_hole_below(struct scene *scene)
{
    enum { HOLE = 900 };
    void *hole = shmheap_alloc(scene->mem, HOLE);
    CHECK(hole != NULL);
    make_kept(scene);
    shmheap_free(scene->mem, hole);
}

/* Names that have come and gone, but for an eighth of what the table has room for. */
static void make_sparse_table(struct scene *scene)
{
    enum { NAMES = 2 * NAMES_IN_TABLE / 2 + 2, STAY = 2 * 2 * NAMES_IN_TABLE / 8 };
    char text[32];
    void *names[NAMES];
    make_kept(scene);
    for (unsigned i = 1; i < NAMES; i++) {
        snprintf(text, sizeof text, "other %u", i);
        CHECK((names[i] = shmheap_alloc_named(scene->mem, text, 16)) != NULL);
    }
    for (unsigned i = STAY; i < NAMES; i++)
        CHECK_EQ(shmheap_try_free(scene->mem, names[i]), 0);
}

/* The survivor and as many dead as the record has room for beside it. */
static void fill_record(struct scene *scene)
{
    make_it(scene);
    for (unsigned i = 1; i < USERS_IN_RECORD; i++)
        test_in_child(use_and_die, scene);
}

static void one_user_too_many(struct scene *scene)
{
    fill_record(scene);
    test_in_child(use_and_die, scene);
}

static void child_uses_twice(struct scene *scene)
{
    child_uses(scene);
    child_uses(scene);
}

static void alloc_named(struct scene *scene) { use(scene); }

/* The name is there, whole, or it is not. */
static void check_name(struct scene *scene, unsigned stage)
{
    size_t len = 0;
    check_kept(scene);
    void *it = shmheap_find(scene->mem, "it", &len);
    CHECK(it == NULL ? users(scene) == 0 : len == IT_LEN && users(scene) != 0);
    CHECK(stage <= 1);
}

/* The survivor has its one use left, and gives it back. */
static void check_only_ours(struct scene *scene, unsigned stage)
{
    check_kept(scene);
    CHECK_PTR(shmheap_find(scene->mem, "it", NULL), scene->ptrs[0]);
    CHECK(test_filled(scene->ptrs[0], IT_LEN, MARK + 1));
    CHECK_EQ(users(scene), 1);
    CHECK_EQ(shmheap_try_free(scene->mem, scene->ptrs[0]), 0);
    check_gone(scene, stage);
    CHECK_SOUND(scene->mem);
}

static const struct scene_call calls_alloc[] = {
    {.text = "alloc_named, a new name",
     .build = make_kept,
     .operate = alloc_named,
     .check = check_name,
     .afterwards = check_gone,
     .loose = 1},
    {.text = "alloc_named, a new name and a larger table",
     .build = fill_table,
     .operate = alloc_named,
     .check = check_name,
     .afterwards = check_gone,
     .loose = 1,
     .table_moves = 1,
     .len = LEN},
    {.text = "alloc_named, of another's name",
     .build = make_it,
     .operate = alloc_named,
     .check = check_name,
     .afterwards = check_only_ours},
    {.text = "alloc_named, once more",
     .build = make_kept,
     .prepare = child_uses,
     .operate = alloc_named,
     .check = check_name,
     .afterwards = check_gone},
    {.text = "alloc_named, the fifth user",
     .build = fill_record,
     .operate = alloc_named,
     .check = check_name,
     .afterwards = check_only_ours,
     .loose = 1},
};

static const struct scene_call calls_free[] = {
    {.text = "free of a name, one use of two",
     .build = make_kept,
     .prepare = child_uses_twice,
     .operate = free_named,
     .check = check_name,
     .afterwards = check_gone},
    {.text = "free of a name, another uses it too",
     .build = make_it,
     .prepare = child_uses,
     .operate = free_named,
     .check = check_name,
     .afterwards = check_only_ours},
    {.text = "free of a name, the last use",
     .build = make_kept,
     .prepare = child_uses,
     .operate = free_named,
     .check = check_name,
     .afterwards = check_gone},
    {.text = "free of a name, the table moves down",
     .build = make_hole_below,
     .prepare = child_uses,
     .operate = free_named,
     .check = check_name,
     .afterwards = check_gone,
     .loose = 1,
     .table_moves = 1},
    {.text = "free of a name, the table becomes smaller",
     .build = make_sparse_table,
     .prepare = child_uses,
     .operate = free_named,
     .check = check_name,
     .afterwards = check_gone,
     .loose = 1,
     .table_moves = 1,
     .len = LEN},
    {.text = "free of a name, by the fifth user",
     .build = fill_record,
     .prepare = child_uses,
     .operate = free_named,
     .check = check_name,
     .afterwards = check_only_ours},
    {.text = "reap, of uses by dead processes",
     .build = one_user_too_many,
     .operate = reap,
     .check = check_name,
     .afterwards = check_only_ours},
};

static void making_and_using_at_every_instruction(void)
{
    scene_sweep(calls_alloc, sizeof calls_alloc / sizeof *calls_alloc);
}

static void giving_back_at_every_instruction(void)
{
    scene_sweep(calls_free, sizeof calls_free / sizeof *calls_free);
}

static const struct test tests[] = {TEST(making_and_using_at_every_instruction),
                                    TEST(giving_back_at_every_instruction)};
TEST_MAIN(tests)
