/* The free list: when its blocks move into size bins and tree and back, which connection moves
 * them, and that no block is lost where the index contradicts itself meanwhile. Each heap is held
 * against the model, and checked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/unit/search/held.h"

enum { LEN = 400000, PAIRS = 100, SIZES = 9, TURNS = 40, AGAIN = LIST_MAX / 4 };

static uint64_t listed_of(const struct held *held) { return held->mem.heap->control->listed; }
static uint64_t free_of(const struct held *held)
{
    return test_stat(held->mem).free_blocks - 1;
} /* without the top block */

/* Sizes of the blocks that are freed, and what keeps them apart. Large ones too: from 64 granules
 * on. */
static uint64_t size_of(size_t i)
{
    static const unsigned char sizes[SIZES] = {3, 2, 40, 63, 64, 9, 65, 130, 2};
    return sizes[i % SIZES];
}

static void begin(struct held *held, uint64_t granule, uint64_t *starts)
{
    CHECK(held_begin(held, LEN, granule));
    for (size_t i = 0; i < PAIRS; i++) {
        starts[i] = held_take(held, size_of(i));
        held_take(held, 2);
    }
}

/* Those cores that have a list. */
static void for_all(void (*run)(uint64_t granule)) { held_for_all(TEST_CORES / 2, run); }

/* Frees until there are so many; in the list as long as they fit. */
static void free_up_to(struct held *held, uint64_t *starts, uint64_t count)
{
    for (size_t i = 0; free_of(held) < count; i++) {
        CHECK(i < PAIRS);
        if (starts[i] == MODEL_NONE)
            continue;
        uint64_t before = listed_of(held);
        held_free(held, starts[i]);
        starts[i] = MODEL_NONE;
        CHECK_EQ(listed_of(held),
                 before == NOT_LISTED || free_of(held) > LIST_MAX ? NOT_LISTED : free_of(held));
        CHECK_SOUND(held->mem);
    }
    held_compare(held);
}

/* Fills free blocks, wholly, until there are so many; they are in the list again when they are few
 * enough. starts says which places are taken, not by which object: the lowest place with room may
 * be another than was freed. */
static void fill_down_to(struct held *held, uint64_t *starts, uint64_t count)
{
    for (size_t i = 0; free_of(held) > count; i++) {
        CHECK(i < PAIRS);
        if (starts[i] != MODEL_NONE)
            continue;
        uint64_t before = listed_of(held), blocks = free_of(held);
        uint64_t start = held_take(held, size_of(i));
        CHECK_EQ(listed_of(held),
                 before == NOT_LISTED && free_of(held) + 1 >= AGAIN ? NOT_LISTED : free_of(held));
        CHECK_SOUND(held->mem);
        if (free_of(held) == blocks)
            held_free(held, start); /* it was part of a larger block, or of the top block */
        else
            starts[i] = start;
    }
    held_compare(held);
}

static void to_and_fro(uint64_t granule)
{
    struct held held;
    uint64_t starts[PAIRS];
    begin(&held, granule, starts);
    CHECK_EQ(listed_of(&held), 0);
    free_up_to(&held, starts, LIST_MAX);
    fill_down_to(&held, starts, LIST_MAX - 10);
    CHECK_EQ(listed_of(&held), LIST_MAX - 10);
    free_up_to(&held, starts, LIST_MAX + 1);
    CHECK_EQ(listed_of(&held), NOT_LISTED);
    fill_down_to(&held, starts, AGAIN - 1);
    CHECK_EQ(listed_of(&held), NOT_LISTED); /* and the top block: AGAIN in all */
    fill_down_to(&held, starts, AGAIN - 2);
    CHECK_EQ(listed_of(&held), AGAIN - 2);
    free_up_to(&held, starts, LIST_MAX + 10);
    CHECK_EQ(listed_of(&held), NOT_LISTED);
    held_recover_from(&held, 0xff);
    CHECK_EQ(listed_of(&held), NOT_LISTED);
    fill_down_to(&held, starts, 0);
    CHECK_EQ(listed_of(&held), 0);
    held_recover_from(&held, 0);
    CHECK_EQ(listed_of(&held), NOT_LISTED);
    held_free(&held, held_take(&held, 1000)); /* in the top block: no block can move back */
    CHECK_EQ(listed_of(&held), 0);
    held_end(&held);
}

