/* Every placement of a long random sequence of allocs, frees and reallocs is that of the model.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"
#include "tests/unit/search/held.h"

enum {
    OPERATIONS = 1000000,    /* for each alignment and processor */
    CHECKED_EACH = 10000,    /* the first of them are each followed by shmheap_check */
    CHECKED_EVERY = 1000,    /* later ones every so many */
    HEAP_OPERATIONS = 20000, /* then the next heap */
    PHASE_OPERATIONS = 3000, /* then another mix of sizes and another number of objects */
    OBJECTS_MAX = 1200
};

enum mix { SMALL, LARGE, POWERS_OF_TWO, BIMODAL, ALL_EQUAL, MIXES };

struct object {
    unsigned char *ptr;
    uint64_t len, mark, start;
};

/* struct world: one heap, its model, and what lives in it. */
struct world {
    shmheap_memory_handle mem;
    struct model model;
    struct test_random random;
    uint64_t granule, max_len;
    struct object objects[OBJECTS_MAX];
    size_t count;
    enum mix mix;
    size_t target; /* of count, in this phase */
    uint64_t equal_len;
    uint64_t largest;
    uint64_t marks, allocs, frees, moves, in_place, refused, grown;
};

static uint64_t choose_len(struct world *world)
{
    struct test_random *random = &world->random;
    switch (world->mix) {
        case SMALL:
            return test_random_below(random, 200);
        case LARGE:
            return test_random_below(random, world->largest);
        case POWERS_OF_TWO:
            return (UINT64_C(1) << test_random_below(random, 12)) + test_random_below(random, 3) -
                   1;
        case BIMODAL:
            return test_random_below(random, 10) ? test_random_below(random, 64)
                                                 : test_random_below(random, world->largest);
        default:
            return world->equal_len;
    }
}

static unsigned char *place_of(const struct world *world, uint64_t start)
{
    return (unsigned char *)shmheap_underlying(world->mem) + 16 + start * world->granule;
}

/* Nothing fits in the region as it is. Where the heap grew, so does the model; otherwise it could
 * not have. */
static uint64_t place_by_growth(struct world *world, uint64_t need, int succeeded)
{
    shmheap_stats stats = test_stat(world->mem);
    uint64_t limit = model_granules(&world->model, stats.max_len);
    CHECK_EQ(stats.max_len, world->max_len);
    CHECK_LE(stats.len, stats.max_len);
    if (!succeeded) {
        CHECK_EQ(model_granules(&world->model, stats.len), world->model.end);
        CHECK(limit - model_top(&world->model) < need);
        return MODEL_NONE;
    }
    model_extend(&world->model, stats.len);
    world->grown++;
    return model_alloc(&world->model, need);
}

/* The call gave ptr for a new block of len bytes, or NULL: so does the model. */
static uint64_t check_placement(struct world *world, const void *ptr, uint64_t len)
{
    uint64_t need = model_need(&world->model, len);
    uint64_t start = model_alloc(&world->model, need);
    if (start == MODEL_NONE)
        start = place_by_growth(world, need, ptr != NULL);
    if (start == MODEL_NONE) {
        CHECK_PTR(ptr, NULL);
        world->refused++;
        return start;
    }
    CHECK_PTR(ptr, place_of(world, start));
    return start;
}

static void object_fill(struct world *world, struct object *object)
{
    object->mark = ++world->marks;
    test_fill(object->ptr, object->len, object->mark);
}

static void step_alloc(struct world *world)
{
    uint64_t len = choose_len(world);
    errno = 0;
    void *ptr = shmheap_alloc(world->mem, len);
    CHECK_EQ(errno, ptr ? 0 : ENOMEM);
    uint64_t start = check_placement(world, ptr, len);
    if (start == MODEL_NONE)
        return;
    struct object *object = &world->objects[world->count++];
    *object = (struct object){ptr, len, 0, start};
    object_fill(world, object);
    CHECK_EQ(shmheap_usable_size(world->mem, ptr),
             model_size(&world->model, start) * world->granule - 8);
    world->allocs++;
}

static void step_free(struct world *world)
{
    struct object *object = &world->objects[test_random_below(&world->random, world->count)];
    CHECK(test_filled(object->ptr, object->len, object->mark));
    CHECK_EQ(shmheap_try_free(world->mem, object->ptr), 0);
    model_free(&world->model, object->start);
    *object = world->objects[--world->count];
    world->frees++;
}

/* The object is in its old place, or in that of a new one; the model frees the old one only
 * then. */
