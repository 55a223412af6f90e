/* The search index over long distances: free blocks so far apart that the next one of a size is
 * found on the bins' levels 1, 2, 3 and 4, or at the top of the tree. Sparse heaps of up to 160
 * GiB, of which only headers and parts of the index are touched, each held against the model.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"
#include "tests/unit/search/held.h"

enum { CHUNK = 64, WORD = 64, PLACES_MAX = 96, STEPS = 600, MIB = 1 << 20 };

/* struct far: a heap that is in use but for some holes, each of which is free or in use.
 *   [ USED ][ hole ][ USED                         ][ hole ][ USED   ][ hole ][ USED ][ top ] */
struct far {
    struct held held;
    struct test_random random;
    uint64_t places[PLACES_MAX], sizes[PLACES_MAX], fillers[PLACES_MAX + 1];
    size_t count;
};

/* Chunks at and beside the borders of what a word of each level covers, in ascending order; count
 * of them below chunks. */
static size_t border_chunks(uint64_t chunks, uint64_t *borders)
{
    size_t count = 0;
    for (uint64_t word = 1; word < chunks; word *= WORD)
        for (uint64_t multiple = word == 1 ? 0 : 1; multiple < WORD;
             multiple += multiple < 3 ? 1 : 20)
            for (int beside = -1; beside <= 1; beside++) {
                uint64_t chunk = multiple * word + (uint64_t)(int64_t)beside;
                if (chunk < chunks - 4 && (count == 0 || chunk > borders[count - 1]) &&
                    count < PLACES_MAX - 1)
                    borders[count++] = chunk;
            }
    borders[count++] = chunks - 3;
    return count;
}

/* One of the sizes after the other, and again, for the holes; a hole that would lie in the one
 * before it is left out. */
static void far_fill(struct far *far, const uint64_t *sizes, size_t kinds, uint64_t top)
{
    uint64_t borders[PLACES_MAX], at = 0;
    size_t found = border_chunks(far->held.model.end / CHUNK, borders);
    far->count = 0;
    for (size_t i = 0; i < found; i++) {
        uint64_t size = sizes[far->count % kinds],
                 place = borders[i] * CHUNK + i * 7 % (CHUNK - 2) + 2;
        if (size < far->held.model.block_min)
            size = far->held.model.block_min;
        if (place < at + far->held.model.block_min || place + size + top + 2 > far->held.model.end)
            continue;
        far->fillers[far->count] = held_take(&far->held, place - at);
        far->places[far->count] = held_take(&far->held, size);
        far->sizes[far->count++] = size;
        at = place + size;
    }
    far->fillers[far->count] = held_take(&far->held, far->held.model.end - at - top);
}

static void free_all(struct far *far, size_t from, size_t step)
{
    for (size_t i = from; i < far->count; i += step)
        held_free(&far->held, far->places[i]);
}

/* Each hole that is free, from the lowest on. */
static void take_all(struct far *far, size_t from, size_t step)
{
    for (size_t i = from; i < far->count; i += step)
        CHECK_EQ(held_take(&far->held, far->sizes[i]), far->places[i]);
}

/* Words that have become empty leave bits above them, over which a later search has to come. */
static void empty_and_refill(struct far *far)
{
    for (size_t step = 1; step < far->count; step = 2 * step + 1)
        for (size_t from = 0; from < step; from += 1 + step / 3) {
            free_all(far, from, step);
            take_all(far, from, step);
        }
    for (size_t last = far->count - 1; last > 0; last--) { /* only the lowest and that one */
        held_free(&far->held, far->places[last]);
        held_free(&far->held, far->places[0]);
        CHECK_EQ(held_take(&far->held, far->sizes[0]), far->places[0]);
        CHECK_EQ(held_take(&far->held, far->sizes[last]), far->places[last]);
    }
}

static const struct model_span *any_span(struct far *far)
{
    return &far->held.model.spans[test_random_below(&far->random, far->held.model.count)];
}

/* Frees any block, or makes one of a size that a hole has, or a little smaller; some are made
 * longer or shorter in place. */
static void far_step(struct far *far)
{
    const struct model_span *span = any_span(far);
    uint64_t choice = test_random_below(&far->random, 16),
             size = far->sizes[test_random_below(&far->random, far->count)];
    if (span->used && span->size < 100000 && choice < 8)
        held_free(&far->held, span->start);
    else if (span->used &&
             choice == 8) /* now and then a long one: what is beside it becomes one with it */
        held_free(&far->held, span->start);
    else if (span->used && choice < 11 && span->size < 100000)
        held_resize(&far->held, span->start,
                    choice == 9 && span->size > 4 ? span->size - 2 : span->size + size);
    else if (!span->used && choice < 14)
        held_alloc(&far->held, span->size);
    else
        held_alloc(&far->held, size > 4 ? size - test_random_below(&far->random, 3) : size);
}

static void far_steps(struct far *far, size_t steps, size_t check_every)
{
    for (size_t i = 0; i < steps; i++) {
        far_step(far);
        if (i % check_every == check_every - 1)
            CHECK_SOUND(far->held.mem);
    }
    held_compare(&far->held);
}

/* Whether the word of each level has been left and entered: for holes of one size each, and of
 * mixed ones. */
