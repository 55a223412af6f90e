/* SPDX-License-Identifier: Apache-2.0 */
#include <time.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/crash/scene/scene.h"
#include "tests/crash/scene/scene_heap.h"

/* How much a call may cost, in steps of about 7 microseconds, a tenth of it under a sanitizer: it
 * checks what the survivor does, and multiplies the instructions at which the child can die.
 * `tools/matrix steps` takes every instruction. A death costs so many steps beside those that lead
 * to it. */
enum { STEPS_MAX = 50000, STEPS_A_DEATH = 80, STEPS_A_DEATH_SANITIZED = 220 };

enum { STAGE_NONE = SCENE_STAGES_MAX };
enum {
    OTHER_WAYS_MAX = 3, /* children in a row that took another way; then that way is recorded */
    WAYS_MAX = 2        /* recorded for one death */
};

/* struct picture is private: the blocks that a death leaves, and those that remain after
 * reaping. */
struct picture {
    struct test_blocks left, reaped;
};

/* struct sweep is private: the deaths in one call. */
struct sweep {
    struct scene *scene;
    const struct scene_call *call;
    struct picture pictures[SCENE_STAGES_MAX];
    struct stepper_trace trace;
    unsigned stages, stride, deaths, went_other_way, stepped;
    unsigned found[SCENE_STAGES_MAX + 1];
};

/* Pictures -------------------------------------------------------------- */

/* The blocks but for free space at the end, of which there may be more or less when the heap
 * grows. */
static struct test_blocks blocks_before_the_top(shmheap_memory_handle mem)
{
    struct test_blocks blocks = test_blocks_take(mem);
    if (blocks.count > 0 && blocks.blocks[blocks.count - 1].state == SHMHEAP_STATE_FREE)
        blocks.count--;
    return blocks;
}

/* Without what is free or held by others than the survivor: its slot is the first. */
static void blocks_leave_out_the_dead(struct test_blocks *blocks)
{
    size_t kept = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        const shmheap_block_info *block = &blocks->blocks[i];
        if (block->state != SHMHEAP_STATE_FREE && (block->slot <= 1 || block->slot > 1022))
            blocks->blocks[kept++] = *block;
    }
    blocks->count = kept;
}

/* Without what is free, and without the table of names, of which there is one. */
static void blocks_leave_out_the_table(shmheap_memory_handle mem, struct test_blocks *blocks)
{
    size_t kept = 0, tables = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        const shmheap_block_info *block = &blocks->blocks[i];
        uint64_t kind;
        memcpy(&kind, (const char *)shmheap_underlying(mem) + block->offset, sizeof kind);
        if (block->state == SHMHEAP_STATE_INTERNAL && kind == INTERNAL_TABLE)
            tables++;
        else if (block->state != SHMHEAP_STATE_FREE)
            blocks->blocks[kept++] = *block;
    }
    CHECK_EQ(tables, 1);
    blocks->count = kept;
}

/* Also states and owners; generations depend on the heap's random id. */
static int blocks_equal(const struct test_blocks *a, const struct test_blocks *b)
{
    int equal = a->count == b->count;
    for (size_t i = 0; equal && i < a->count; i++) {
        const shmheap_block_info *x = &a->blocks[i], *y = &b->blocks[i];
        equal = x->offset == y->offset && x->size == y->size && x->state == y->state &&
                x->slot == y->slot;
    }
    return equal;
}

static void blocks_print(const char *text, const struct test_blocks *blocks)
{
    dprintf(STDERR_FILENO, "%s:", text);
    for (size_t i = 0; i < blocks->count; i++)
        dprintf(STDERR_FILENO, " %llu+%llu:%u/%u", (unsigned long long)blocks->blocks[i].offset,
                (unsigned long long)blocks->blocks[i].size, (unsigned)blocks->blocks[i].state,
                blocks->blocks[i].slot);
    dprintf(STDERR_FILENO, "\n");
}

static struct test_blocks blocks_left(const struct scene *scene)
{
    struct test_blocks blocks = blocks_before_the_top(scene->mem);
    if (scene->call->loose)
        blocks_leave_out_the_dead(&blocks);
    if (scene->call->table_moves)
        blocks_leave_out_the_table(scene->mem, &blocks);
    return blocks;
}

static struct test_blocks blocks_reaped(const struct scene *scene)
{
    CHECK(shmheap_reap(scene->mem, SHMHEAP_REAP_SHARED) >= 0);
    CHECK_SOUND(scene->mem);
    struct test_blocks blocks = blocks_before_the_top(scene->mem);
    if (scene->call->table_moves)
        blocks_leave_out_the_table(scene->mem, &blocks);
    return blocks;
}

