/* fuzz_first_fit.c: each block lies where a naive model of first fit puts it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdlib.h>

#include "fuzz/world/world.h"
#include "tests/unit/search/model.h"

enum { STEPS_MAX = 400, FIRST_PAYLOAD = 16, GROW_STEP = 65536, GROW_UNIT = 4096 };

/* The model's checks call test_fail. */
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void test_fail(const char *file, int line, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    world_fail(file, line, text);
}

/* The state of the objects that the next operation may change. */
struct before {
    unsigned count, picked;
    uint64_t offset, mark; /* of the picked object */
    struct world_object last[WORLD_MANY];
};

/* struct grown_model is the model with the current and the maximum bytes of its region. */
struct grown_model {
    struct model model;
    uint64_t len, max;
};

static uint64_t start_of(const struct model *model, uint64_t offset)
{
    return (offset - FIRST_PAYLOAD) / model->granule;
}

/* The length to which the heap grows (c/src/heap/grow.c) if an object of `need` granules does not
 * fit: half as long again, at least 64 KiB more, or what the object needs if that is more. The
 * exact length matters: a rest too small for a block stays with the last object. */
static uint64_t grown_len(const struct model *model, uint64_t len, uint64_t max, uint64_t need)
{
    uint64_t wanted = len + (len / 2 > GROW_STEP ? len / 2 : GROW_STEP) / GROW_UNIT * GROW_UNIT;
    uint64_t least = 8 + (model_top(model) + need) * model->granule,
             more = len + 16 * model->block_min;
    least = ((least > more ? least : more) + GROW_UNIT - 1) / GROW_UNIT * GROW_UNIT;
    wanted = wanted > max ? max : wanted;
    least = least > max ? max : least;
    return wanted > least ? wanted : least;
}

/* The object does not fit: the model grows as the heap must, or neither can. */
static uint64_t place_by_growth(struct grown_model *grown, uint64_t need)
{
    struct model *model = &grown->model;
    if (grown->len == grown->max || model_granules(model, grown->max) - model_top(model) < need)
        return MODEL_NONE;
    uint64_t len = grown_len(model, grown->len, grown->max, need);
    if (model_granules(model, len) < model->end + model->block_min)
        return MODEL_NONE;
    model_extend(model, grown->len = len);
    return model_alloc(model, need);
}

/* Repeats in the model an alloc of len bytes that gave the object at offset; 0: it failed. */
static void follow_alloc(struct grown_model *grown, uint64_t len, uint64_t offset)
{
    struct model *model = &grown->model;
    uint64_t need = len < UINT64_MAX / 2 ? model_need(model, len) : UINT64_MAX / 2;
    uint64_t start = model_alloc(model, need);
    if (start == MODEL_NONE)
        start = place_by_growth(grown, need);
    FUZZ_CHECK((start == MODEL_NONE) == (offset == 0));
    FUZZ_CHECK(offset == 0 || start_of(model, offset) == start);
}

static void follow_new_objects(const struct world *world, struct grown_model *grown,
                               const struct op *op, const struct before *before)
{
    unsigned wanted = op->kind == OP_ALLOC_MANY ? op->which % WORLD_MANY : 1;
    if (before->count + wanted > WORLD_OBJECTS)
        return;
    for (unsigned i = before->count; i < world->count; i++)
        follow_alloc(grown, op->size, world->objects[i].offset);
    if (world->count < before->count + wanted)
        follow_alloc(grown, op->size, 0);
}

static void follow_realloc(const struct world *world, struct grown_model *grown,
                           const struct op *op, const struct before *before)
{
    struct model *model = &grown->model;
    const struct world_object *object = &world->objects[before->picked];
    uint64_t need = op->size < UINT64_MAX / 2 ? model_need(model, op->size) : UINT64_MAX / 2;
    if (model_resize(model, start_of(model, before->offset), need)) {
        FUZZ_CHECK(object->mark != before->mark && object->offset == before->offset);
        return;
    }
    follow_alloc(grown, op->size, object->mark != before->mark ? object->offset : 0);
    if (object->mark != before->mark)
        model_free(model, start_of(model, before->offset));
}

static void follow(const struct world *world, struct grown_model *grown, const struct op *op,
                   const struct before *before)
{
    struct model *model = &grown->model;
    switch (op->kind) {
        case OP_ALLOC:
        case OP_ALLOC_WAIT:
        case OP_CALLOC:
        case OP_ALLOC_MANY:
            follow_new_objects(world, grown, op, before);
            break;
        case OP_FREE:
            if (before->count)
                model_free(model, start_of(model, before->offset));
            break;
        case OP_REALLOC:
            if (before->count)
                follow_realloc(world, grown, op, before);
            break;
        case OP_FREE_MANY:
            for (unsigned i = world->count; i < before->count; i++)
                model_free(model, start_of(model, before->last[before->count - 1 - i].offset));
            break;
        default: /* changes no block */
            break;
    }
}

static struct before before_take(const struct world *world, const struct op *op)
{
    struct before before = {.count = world->count};
    if (world->count) {
        before.picked = op->which % world->count;
        before.offset = world->objects[before.picked].offset;
        before.mark = world->objects[before.picked].mark;
    }
    for (unsigned i = 0; i < WORLD_MANY && i < world->count; i++)
        before.last[i] = world->objects[world->count - 1 - i];
    return before;
}

/* struct tiling is a walk along the spans of the model. */
struct tiling {
    const struct model *model;
    size_t seen;
};

static int hold_block(const shmheap_block_info *block, void *context)
{
    struct tiling *tiling = context;
    const struct model *model = tiling->model;
    FUZZ_CHECK(tiling->seen < model->count);
    const struct model_span *span = &model->spans[tiling->seen++];
    FUZZ_CHECK(block->offset == FIRST_PAYLOAD + span->start * model->granule);
    FUZZ_CHECK(block->size == span->size * model->granule);
    FUZZ_CHECK((block->state != SHMHEAP_STATE_FREE) == span->used);
    return 0;
}

static void check_tiling(const struct world *world, struct grown_model *grown)
{
    struct tiling tiling = {&grown->model, 0};
    shmheap_stats stats;
    FUZZ_CHECK(shmheap_walk(world->mem[world->lines & 1], hold_block, &tiling) == 0);
    FUZZ_CHECK(tiling.seen == grown->model.count);
    FUZZ_CHECK(shmheap_stat(world->mem[0], &stats) == 0 && stats.len == grown->len);
}

/* The model has neither names, which take space, nor aligned allocs: use plain allocs instead. */
static void make_plain(struct op *op)
{
    if (op->kind == OP_ALIGNED || op->kind == OP_NAMED)
        op->kind = OP_ALLOC;
    else if (op->kind == OP_UNNAME)
        op->kind = OP_FREE;
}

static void run(struct world *world, struct grown_model *grown, struct input *input)
{
    for (unsigned i = 0; i < STEPS_MAX && input_more(input); i++) {
        struct op op = op_decode(input);
        make_plain(&op);
        struct before before = before_take(world, &op);
        world_step(world, &op);
        follow(world, grown, &op, &before);
        check_tiling(world, grown);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    static struct world world;
    struct grown_model grown;
    struct heap_shape shape = shape_decode(&input);
    shape.cached = 0;
    world_input(bytes, len);
    if (world_begin(&world, &shape))
        return 0;
    grown.len = shape.len;
    grown.max = shape.max_len ? shape.max_len : shape.len;
    model_begin(&grown.model, shape.len, shape.alignment);
    run(&world, &grown, &input);
    world_check(&world);
    model_end(&grown.model);
    world_end(&world);
    return 0;
}
