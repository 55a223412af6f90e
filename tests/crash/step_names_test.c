/* A process dies after each single instruction of the calls that make, use, keep, give back and remove names.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene.h"

enum {
    KEPT_LEN = 300,
    IT_LEN = 100,
    NAMES_IN_TABLE = 32,
    USERS_IN_RECORD = 4,
    LEN = 1 << 16,
    MARK = 78
};

static void make_kept(struct scene *scene)
{
    char *kept = shmheap_alloc_named(scene->mem, "kept", KEPT_LEN);
    CHECK(kept != NULL);
    test_fill(kept, KEPT_LEN, MARK);
}

static void *use(struct scene *scene)
{
    void *object = shmheap_alloc_named(scene->mem, "it", IT_LEN);
    CHECK(object != NULL);
    return object;
}

/* What build has made of it is known to all. */
static void make_it(struct scene *scene)
{
    make_kept(scene);
    scene->ptrs[0] = use(scene);
    test_fill(scene->ptrs[0], IT_LEN, MARK + 1);
}

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

/* The table lies above a hole that the child's name takes, so that the table goes there with the name's end. */
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

static void use_and_die(void *context) { use(context); }

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

static void child_uses(struct scene *scene) { scene->ptrs[1] = use(scene); }

static void child_uses_twice(struct scene *scene)
{
    child_uses(scene);
    child_uses(scene);
}

static void *use_kept(struct scene *scene)
{
    void *object = shmheap_alloc_kept(scene->mem, "it", IT_LEN);
    CHECK(object != NULL);
    return object;
}

/* Kept, and nobody uses it. */
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

static void alloc_named(struct scene *scene) { use(scene); }
static void free_named(struct scene *scene)
{
    CHECK_EQ(shmheap_try_free(scene->mem, scene->ptrs[1]), 0);
}
static void reap(struct scene *scene) { CHECK(shmheap_reap(scene->mem, 0) >= 0); }

static void check_kept(const struct scene *scene)
{
    size_t len = 0;
    char *kept = shmheap_find(scene->mem, "kept", &len);
    CHECK(kept != NULL && len == KEPT_LEN && test_filled(kept, KEPT_LEN, MARK));
}

static int add_users(const shmheap_name_info *name, void *context)
{
    if (strcmp(name->name, "it") == 0)
        *(uint64_t *)context += name->users;
    return 0;
}

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

static uint64_t users(const struct scene *scene)
{
    uint64_t count = 0;
    CHECK_EQ(shmheap_names(scene->mem, add_users, &count), 0);
    return count;
}

/* The name is there, whole, or it is not. */
static void check_name(struct scene *scene, unsigned stage)
{
    size_t len = 0;
    check_kept(scene);
    void *it = shmheap_find(scene->mem, "it", &len);
    CHECK(it == NULL ? users(scene) == 0 : len == IT_LEN && users(scene) != 0);
    CHECK(stage <= 1);
}

/* Used by nobody but the dead, it went with them. */
static void check_gone(struct scene *scene, unsigned stage)
{
    check_kept(scene);
    CHECK_REFUSED(shmheap_find(scene->mem, "it", NULL) == NULL, ENOENT);
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
    {.text = "reap, of uses of a kept name by the dead",
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
    {.text = "name_remove, used by the dead",
     .build = make_root_in_use_by_the_dead,
     .operate = remove_it,
     .check = check_root_or_none,
     .loose = 1},
};

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
    {.text = "reap, of uses by the dead",
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
static void keeping_at_every_instruction(void)
{
    scene_sweep(calls_keep, sizeof calls_keep / sizeof *calls_keep);
}
static void removing_at_every_instruction(void)
{
    scene_sweep(calls_remove, sizeof calls_remove / sizeof *calls_remove);
}

static const struct test tests[] = {
    TEST(making_and_using_at_every_instruction),
    TEST(giving_back_at_every_instruction),
    TEST(keeping_at_every_instruction),
    TEST(removing_at_every_instruction),
};
TEST_MAIN(tests)