static void check_resized(struct world *world, struct object *object, unsigned char *ptr,
                          uint64_t len)
{
    uint64_t start = object->start;
    if (model_resize(&world->model, start, model_need(&world->model, len))) {
        CHECK_PTR(ptr, object->ptr);
        world->in_place++;
    } else {
        start = check_placement(world, ptr, len);
        if (start == MODEL_NONE) {
            CHECK(test_filled(object->ptr, object->len, object->mark));
            return;
        }
        model_free(&world->model, object->start);
        world->moves++;
    }
    CHECK(test_filled(ptr, (len < object->len ? len : object->len) & ~UINT64_C(7), object->mark));
    object->ptr = ptr;
    object->len = len;
    object->start = start;
    object_fill(world, object);
}

static void step_realloc(struct world *world)
{
    struct object *object = &world->objects[test_random_below(&world->random, world->count)];
    uint64_t len = test_random_below(&world->random, 2)
                       ? choose_len(world)
                       : object->len + test_random_below(&world->random, 48);
    CHECK(test_filled(object->ptr, object->len, object->mark));
    errno = 0;
    void *ptr = shmheap_realloc(world->mem, object->ptr, len);
    CHECK_EQ(errno, ptr ? 0 : ENOMEM);
    check_resized(world, object, ptr, len);
}

static void choose_phase(struct world *world)
{
    world->mix = (enum mix)test_random_below(&world->random, MIXES);
    world->equal_len = test_random_below(&world->random, 300);
    /* Now and then drain completely. */
    world->target =
        test_random_below(&world->random, 5) ? test_random_below(&world->random, OBJECTS_MAX) : 0;
}

static void step(struct world *world)
{
    uint64_t choice = test_random_below(&world->random, 100);
    uint64_t allocs = world->count < world->target ? 50 : 30;
    if (world->count == 0 || (choice < allocs && world->count < OBJECTS_MAX))
        step_alloc(world);
    else if (choice < 80)
        step_free(world);
    else
        step_realloc(world);
}

static void world_begin(struct world *world, size_t number)
{
    static const size_t lens[] = {1 << 20, 65536, 1 << 18, 3024, (1 << 20) + 3, 128, 30000};
    size_t len = lens[number % (sizeof lens / sizeof *lens)];
    int grows = number % 3 == 2;
    world->max_len = grows ? 16 * len + test_random_below(&world->random, 5000) : len;
    world->largest = len / 10 < 20000 ? len / 10 : 20000;
    world->mem = test_anonymous(len, grows ? world->max_len : 0, world->granule);
    model_begin(&world->model, len, world->granule);
    world->count = 0;
}

/* Frees all objects: one free block remains. */
static void world_end(struct world *world)
{
    while (world->count > 0)
        step_free(world);
    test_check_empty(world->mem);
    shmheap_disconnect(world->mem);
    model_end(&world->model);
}

static void run_operations(struct world *world)
{
    /* As many heaps and phases where there are fewer operations, lest something never happens
     * there. */
    size_t operations = test_rounds(OPERATIONS), heap = test_rounds(HEAP_OPERATIONS),
           phase = test_rounds(PHASE_OPERATIONS);
    for (size_t i = 0, heaps = 0; i < operations; i++) {
        if (i % heap == 0 && i > 0)
            world_end(world);
        if (i % heap == 0)
            world_begin(world, heaps++);
        if (i % phase == 0)
            choose_phase(world);
        step(world);
        if (i < CHECKED_EACH || i % CHECKED_EVERY == 0)
            CHECK_SOUND(world->mem);
        if (i % CHECKED_EVERY == 0)
            held_compare_blocks(world->mem, &world->model);
    }
    world_end(world);
}

static void run_sequence(uint64_t granule, unsigned core)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    world.random = test_random_begin(granule);
    world.granule = granule;
    const char *name = test_choose_core(core);
    run_operations(&world);
    CHECK(world.allocs && world.frees && world.moves && world.in_place && world.refused &&
          world.grown);
    printf("  %s, %zu operations: %llu allocs, %llu frees, %llu resized in place, %llu moved, %llu "
           "refused, %llu growths\n",
           name, test_rounds(OPERATIONS), (unsigned long long)world.allocs,
           (unsigned long long)world.frees, (unsigned long long)world.in_place,
           (unsigned long long)world.moves, (unsigned long long)world.refused,
           (unsigned long long)world.grown);
}

static void run_all_cores(uint64_t granule)
{
    for (unsigned core = 0; core < TEST_CORES; core++)
        run_sequence(granule, core);
}

static void placements_with_alignment_16(void) { run_all_cores(16); }
static void placements_with_alignment_8(void) { run_all_cores(8); }

static const struct test tests[] = {TEST(placements_with_alignment_16),
                                    TEST(placements_with_alignment_8)};
TEST_MAIN(tests)