static void far_heaps(uint64_t len, uint64_t granule, size_t steps, size_t check_every)
{
    static struct far far;
    static const uint64_t sizes[] = {1, 2, 31, 61, 64, 65, 1000, 3, 62, 64, 17, 128};
    static const struct {
        unsigned first, kinds, top;
    } mixes[] = {{0, 1, 0}, {1, 1, 100}, {2, 1, 0}, {3, 1, 64},  {4, 1, 0},
                 {5, 1, 1}, {6, 1, 63},  {2, 2, 0}, {0, 12, 300}};
    memset(&far, 0, sizeof far);
    far.random = test_random_begin(len + granule);
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++) {
        if (!held_begin(&far.held, len, granule))
            return;
        far_fill(&far, sizes + mixes[i].first, mixes[i].kinds,
                 mixes[i].top == 1 ? far.held.model.block_min : mixes[i].top);
        CHECK(far.count > 8);
        empty_and_refill(&far);
        free_all(&far, 0, 2);
        far_steps(&far, steps, check_every);
        if (steps >= check_every)
            held_recover_from(&far.held, (unsigned char)(i % 2 ? 0xff : 0));
        far_steps(&far, steps / 4, check_every);
        held_end(&far.held);
    }
}

static void for_all(uint64_t len, size_t steps, size_t check_every)
{
    for (unsigned core = 0; core < TEST_CORES; core++)
        for (uint64_t granule = 8; granule <= 16; granule += 8) {
            test_choose_core(core);
            far_heaps(len * granule / 16, granule, steps, check_every);
        }
}

/* More than a word of level 1 covers; more than one of level 2; more than one of level 3. Half of
 * that with granules of 8 bytes. */
static void over_4_mib(void) { for_all(9 * MIB + 4000, test_rounds(STEPS), 7); }
static void over_256_mib(void)
{
    for_all(UINT64_C(550) * MIB, test_rounds(STEPS), test_rounds(STEPS));
}
static void over_16_gib(void) { for_all(UINT64_C(17000) * MIB, test_rounds(STEPS), STEPS + 1); }

/* Once, since it looks at the whole index. */
static void over_16_gib_checked(void)
{
    struct far far = {.random = test_random_begin(0)};
    const uint64_t sizes[] = {8, 200};
    test_choose_core(0);
    if (!held_begin(&far.held, UINT64_C(8500) * MIB, 8))
        return;
    far_fill(&far, sizes, 2, 0);
    empty_and_refill(&far);
    free_all(&far, 1, 3);
    CHECK_SOUND(far.held.mem);
    held_recover_from(&far.held, 0);
    far_steps(&far, STEPS, STEPS + 1);
    held_end(&far.held);
}

enum { STOPPER = 7 };

static void free_all_but_stoppers(struct held *held)
{
    for (size_t i = 0; i < held->model.count;) {
        const struct model_span *span = &held->model.spans[i];
        if (span->used && span->size != STOPPER) {
            held_free(held, span->start);
            i = 0;
        } else {
            i++;
        }
    }
}

/* Sizes about 0x7fffffff granules, from which on entries of the tree do not tell them apart. */
static void sizes_that_the_tree_does_not_tell(uint64_t granule)
{
    const uint64_t most = 0x7fffffff, sizes[] = {most - 1, most, most + 1, most + 5, 3, most + 5},
                   count = sizeof sizes / sizeof *sizes;
    struct held held;
    if (!held_begin(&held, (5 * most + 10000) * granule, granule))
        return;
    for (size_t i = 0; i < count; i++) {
        held_take(&held, sizes[i]);
        held_take(&held, STOPPER);
    }
    for (unsigned order = 0; order < 2; order++) {
        free_all_but_stoppers(&held);
        for (uint64_t need = most + 6; need >= most - 2; need--) {
            uint64_t start = held_alloc(&held, need);
            if (start != MODEL_NONE && (need + order) % 2 != 0)
                held_free(&held, start);
        }
        free_all_but_stoppers(&held);
        for (size_t i = 0; i < count; i++)
            held_alloc(&held, sizes[order != 0 ? count - 1 - i : i]);
    }
    held_compare(&held);
    held_end(&held);
}

static void huge_sizes(void)
{
    for (unsigned core = 0; core < TEST_CORES; core++) {
        test_choose_core(core);
        sizes_that_the_tree_does_not_tell(8);
    }
    sizes_that_the_tree_does_not_tell(16);
}

/* More bytes than 32 bits of granules count. */
static void bytes_of_allocs_over_64_gib(void)
{
    const uint64_t granules = (UINT64_C(1) << 32) + 1000;
    for (uint64_t granule = 8; granule <= 16; granule += 8) {
        struct held held;
        if (!held_begin(&held, (granules + 1000) * granule, granule))
            return;
        held_take(&held, granules);
        CHECK_EQ(test_stat(held.mem).alloc_bytes, granules * granule);
        held_end(&held);
    }
}

static const struct test tests[] = {TEST(over_4_mib),  TEST(over_256_mib),
                                    TEST(over_16_gib), TEST(over_16_gib_checked),
                                    TEST(huge_sizes),  TEST(bytes_of_allocs_over_64_gib)};
TEST_MAIN(tests)