/* A child dies right behind this stage, at full speed: it may be before the operation, 0. */
static void picture_take(struct scene *scene, unsigned stage, struct picture *picture)
{
    scene_build(scene);
    scene->stage = stage;
    pid_t pid = stepper_begin(&scene->stepper);
    if (stage != 0)
        stepper_finish(&scene->stepper);
    stepper_kill(&scene->stepper, pid);
    CHECK_SOUND(scene->mem);
    picture->left = blocks_left(scene);
    picture->reaped = blocks_reaped(scene);
    scene_clear(scene);
}

/* One death --------------------------------------------------------------- */

static void check_contents(const struct scene *scene, unsigned stage)
{
    for (unsigned i = 0; i < SCENE_OBJECTS; i++) {
        if (is_free_object(i))
            continue;
        if (!(scene->call->touched >> i & 1))
            CHECK(test_filled(scene->objects[i], SCENE_OBJECT_LEN, i));
        else if (stage == 0) /* what is to be cut off may have changed */
            CHECK(test_filled(scene->objects[i], 48, i));
    }
}

static unsigned stage_find(const struct sweep *sweep, const struct test_blocks *left)
{
    for (unsigned stage = 0; stage <= sweep->stages; stage++)
        if (blocks_equal(left, &sweep->pictures[stage].left))
            return stage;
    return STAGE_NONE;
}

static void fail_between(const struct sweep *sweep, const char *when,
                         const struct test_blocks *found, unsigned k)
{
    for (unsigned stage = 0; stage <= sweep->stages; stage++) {
        dprintf(STDERR_FILENO, "stage %u\n", stage);
        blocks_print("  left", &sweep->pictures[stage].left);
        blocks_print("  reaped", &sweep->pictures[stage].reaped);
    }
    blocks_print("found", found);
    test_fail(__FILE__, __LINE__,
              "%s: death after instruction %u left, %s, what is none of the stages",
              sweep->call->text, k, when);
}

/* And it goes on. */
static void check_going_on(shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, 10);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_SOUND(mem);
}

static void check_death(struct sweep *sweep, unsigned k)
{
    struct scene *scene = sweep->scene;
    CHECK_SOUND(scene->mem);
    shmheap_stats stats = test_stat(scene->mem);
    CHECK_LE(stats.recoveries, 1);
    scene->recoveries += (int)stats.recoveries;
    struct test_blocks left = blocks_left(scene);
    unsigned stage = stage_find(sweep, &left);
    if (stage == STAGE_NONE)
        fail_between(sweep, "before reaping", &left, k);
    check_contents(scene, stage);
    if (sweep->call->check)
        sweep->call->check(scene, stage);
    struct test_blocks reaped = blocks_reaped(scene);
    int known = 0;
    for (unsigned i = 0; i <= sweep->stages; i++)
        known |= (sweep->call->loose || blocks_equal(&left, &sweep->pictures[i].left)) &&
                 blocks_equal(&reaped, &sweep->pictures[i].reaped);
    if (!known)
        fail_between(sweep, "after reaping", &reaped, k);
    check_contents(scene, stage);
    check_going_on(scene->mem);
    if (sweep->call->afterwards)
        sweep->call->afterwards(scene, stage);
    sweep->found[stage]++;
    test_blocks_drop(&left);
    test_blocks_drop(&reaped);
}

static void trace_record(struct sweep *sweep)
{
    stepper_trace_drop(&sweep->trace);
    scene_build(sweep->scene);
    stepper_record(&sweep->scene->stepper, &sweep->trace);
    scene_clear(sweep->scene);
}

/* A child runs k instructions of the recorded way: 1, or 0 when the call was complete before; -1:
 * it took another way, and is gone. */
static int run_recorded(struct sweep *sweep, unsigned k, pid_t *pid)
{
    struct stepper *stepper = &sweep->scene->stepper;
    scene_build(sweep->scene);
    *pid = stepper_begin(stepper);
    int running = stepper_run(*pid, stepper, &sweep->trace, k);
    if (running < 0) {
        stepper_kill(stepper, *pid);
        scene_clear(sweep->scene);
        sweep->went_other_way++;
    }
    return running;
}

static pid_t run_from_the_beginning(struct sweep *sweep, unsigned k)
{
    struct stepper *stepper = &sweep->scene->stepper;
    scene_build(sweep->scene);
    pid_t pid = stepper_begin(stepper);
    for (unsigned i = 0; i < k; i++)
        if (!stepper_step(pid, stepper))
            break;
    return pid;
}

/* A child dies after k instructions. The call may take another way than the recorded one: it reads
 * files of /proc whose numbers change. Such a child is replaced. After some in a row, the way is
 * recorded anew: one more digit, and each later child goes that way. Stepping from the beginning,
 * which costs most, is the last resort. */
