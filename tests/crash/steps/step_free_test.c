/* A process dies after each single instruction of the calls that free and resize.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/segment/connection.h"
#include "tests/crash/scene/scene.h"

/* A thread waits, for what the free gives; as far as the heap knows, since it has died. */
static void build_wait(struct scene *scene)
{
    connection_hints(scene->mem.heap)->wait_least[0] = 2;
    scene->mem.heap->control->wait_sleepers = 1;
}

static void free_of(struct scene *scene, unsigned object)
{
    shmheap_free(scene->mem, scene->objects[object]);
}
static void free_merging_nothing(struct scene *scene) { free_of(scene, 5); }
static void free_merging_before(struct scene *scene) { free_of(scene, 4); }
static void free_merging_behind(struct scene *scene) { free_of(scene, 0); }
static void free_merging_both(struct scene *scene) { free_of(scene, 2); }
static void free_merging_top(struct scene *scene) { free_of(scene, 10); }
static void free_twice(struct scene *scene) { free_of(scene, 3); }

/* Neighbours are freed by one store for each run: 4 to 6, then 10, then 0. */
static void free_many(struct scene *scene)
{
    static const unsigned objects[] = {4, 5, 6, 10, 0};
    void *ptrs[5];
    for (unsigned i = 0; i < 5; i++)
        ptrs[i] = scene->objects[objects[i]];
    shmheap_free_many(scene->mem, ptrs, scene_whole(scene) ? 5 : scene->stage == 2 ? 4 : 3);
}

static const struct scene_call calls_free[] = {
    {.text = "free, merging with nothing", .operate = free_merging_nothing, .touched = 1u << 5},
    {.text = "free, merging before", .operate = free_merging_before, .touched = 1u << 4},
    {.text = "free, merging behind", .operate = free_merging_behind, .touched = 1u << 0},
    {.text = "free, merging on both sides", .operate = free_merging_both, .touched = 1u << 2},
    {.text = "free, merging before and with the top block",
     .operate = free_merging_top,
     .touched = 1u << 10},
    {.text = "free, for a thread that waits",
     .build = build_wait,
     .operate = free_merging_both,
     .touched = 1u << 2},
    {.text = "free, of what is free", .operate = free_twice},
    {.text = "free_many, 5 in three runs",
     .operate = free_many,
     .touched = 1u << 0 | 7u << 4 | 1u << 10,
     .stages = 3},
};

static void free_at_every_instruction(void)
{
    scene_sweep_both(calls_free, sizeof calls_free / sizeof *calls_free);
}

static void resize(struct scene *scene, size_t len)
{
    shmheap_realloc(scene->mem, scene->objects[2], len);
}
static void shrink(struct scene *scene) { resize(scene, 60); }
static void grow_in_place(struct scene *scene) { resize(scene, 300); }
static void take_all_behind(struct scene *scene) { resize(scene, 2 * SCENE_OBJECT_LEN + 8); }

/* In between both are there. */
static void move(struct scene *scene)
{
    if (scene_whole(scene))
        resize(scene, 1000);
    else
        CHECK(shmheap_alloc(scene->mem, 1000) != NULL);
}

static const struct scene_call calls_realloc[] = {
    {.text = "realloc, shorter", .operate = shrink, .touched = 1u << 2},
    {.text = "realloc, longer in place", .operate = grow_in_place, .touched = 1u << 2},
    {.text = "realloc, over all of the free block behind",
     .operate = take_all_behind,
     .touched = 1u << 2},
    {.text = "realloc, moving", .operate = move, .touched = 1u << 2, .stages = 2},
};

static void realloc_at_every_instruction(void)
{
    scene_sweep_both(calls_realloc, sizeof calls_realloc / sizeof *calls_realloc);
}

static void free_one_more(struct scene *scene)
{
    shmheap_free(scene->mem, scene->ptrs[scene->count]);
}

/* One more than the list has room for; so few that they go back into it. */
static const struct scene_call calls_forms[] = {
    {.text = "free, of one more than the list has room for",
     .build = scene_build_full_list,
     .operate = free_one_more,
     .len = SCENE_LIST_HEAP},
    {.text = "free, free blocks go back into the list",
     .build = scene_build_last_in_bins,
     .operate = free_merging_both,
     .touched = 1u << 2,
     .len = SCENE_LIST_HEAP}};

static void other_form_at_every_instruction(void)
{
    scene_sweep(calls_forms, sizeof calls_forms / sizeof *calls_forms);
}

static const struct test tests[] = {TEST(free_at_every_instruction),
                                    TEST(realloc_at_every_instruction),
                                    TEST(other_form_at_every_instruction)};
TEST_MAIN(tests)
