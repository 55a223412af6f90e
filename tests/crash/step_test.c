/* A process dies after each single instruction of an operation in turn: the heap is as before or as after it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/stepper.h"
#include "tests/support/test.h"

enum { LEN = 16384, MAX_LEN = 65536, OBJECTS = 7, OBJECT_LEN = 200, INSTRUCTIONS_MAX = 200000 };

/* struct scene is shared: a small heap in which objects 1, 3 and 5 of 7 are free, and what is done to it. */
struct scene {
    struct stepper stepper;
    shmheap_memory_handle mem;
    char *objects[OBJECTS];
    int victim;     /* which object the operation frees or resizes, -1: none */
    int recoveries; /* how many deaths were inside the lock */
};

static void scene_build(struct scene *scene)
{
    scene->mem = test_anonymous(LEN, MAX_LEN, 0);
    for (size_t i = 0; i < OBJECTS; i++) {
        scene->objects[i] = shmheap_alloc(scene->mem, OBJECT_LEN);
        CHECK(scene->objects[i] != NULL);
        test_fill(scene->objects[i], OBJECT_LEN, i);
    }
    for (size_t i = 1; i < OBJECTS; i += 2)
        shmheap_free(scene->mem, scene->objects[i]);
}

/* A change to and fro, so that the stepped part has nothing to do but the operation: slot, thread id, page faults. */
static void warm_up(void *context)
{
    struct scene *scene = context;
    void *ptr = shmheap_alloc(scene->mem, 2000);
    CHECK(ptr != NULL);
    shmheap_free(scene->mem, ptr);
}

static void op_alloc_part(void *context) { shmheap_alloc(((struct scene *)context)->mem, 50); }
static void op_alloc_whole(void *context) { shmheap_alloc(((struct scene *)context)->mem, OBJECT_LEN); }
static void op_alloc_tail(void *context) { shmheap_alloc(((struct scene *)context)->mem, 1000); }
static void op_alloc_aligned(void *context) { shmheap_aligned_alloc(((struct scene *)context)->mem, 128, 300); }
static void op_alloc_growing(void *context) { shmheap_alloc(((struct scene *)context)->mem, 20000); }
static void op_calloc(void *context) { shmheap_calloc(((struct scene *)context)->mem, 10, 9); }

static void op_free(void *context)
{
    struct scene *scene = context;
    shmheap_free(scene->mem, scene->objects[scene->victim]);
}

static void op_resize(void *context, size_t len)
{
    struct scene *scene = context;
    shmheap_realloc(scene->mem, scene->objects[scene->victim], len);
}

static void op_shrink(void *context) { op_resize(context, 60); }
static void op_grow_in_place(void *context) { op_resize(context, 300); }
static void op_take_all_behind(void *context) { op_resize(context, 2 * OBJECT_LEN + 8); }
static void op_move(void *context) { op_resize(context, 1000); }

static void op_share(void *context)
{
    struct scene *scene = context;
    shmheap_ptr_to_handle(scene->mem, scene->objects[scene->victim]);
}

/* Everything but the victim has its bytes. */
static void check_others(const struct scene *scene)
{
    for (int i = 0; i < OBJECTS; i += 2)
        if (i != scene->victim)
            CHECK(test_filled(scene->objects[i], OBJECT_LEN, (uint64_t)i));
}

/* Who died left an object that nobody knows: at most the one block that is new, of the size that was asked for.
 * After a move, both the old and the new object may be there. */
static int is_both(const struct test_blocks *before, const struct test_blocks *after, const struct test_blocks *now)
{
    for (size_t i = 0; i < now->count; i++) {
        int used_before = 0, used_after = 0;
        for (size_t k = 0; k < before->count; k++)
            used_before |= before->blocks[k].offset == now->blocks[i].offset && before->blocks[k].state != 0;
        for (size_t k = 0; k < after->count; k++)
            used_after |= after->blocks[k].offset == now->blocks[i].offset && after->blocks[k].state != 0;
        if ((now->blocks[i].state != 0) != (used_before || used_after))
            return 0;
    }
    return 1;
}

/* The blocks but for free space at the end, of which there may be more or less when the heap grows. */
static struct test_blocks blocks_before_the_tail(shmheap_memory_handle mem)
{
    struct test_blocks blocks = test_blocks_take(mem);
    if (blocks.count > 0 && blocks.blocks[blocks.count - 1].state == SHMHEAP_STATE_FREE)
        blocks.count--;
    return blocks;
}