static void die_after(struct sweep *sweep, unsigned k)
{
    pid_t pid = 0;
    int running = -1;
    for (unsigned ways = 0; running < 0 && ways < WAYS_MAX; ways++) {
        if (ways != 0)
            trace_record(sweep);
        for (unsigned i = 0; running < 0 && i < OTHER_WAYS_MAX; i++)
            running = run_recorded(sweep, k, &pid);
    }
    if (running < 0) {
        sweep->stepped++;
        pid = run_from_the_beginning(sweep, k);
    }
    stepper_kill(&sweep->scene->stepper, pid);
}

/* All of them -------------------------------------------------------------- */

static unsigned stride_choose(const struct stepper_trace *trace)
{
    const char *wanted = getenv("SHMHEAP_STEP_ALL");
    unsigned long stride = wanted != NULL ? strtoul(wanted, NULL, 10) : 0;
    int sanitized = test_rounds(10) != 10;
    uint64_t steps = (uint64_t)trace->count * (sanitized ? STEPS_A_DEATH_SANITIZED : STEPS_A_DEATH);
    for (unsigned k = 0; k < trace->count; k++)
        steps += stepper_cost(trace, k);
    return stride != 0 && stride < trace->count ? (unsigned)stride
                                                : (unsigned)(steps / test_rounds(STEPS_MAX)) + 1;
}

static void sweep_print(const struct sweep *sweep, double seconds)
{
    printf("  %-50s %6u %6u %5u  ", sweep->call->text, sweep->trace.count, sweep->deaths,
           (unsigned)sweep->scene->recoveries);
    for (unsigned stage = 0; stage <= sweep->stages; stage++)
        printf("%s%u", stage == 0 ? "" : " + ", sweep->found[stage]);
    if (sweep->went_other_way != 0)
        printf("; %u went another way first", sweep->went_other_way);
    if (sweep->stepped != 0)
        printf("; %u stepped from the beginning", sweep->stepped);
    printf("  (%.1f s)\n", seconds);
    fflush(stdout);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sweep_call(struct scene *scene, const struct scene_call *call,
                       struct test_random *random)
{
    struct sweep sweep;
    double begin = seconds_now();
    memset(&sweep, 0, sizeof sweep);
    sweep.scene = scene;
    sweep.call = scene->call = call;
    sweep.stages = call->stages != 0 ? call->stages : 1;
    CHECK(sweep.stages < SCENE_STAGES_MAX);
    scene->name = call->named_heap ? test_name() : NULL;
    scene->memory = call->in_memory ? test_shared(SCENE_MEMORY) : NULL;
    scene->recoveries = 0;
    scene->stepper = (struct stepper){.prepare = child_prepares,
                                      .operate = child_operates,
                                      .context = scene,
                                      .in_thread = call->in_thread};
    for (unsigned stage = 0; stage <= sweep.stages; stage++)
        picture_take(scene, stage, &sweep.pictures[stage]);
    trace_record(&sweep);
    sweep.stride = stride_choose(&sweep.trace);
    for (unsigned k = (unsigned)test_random_below(random, sweep.stride); k < sweep.trace.count;
         k += sweep.stride) {
        die_after(&sweep, k);
        check_death(&sweep, k);
        scene_clear(scene);
        sweep.deaths++;
    }
    CHECK(call->without_lock || scene->recoveries > 0 || sweep.stride > 1);
    sweep_print(&sweep, seconds_now() - begin);
    for (unsigned stage = 0; stage <= sweep.stages; stage++) {
        test_blocks_drop(&sweep.pictures[stage].left);
        test_blocks_drop(&sweep.pictures[stage].reaped);
    }
    stepper_trace_drop(&sweep.trace);
    if (call->in_memory)
        test_unshare(scene->memory, SCENE_MEMORY);
}

void scene_sweep(const struct scene_call *calls, unsigned count)
{
    struct scene *scene = test_shared(sizeof *scene);
    struct test_random random = test_random_begin(1);
    printf("  %-50s %6s %6s %5s  %s\n", "call", "instr.", "deaths", "rec.",
           "as before + as after each stage");
    for (unsigned i = 0; i < count; i++)
        sweep_call(scene, &calls[i], &random);
    test_unshare(scene, sizeof *scene);
}

void scene_sweep_both(const struct scene_call *calls, unsigned count)
{
    scene_sweep(calls, count);
    for (unsigned i = 0; i < count; i++) {
        struct scene_call in_rows = calls[i];
        char text[80];
        snprintf(text, sizeof text, "%s; in size bins", calls[i].text);
        in_rows.text = text;
        in_rows.bins = 1;
        scene_sweep(&in_rows, 1);
    }
}
