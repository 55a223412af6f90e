/* The search index in the shapes that matter within some chunks: what stands where in a chunk of 64
 * granules, over its borders, several free blocks of one size, exact fits. Each heap is held
 * against the model, and checked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"
#include "tests/unit/search/held.h"

enum { CHUNK = 64, LEN = 12000, BLOCKS_MAX = 200, MIXED_HEAPS = 66, MIXED_CALLS = 3000, MANY = 90 };

static void for_all(void (*run)(uint64_t granule)) { held_for_all(TEST_CORES, run); }

static struct held begin(uint64_t len, uint64_t granule)
{
    struct held held;
    CHECK(held_begin(&held, len, granule));
    return held;
}

/* Frees all objects: one free block remains. */
static void end(struct held *held)
{
    for (size_t i = 0; i < held->model.count;) {
        if (held->model.spans[i].used)
            held_free(held, held->model.spans[i].start), i = 0;
        else
            i++;
    }
    test_check_empty(held->mem);
    held_end(held);
}

/* [ free ][ USED ][ free ][ USED ]...[ free of need ][ USED ]
 * Free blocks too small by one or more, as many as a chunk has but at most "most", before one that
 * is large enough and ends in the chunk or behind it: the search finds the large one. */
static void passed_over(struct held *held, uint64_t small, uint64_t gap, uint64_t most)
{
    uint64_t starts[CHUNK], count = 0;
    for (uint64_t at = 0; at + small + gap < CHUNK && count < most; at += small + gap) {
        starts[count++] = held_take(held, small);
        held_take(held, gap);
    }
    for (uint64_t i = 0; i < count; i++)
        held_free(held, starts[i]);
    for (uint64_t need = small + 1; need <= CHUNK + 2; need++) {
        uint64_t wanted = held_take(held, need), stopper = held_take(held, need);
        held_free(held, wanted);
        CHECK_EQ(held_take(held, need), wanted);
        held_free(held, wanted);
        if (need > small + held->model.block_min)
            held_free(held, held_take(held, small + 1));
        held_free(held, stopper);
    }
    CHECK_SOUND(held->mem);
}

static void smaller_ones_are_passed_over(uint64_t granule)
{
    const uint64_t gaps[] = {1, 2, 3, 5, 8, 16, 31};
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        struct held held = begin(LEN, granule);
        for (uint64_t small = held.model.block_min; small + gaps[i] < CHUNK; small++) {
            if (gaps[i] < held.model.block_min)
                continue;
            passed_over(&held, small, gaps[i], CHUNK);
            held_end(&held);
            held = begin(LEN, granule);
            passed_over(&held, small, gaps[i], 1);
            held_end(&held);
            held = begin(LEN, granule);
        }
        end(&held);
    }
}

/* [ offset ][ A ][ gap ][ A ][ gap ][ A ][ gap ][ A ][ gap ]   the As of one size. */
struct row {
    struct held *held;
    uint64_t size, places[4], gaps[4];
};

static void free_places(struct row *row, unsigned order)
{
    static const unsigned char orders[][4] = {
        {0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    for (unsigned i = 0; i < 4; i++) {
        held_free(row->held, row->places[orders[order][i]]);
        CHECK_SOUND(row->held->mem);
    }
}

static void take_places(struct row *row)
{
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(held_take(row->held, row->size), row->places[i]);
        CHECK_SOUND(row->held->mem);
    }
}

/* The free As become one with the gaps between them, then all are made again. */
static void merge_gaps(struct row *row, unsigned order, uint64_t gap)
{
    static const unsigned char orders[][3] = {{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}};
    free_places(row, order);
    for (unsigned i = 0; i < 3; i++) {
        held_free(row->held, row->gaps[orders[order][i]]);
        CHECK_SOUND(row->held->mem);
    }
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(held_take(row->held, row->size), row->places[i]);
        CHECK_SOUND(row->held->mem);
        if (i < 3)
            CHECK_EQ(held_take(row->held, gap), row->gaps[i]);
    }
}

