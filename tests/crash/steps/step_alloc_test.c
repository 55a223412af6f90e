/* A process dies after each single instruction of the calls that allocate.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene.h"

enum { MANY = 20, MANY_LEN = 24 };

static void part(struct scene *scene) { shmheap_alloc(scene->mem, 50); }
static void whole(struct scene *scene) { shmheap_alloc(scene->mem, SCENE_OBJECT_LEN); }
static void top(struct scene *scene) { shmheap_alloc(scene->mem, 1000); }
static void growing(struct scene *scene) { shmheap_alloc(scene->mem, 20000); }
static void aligned_in_hole(struct scene *scene) { shmheap_aligned_alloc(scene->mem, 64, 100); }
static void aligned_in_top(struct scene *scene) { shmheap_aligned_alloc(scene->mem, 512, 300); }
static void aligned_at_front(struct scene *scene) { shmheap_aligned_alloc(scene->mem, 32, 100); }

/* Object 1 and the top block begin at 224 and 2304. */
static void check_gap(struct scene *scene, unsigned stage)
{
    CHECK_EQ(test_offset(scene->mem, scene->objects[1]), 224);
    CHECK(stage <= 1);
}
static void zeroed(struct scene *scene) { shmheap_calloc(scene->mem, 10, 9); }
static void too_large(struct scene *scene) { shmheap_alloc(scene->mem, SCENE_MAX_LEN); }

static const struct scene_call calls[] = {
    {.text = "alloc, part of a free block", .operate = part},
    {.text = "alloc, a whole free block", .operate = whole},
    {.text = "alloc, from the top block", .operate = top},
    {.text = "alloc, with growth", .operate = growing},
    {.text = "alloc, of too much", .operate = too_large},
    {.text = "aligned_alloc, amid a free block", .operate = aligned_in_hole, .check = check_gap},
    {.text = "aligned_alloc, amid the top block", .operate = aligned_in_top, .check = check_gap},
    {.text = "aligned_alloc, at the front", .operate = aligned_at_front, .check = check_gap},
    {.text = "calloc", .operate = zeroed},
};

static void alloc_at_every_instruction(void)
{
    scene_sweep_both(calls, sizeof calls / sizeof *calls);
}

/* Some of them, in the order of their places: each number of them is a stage. */
static void many(struct scene *scene)
{
    shmheap_alloc_many(scene->mem, MANY_LEN, scene->stage, scene->ptrs);
}

static const struct scene_call calls_many[] = {
    {.text = "alloc_many, 20 from three free blocks", .operate = many, .stages = MANY}};

static void alloc_many_at_every_instruction(void) { scene_sweep_both(calls_many, 1); }

static void alloc_gathering(struct scene *scene) { shmheap_alloc(scene->mem, SCENE_LIST_LEN); }

/* So few free blocks are left in size bins that they move back into the list. */
static const struct scene_call calls_gather[] = {
    {.text = "alloc, free blocks go back into the list",
     .build = scene_build_last_in_bins,
     .operate = alloc_gathering,
     .len = SCENE_LIST_HEAP}};

static void gather_at_every_instruction(void) { scene_sweep(calls_gather, 1); }

static const struct test tests[] = {TEST(alloc_at_every_instruction),
                                    TEST(alloc_many_at_every_instruction),
                                    TEST(gather_at_every_instruction)};
TEST_MAIN(tests)
