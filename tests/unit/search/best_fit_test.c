/* Connections that cache: what no cache holds is placed by best fit, with all free blocks of 64
 * granules and more counting as equally good. In a heap too small for caches each placement can be
 * held against the model.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"
#include "tests/unit/search/held.h"

enum {
    LEN = 60000,
    LARGE = 64,
    CALLS = 40000,
    BLOCKS_MAX = 1500,
    MANY = 12,
    PHASE = 1000,
    CHECKED_EVERY = 50
};

/* struct world: one heap, its model, and the starts of the blocks that live in it. */
struct world {
    struct held held;
    struct test_random random;
    uint64_t blocks[BLOCKS_MAX];
    size_t count, target;
    uint64_t sizes_below;
    uint64_t small, large, at_the_end, refused;
};

/* The lowest of the smallest free spans with room; that at the end only if there is no other. */
static uint64_t best_place(const struct world *world, uint64_t need)
{
    const struct model *model = &world->held.model;
    uint64_t top = model_top(model), best = MODEL_NONE, least = UINT64_MAX;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_span *span = &model->spans[i];
        uint64_t size = span->start == top   ? UINT64_MAX - 1
                        : span->size < LARGE ? span->size
                                             : LARGE;
        if (!span->used && span->size >= need && size < least) {
            least = size;
            best = span->start;
        }
    }
    return best;
}

static void count_place(struct world *world, uint64_t start)
{
    if (start == MODEL_NONE)
        world->refused++;
    else if (start == model_top(&world->held.model))
        world->at_the_end++;
    else
        model_size(&world->held.model, start) < LARGE ? world->small++ : world->large++;
}

/* Where the next block of need granules has to be, which the model then has too. */
static uint64_t place_next(struct world *world, uint64_t need)
{
    uint64_t start = best_place(world, need);
    count_place(world, start);
    if (start != MODEL_NONE)
        model_alloc_at(&world->held.model, start, need);
    return start;
}

static void check_place(struct world *world, void *ptr, uint64_t start)
{
    CHECK_PTR(ptr, start != MODEL_NONE ? held_payload(&world->held, start) : NULL);
    if (start == MODEL_NONE)
        return;
    CHECK_EQ(shmheap_usable_size(world->held.mem, ptr),
             model_size(&world->held.model, start) * world->held.granule - 8);
    world->blocks[world->count++] = start;
}

static uint64_t choose_need(struct world *world)
{
    return world->held.model.block_min + test_random_below(&world->random, world->sizes_below);
}

static void step_alloc(struct world *world)
{
    uint64_t need = choose_need(world);
    check_place(world, shmheap_alloc(world->held.mem, need * world->held.granule - 8),
                place_next(world, need));
}

static void step_alloc_many(struct world *world)
{
    void *ptrs[MANY];
    uint64_t need = choose_need(world);
    size_t got = shmheap_alloc_many(world->held.mem, need * world->held.granule - 8, MANY, ptrs);
    for (size_t i = 0; i < MANY; i++)
        check_place(world, i < got ? ptrs[i] : NULL, place_next(world, need));
}

static void step_free(struct world *world)
{
    size_t i = (size_t)test_random_below(&world->random, world->count);
    held_free(&world->held, world->blocks[i]);
    world->blocks[i] = world->blocks[--world->count];
}

static void step_resize(struct world *world)
{
    size_t i = (size_t)test_random_below(&world->random, world->count);
    uint64_t start = world->blocks[i], need = choose_need(world);
    void *ptr = shmheap_realloc(world->held.mem, held_payload(&world->held, start),
                                need * world->held.granule - 8);
    if (model_resize(&world->held.model, start, need)) {
        CHECK_PTR(ptr, held_payload(&world->held, start));
        return;
    }
    uint64_t moved = place_next(world, need);
    world->blocks[i] = world->blocks[--world->count];
    check_place(world, ptr, moved);
    if (moved != MODEL_NONE)
        model_free(&world->held.model, start);
    else
        world->blocks[world->count++] = start;
}

static void step(struct world *world)
{
    uint64_t choice = test_random_below(&world->random, 20);
    if (world->count + MANY >= BLOCKS_MAX ||
        (world->count != 0 && choice < (world->count < world->target ? 6u : 11u)))
        step_free(world);
    else if (choice == 19 && world->count != 0)
        step_resize(world);
    else if (choice == 18)
        step_alloc_many(world);
    else
        step_alloc(world);
}

static void run(uint64_t granule, unsigned core)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    struct held *held = &world.held;
    shmheap_options options = {.len = LEN,
                               .alignment = (size_t)granule,
                               .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    size_t calls = test_rounds(CALLS);
    const char *name = test_choose_core(core);
    CHECK_EQ(shmheap_open(&held->mem, NULL, &options), 0);
    model_begin(&held->model, LEN, granule);
    held->granule = granule;
    world.random = test_random_begin(granule);
    for (size_t i = 0; i < calls; i++) {
        if (i % PHASE == 0) {
            world.target = (size_t)test_random_below(&world.random, BLOCKS_MAX / 3);
            world.sizes_below = test_random_below(&world.random, 2)
                                    ? 1 + test_random_below(&world.random, 12)
                                    : 100;
        }
        step(&world);
        if (i % CHECKED_EVERY == 0)
            CHECK_SOUND(held->mem);
    }
    held_compare(held);
    CHECK(world.small != 0 && world.at_the_end != 0);
    CHECK(calls < CALLS || (world.large != 0 && world.refused != 0));
    printf(
        "  granule %d, %s: %llu in small ones, %llu in large ones, %llu at the end, %llu refused\n",
        (int)granule, name, (unsigned long long)world.small, (unsigned long long)world.large,
        (unsigned long long)world.at_the_end, (unsigned long long)world.refused);
    while (world.count != 0)
        step_free(&world);
    test_check_empty(held->mem);
    held_end(held);
}

static void placements(void)
{
    for (unsigned core = 0; core < TEST_CORES; core++) {
        run(16, core);
        run(8, core);
    }
}

static const struct test tests[] = {TEST(placements)};
TEST_MAIN(tests)