/* Part of an A in use: the rest is of another size, and of the As one is missing. */
static void take_parts(struct row *row, unsigned order)
{
    uint64_t part = row->size / 2;
    if (part < row->held->model.block_min || row->size - part < row->held->model.block_min)
        return;
    free_places(row, order);
    uint64_t first = held_take(row->held, part), second = held_take(row->held, row->size);
    CHECK_EQ(first, row->places[0]);
    CHECK_EQ(second, row->places[1]);
    CHECK_SOUND(row->held->mem);
    CHECK_EQ(held_take(row->held, row->size - part), row->places[0] + part);
    CHECK_SOUND(row->held->mem);
    held_free(row->held, row->places[0] + part);
    held_free(row->held, first);
    held_free(row->held, second);
    take_places(row);
}

static void several_at(uint64_t granule, uint64_t offset, uint64_t size)
{
    struct held held = begin(LEN, granule);
    uint64_t gap = held.model.block_min;
    struct row row = {.held = &held, .size = size};
    if (offset >= held.model.block_min)
        held_take(&held, offset);
    for (unsigned i = 0; i < 4; i++) {
        row.places[i] = held_take(&held, size);
        row.gaps[i] = held_take(&held, gap);
    }
    for (unsigned order = 0; order < 4; order++) {
        free_places(&row, order);
        take_places(&row);
        merge_gaps(&row, order, gap);
        take_parts(&row, order);
    }
    held_compare(&held);
    held_recover_from(&held, (unsigned char)(0xff * (offset % 2)));
    held_end(&held);
}

static void several_of_one_size(uint64_t granule)
{
    const uint64_t sizes[] = {1, 2, 3, 4, 7, 8, 15, 16, 20, 31, 32, 33, 62, 63, 64, 65, 66, 130};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (uint64_t offset = 0; offset < CHUNK && sizes[i] >= (granule == 8 ? 2 : 1); offset++)
            several_at(granule, offset, sizes[i]);
}

/* Mixed -------------------------------------------------------------------- */

struct mixed {
    struct held held;
    struct test_random random;
    uint64_t starts[BLOCKS_MAX + MANY];
    size_t count;
    uint64_t refused, aligned, moved;
};

static uint64_t mixed_size(struct mixed *mixed)
{
    static const unsigned char often[] = {1,  2,  2,  3,   3,   4,   5,   8,  15, 16,
                                          17, 31, 32, 33,  47,  61,  62,  63, 63, 64,
                                          64, 65, 66, 100, 127, 128, 129, 200};
    uint64_t size = often[test_random_below(&mixed->random, sizeof often)];
    return size < mixed->held.model.block_min ? mixed->held.model.block_min : size;
}

static void mixed_add(struct mixed *mixed, uint64_t start)
{
    if (start != MODEL_NONE)
        mixed->starts[mixed->count++] = start;
    else
        mixed->refused++;
}

static void mixed_make(struct mixed *mixed)
{
    uint64_t choice = test_random_below(&mixed->random, 8), size = mixed_size(mixed);
    if (choice == 0) {
        size_t count = 1 + test_random_below(&mixed->random, MANY);
        size = size < 8 ? size : mixed->held.model.block_min + size % 5;
        mixed->count += held_alloc_many(&mixed->held, size, count, mixed->starts + mixed->count);
    } else if (choice == 1) {
        mixed_add(mixed, held_alloc_aligned(&mixed->held, size,
                                            2 * mixed->held.granule
                                                << test_random_below(&mixed->random, 6)));
        mixed->aligned++;
    } else {
        mixed_add(mixed, held_alloc(&mixed->held, size));
    }
}

static uint64_t mixed_pick(struct mixed *mixed)
{
    size_t at = test_random_below(&mixed->random, mixed->count);
    uint64_t start = mixed->starts[at];
    mixed->starts[at] = mixed->starts[--mixed->count];
    return start;
}

static void mixed_free_many(struct mixed *mixed)
{
    size_t count = 1 + test_random_below(&mixed->random, mixed->count);
    mixed->count -= count;
    held_free_many(&mixed->held, mixed->starts + mixed->count, count);
}