/* Takes the heap of one death: 0 as before, 1 as after, 2 both (only of a move). */
static int check_death(struct scene *scene, const struct test_blocks *before, const struct test_blocks *after, int moves)
{
    CHECK_SOUND(scene->mem);
    struct test_blocks now = blocks_before_the_tail(scene->mem);
    int result = test_blocks_same(&now, before) ? 0 : test_blocks_same(&now, after) ? 1 : 2;
    CHECK(result < 2 || (moves && is_both(before, after, &now)));
    check_others(scene);
    if (result == 0 && scene->victim >= 0 && !moves)
        CHECK(test_filled(scene->objects[scene->victim], 48, (uint64_t)scene->victim));
    scene->recoveries += (int)test_stat(scene->mem).recoveries;
    CHECK_LE(test_stat(scene->mem).recoveries, 1);
    /* And it goes on. */
    void *ptr = shmheap_alloc(scene->mem, 10);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(scene->mem, ptr), 0);
    CHECK_SOUND(scene->mem);
    test_blocks_drop(&now);
    return result;
}

/* A child that runs to the end shows what the operation makes of the heap. */
static void run_undisturbed(struct scene *scene, struct test_blocks *before, struct test_blocks *after)
{
    scene_build(scene);
    *before = blocks_before_the_tail(scene->mem);
    test_in_child(scene->stepper.operate, scene);
    *after = blocks_before_the_tail(scene->mem);
    shmheap_disconnect(scene->mem);
}

/* One death, after k instructions. 0 when the operation was complete by then. */
static int die_after(struct scene *scene, unsigned k)
{
    int running = 1;
    scene_build(scene);
    pid_t pid = stepper_begin(&scene->stepper);
    for (unsigned i = 0; i < k && running; i++)
        running = stepper_step(pid, &scene->stepper);
    stepper_kill(pid);
    return running;
}

/* Deaths after 0, stride, 2 stride ... instructions, until the operation is complete; ten times fewer under sanitizers,
 * which make ten times as many instructions of it. */
static void sweep(void (*operate)(void *), int victim, int moves, unsigned stride, const char *text)
{
    struct scene *scene = test_shared(sizeof *scene);
    struct test_blocks before, after;
    unsigned results[3] = {0, 0, 0}, k;
    stride *= (unsigned)(11 - test_rounds(10));
    scene->stepper = (struct stepper){.prepare = warm_up, .operate = operate, .context = scene};
    scene->victim = victim;
    run_undisturbed(scene, &before, &after);
    for (k = 0; die_after(scene, k); k += stride) {
        results[check_death(scene, &before, &after, moves)]++;
        shmheap_disconnect(scene->mem);
        CHECK(k < INSTRUCTIONS_MAX);
    }
    CHECK_EQ(check_death(scene, &before, &after, moves), !test_blocks_same(&before, &after));
    shmheap_disconnect(scene->mem);
    CHECK(scene->recoveries > 0 || operate == op_share);
    printf("  %-28s %5u instructions: as before %u, as after %u, both %u; %d recoveries\n", text, k, results[0],
           results[1], results[2], scene->recoveries);
    test_blocks_drop(&before);
    test_blocks_drop(&after);
    test_unshare(scene, sizeof *scene);
}

static void alloc_at_every_instruction(void)
{
    sweep(op_alloc_part, -1, 0, 1, "part of a free block");
    sweep(op_alloc_whole, -1, 0, 1, "a whole free block");
    sweep(op_alloc_tail, -1, 0, 1, "from the tail");
    sweep(op_alloc_growing, -1, 0, 1, "with growth");
    sweep(op_alloc_aligned, -1, 0, 1, "aligned");
    sweep(op_calloc, -1, 0, 7, "zeroed");
}

/* Objects 0 to 6, of which 1, 3, 5 are free: each of 0, 2, 4 has free neighbours, 6 the tail. */
static void free_at_every_instruction(void)
{
    sweep(op_free, 0, 0, 1, "free, merging behind");
    sweep(op_free, 2, 0, 1, "free, merging on both sides");
    sweep(op_free, 6, 0, 1, "free, merging with the tail");
}

static void realloc_at_every_instruction(void)
{
    sweep(op_shrink, 2, 0, 1, "shrinking");
    sweep(op_grow_in_place, 2, 0, 1, "growing in place");
    sweep(op_take_all_behind, 2, 0, 1, "growing over all behind");
    sweep(op_move, 2, 1, 7, "moving");
}

static void handle_at_every_instruction(void) { sweep(op_share, 2, 0, 1, "taking a handle"); }

static const struct test tests[] = {TEST(alloc_at_every_instruction), TEST(free_at_every_instruction),
                                    TEST(realloc_at_every_instruction), TEST(handle_at_every_instruction)};
TEST_MAIN(tests)