/* One connection wants no list: it moves the list into size bins, and the other connection moves
 * them back. */
static void two_ways_in_one_heap(uint64_t granule)
{
    struct held held;
    uint64_t starts[PAIRS];
    shmheap_memory_handle bins;
    begin(&held, granule, starts);
    test_choose_list_max(0);
    CHECK_EQ(shmheap_open_fd(&bins, shmheap_fd(held.mem), NULL), 0);
    struct held other = {bins, held.model, granule};
    for (size_t i = 0; i < TURNS; i++) {
        struct held *one = i % 2 == 0 ? &held : &other;
        one->model = i % 2 == 0 ? other.model : held.model;
        held_free(one, starts[i]);
        CHECK_SOUND(one->mem);
        if (one == &other)
            CHECK_EQ(listed_of(one), NOT_LISTED);
        else if (free_of(one) + 1 < AGAIN)
            CHECK_EQ(listed_of(one), free_of(one));
        uint64_t again = held_take(one, size_of(i));
        CHECK_SOUND(one->mem);
        if (i % 4 < 2)
            held_free(one, again);
    }
    held_compare(&other);
    shmheap_disconnect(bins);
    held.model = other.model;
    held_end(&held);
}

/* Allocates and frees, in the top block, while free_blocks says that there are few: they stay in
 * size bins and tree. */
static void free_as_if_few(struct held *held)
{
    struct control *control = held->mem.heap->control;
    uint64_t less = control->free_blocks - 5;
    control->free_blocks -= less;
    held_free(held, held_take(held, 1000));
    control->free_blocks += less;
    CHECK_EQ(listed_of(held), NOT_LISTED);
}

/* free_blocks says that there are few, but there are others, or too many to fit; then, a bit of one
 * is missing. All stay where they are. */
static void contradictions(uint64_t granule)
{
    const uint64_t counts[] = {
        PAIRS - 1, LIST_MAX + 1,
        AGAIN + 5}; /* of the first, more small ones than the list has room for */
    struct held held;
    uint64_t starts[PAIRS];
    begin(&held, granule, starts);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        free_up_to(&held, starts, PAIRS - 1);
        fill_down_to(&held, starts, counts[i]);
        free_as_if_few(&held);
        CHECK_SOUND(held.mem);
        held_compare(&held);
    }
    uint64_t first = MODEL_NONE, last = MODEL_NONE;
    for (size_t i = 0; i < held.model.count; i++)
        if (!held.model.spans[i].used && held.model.spans[i].start != model_top(&held.model)) {
            first = first == MODEL_NONE ? held.model.spans[i].start : first;
            last = held.model.spans[i].start;
        }
    const uint64_t gone[] = {first, last};
    for (size_t i = 0; i < 2; i++) {
        uint64_t *boundary = &held.mem.heap->bits[gone[i] / CHUNK_GRANULES].boundary,
                 was = *boundary;
        *boundary &= ~(UINT64_C(1) << gone[i] % CHUNK_GRANULES);
        free_as_if_few(&held);
        *boundary = was;
        CHECK_SOUND(held.mem);
    }
    fill_down_to(&held, starts, 0);
    CHECK_EQ(listed_of(&held), 0);
    held_end(&held);
}

/* Granules that a list has no numbers for. */
static void too_large_for_a_list(void)
{
    struct held held;
    if (!held_begin(&held, (UINT64_C(0x7fffffff) + 1) * 8, 8))
        return;
    uint64_t start = held_take(&held, 5);
    held_take(&held, 2);
    held_free(&held, start);
    CHECK_EQ(listed_of(&held), NOT_LISTED);
    CHECK_EQ(held_take(&held, 5), start);
    CHECK_EQ(listed_of(&held), NOT_LISTED);
    held_end(&held);
}

static void into_rows_and_back(void) { for_all(to_and_fro); }
static void two_connections_of_two_minds(void) { for_all(two_ways_in_one_heap); }
static void going_back_against_contradictions(void) { for_all(contradictions); }

static const struct test tests[] = {TEST(into_rows_and_back), TEST(two_connections_of_two_minds),
                                    TEST(going_back_against_contradictions),
                                    TEST(too_large_for_a_list)};
TEST_MAIN(tests)