static void mixed_step(struct mixed *mixed, size_t target)
{
    uint64_t choice = test_random_below(&mixed->random, 100);
    if (mixed->count < BLOCKS_MAX &&
        (mixed->count == 0 || choice < (mixed->count < target ? 55u : 30u))) {
        mixed_make(mixed);
    } else if (choice < 80) {
        held_free(&mixed->held, mixed_pick(mixed));
    } else if (choice < 83) {
        mixed_free_many(mixed);
    } else {
        uint64_t start = mixed_pick(mixed),
                 now = held_resize(&mixed->held, start, mixed_size(mixed));
        mixed->moved += now != start;
        mixed->starts[mixed->count++] = now;
    }
}

/* A heap of 2 to 25 chunks, of any number of granules. */
static void mixed_heap(struct mixed *mixed, uint64_t granule, size_t calls)
{
    size_t target = 0;
    mixed->count = 0;
    mixed->held = begin(128 * granule + test_random_below(&mixed->random, 1500 * granule), granule);
    for (size_t i = 0; i < calls; i++) {
        if (i % (calls / 4) == 0)
            target = test_random_below(&mixed->random, BLOCKS_MAX);
        mixed_step(mixed, target);
        CHECK_SOUND(mixed->held.mem);
        if (i % 100 == 0)
            held_compare(&mixed->held);
        if (i % 333 == 0)
            held_recover_from(&mixed->held, (unsigned char)test_random_below(&mixed->random, 256));
    }
    end(&mixed->held);
}

static void mixed_calls(uint64_t granule)
{
    static struct mixed mixed;
    memset(&mixed, 0, sizeof mixed);
    mixed.random = test_random_begin(granule);
    for (size_t i = 0; i < MIXED_HEAPS; i++)
        mixed_heap(&mixed, granule, test_quarter(MIXED_CALLS));
    CHECK(mixed.refused && mixed.aligned && mixed.moved);
    printf("  granule %u: %zu calls, %llu refused, %llu aligned, %llu moved\n", (unsigned)granule,
           MIXED_HEAPS * test_quarter(MIXED_CALLS), (unsigned long long)mixed.refused,
           (unsigned long long)mixed.aligned, (unsigned long long)mixed.moved);
}

/* Behind the region there is something else, which the heap neither changes nor is misled by:
 * granule 0 and the last one are both at its borders here, and there is no top. */
static void nothing_behind_the_end(uint64_t granule)
{
    static unsigned char memory[65536] __attribute__((aligned(4096)));
    static void *taken[4096];
    for (size_t len = 3000; len < 3040; len += 5) {
        const shmheap_options options = {.len = len, .alignment = (size_t)granule};
        shmheap_memory_handle mem;
        memset(memory, 0xff, sizeof memory);
        CHECK_EQ(shmheap_create_at(&mem, memory, sizeof memory, &options), 0);
        const unsigned char *behind = (unsigned char *)shmheap_underlying(mem) + len;
        size_t count = test_take_all(mem, taken, sizeof taken / sizeof *taken);
        CHECK_EQ(shmheap_try_free(mem, taken[0]), 0);
        void *first = taken[0], *again = NULL;
        CHECK_EQ(shmheap_alloc_many(mem, shmheap_usable_size(mem, taken[1]), 1, &again), 1);
        CHECK_PTR(again, first);
        CHECK_EQ(shmheap_try_free(mem, again), 0);
        CHECK_EQ(shmheap_free_many(mem, taken + 1, count - 1), count - 1);
        test_check_empty(mem);
        while (behind < memory + sizeof memory)
            CHECK_EQ(*behind++, 0xff);
        shmheap_disconnect(mem);
    }
}

static void passing_over_smaller_ones(void) { for_all(smaller_ones_are_passed_over); }
static void several_free_ones_of_one_size(void) { for_all(several_of_one_size); }
static void mixed_calls_in_small_heaps(void) { for_all(mixed_calls); }

static void what_is_behind_the_end(void) { for_all(nothing_behind_the_end); }

static const struct test tests[] = {TEST(passing_over_smaller_ones),
                                    TEST(several_free_ones_of_one_size),
                                    TEST(mixed_calls_in_small_heaps), TEST(what_is_behind_the_end)};
TEST_MAIN(tests)
