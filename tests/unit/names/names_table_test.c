/* The table of names: how large it is after each change, where it lies, and what it has of names
 * that have gone.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/names/departed.h"
#include "c/src/names/table.h"
#include "tests/support/test.h"

enum { NAMES = 700, LEAST = 64, ALIKE = 5 };

void (*shmheap_load_hook)(const void *word);
static const void *watched;
static unsigned loads_of_watched;

static void count_load(const void *word) { loads_of_watched += word == watched; }

static void *named(shmheap_memory_handle mem, unsigned i)
{
    char text[16];
    snprintf(text, sizeof text, "%u", i);
    return shmheap_alloc_named(mem, text, 8);
}

static uint64_t entries_of(shmheap_memory_handle mem)
{
    struct table table = names_table_now(mem.heap);
    return table.entries != NULL ? table.mask + 1 : 0;
}

static uint64_t filled(shmheap_memory_handle mem)
{
    struct table table = names_table_now(mem.heap);
    uint64_t count = 0;
    for (uint64_t i = 0; table.entries != NULL && i <= table.mask; i++)
        count += table.entries[i] != 0;
    return count;
}

/* A power of two, twice the number at least. */
static uint64_t entries_for(uint64_t names)
{
    uint64_t entries = LEAST;
    while (entries < 2 * names)
        entries *= 2;
    return entries;
}

/* A table of so many entries: the same one where the number is the same. */
static void check_table(shmheap_memory_handle mem, uint64_t entries, uint64_t names)
{
    static uint64_t before, granule;
    CHECK_EQ(entries_of(mem), entries);
    CHECK_EQ(filled(mem), names);
    if (entries == before && entries != 0)
        CHECK_EQ(names_table_now(mem.heap).granule, granule);
    before = entries;
    granule = names_table_now(mem.heap).granule;
    CHECK_SOUND(mem);
}

static void its_size_follows_the_names(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    static void *objects[NAMES];
    uint64_t expected = 0;
    CHECK_EQ(entries_of(mem), 0);
    for (unsigned names = 1; names <= NAMES; names++) {
        CHECK((objects[names - 1] = named(mem, names)) != NULL);
        expected = 2 * names > expected ? entries_for(names) : expected;
        check_table(mem, expected, names);
    }
    for (unsigned names = NAMES; names-- > 0;) {
        CHECK_EQ(shmheap_try_free(mem, objects[names]), 0);
        if (expected > LEAST && names <= expected / 8)
            expected = entries_for(2 * names);
        check_table(mem, names != 0 ? expected : 0, names);
    }
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

/* A larger or smaller table takes the entries of the one before it, and reads no record. */
static void a_new_one_takes_the_entries_of_the_old(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    static void *objects[NAMES];
    CHECK((objects[0] = named(mem, 0)) != NULL);
    const struct name_record *record = NULL;
    struct table table = names_table_now(mem.heap);
    for (uint64_t i = 0; record == NULL && i <= table.mask; i++)
        if (table.entries[i] != 0)
            record = names_record_at(mem.heap, (table.entries[i] & HEADER_SIZE_MASK) - 1);
    CHECK(record != NULL);
    watched = &record->hash;
    shmheap_load_hook = count_load;
    for (unsigned i = 1; i < NAMES; i++)
        CHECK((objects[i] = named(mem, i)) != NULL);
    for (unsigned i = NAMES; i-- > 1;)
        CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
    CHECK_EQ(loads_of_watched, 0);
    CHECK_EQ(shmheap_try_free(mem, objects[0]), 0);
    CHECK_EQ(loads_of_watched, 1);
    shmheap_load_hook = NULL;
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

/* It goes where it would be made now, if that is lower. */
static void the_smallest_one_moves_down(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 16, 0, 0);
    void *low = shmheap_alloc(mem, 2000), *stays = named(mem, 1), *goes = named(mem, 2);
    CHECK(low != NULL && stays != NULL && goes != NULL);
    uint64_t before = names_table_now(mem.heap).granule;
    CHECK_EQ(shmheap_try_free(mem, goes), 0);
    CHECK_EQ(names_table_now(mem.heap).granule, before);
    CHECK((goes = named(mem, 2)) != NULL);
    CHECK_EQ(shmheap_try_free(mem, low), 0);
    CHECK((goes = named(mem, 3)) != NULL && names_table_now(mem.heap).granule == before);
    CHECK_EQ(shmheap_try_free(mem, goes), 0);
    CHECK(names_table_now(mem.heap).granule < before);
    CHECK_PTR(shmheap_find(mem, "1", NULL), stays);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Where there is no space for a table, names are found without, and it comes once there is. */
static void without_space(void)
{
    enum { TAKEN_MOST = (1 << 16) / 16 };
    shmheap_memory_handle mem = test_anonymous(1 << 16, 0, 0);
    void *taken[TAKEN_MOST], *large = shmheap_alloc(mem, 1000), *objects[3];
    for (unsigned i = 0; i < 3; i++)
        CHECK((objects[i] = named(mem, i)) != NULL);
    names_table_drop(mem.heap);
    CHECK_LE(1, test_take_all(mem, taken, TAKEN_MOST));
    CHECK_PTR(shmheap_find(mem, "1", NULL), objects[1]);
    CHECK_SOUND(mem);
    CHECK_EQ(shmheap_try_free(mem, objects[0]), 0);
    CHECK_EQ(entries_of(mem), 0);
    CHECK_EQ(shmheap_try_free(mem, large), 0);
    CHECK_EQ(shmheap_try_free(mem, objects[1]), 0);
    CHECK_EQ(entries_of(mem), LEAST);
    CHECK_EQ(filled(mem), 1);
    CHECK_PTR(shmheap_find(mem, "2", NULL), objects[2]);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void set_all_hashes(shmheap_memory_handle mem, uint64_t hash)
{
    struct block_step step = {0, 0, 0};
    for (; block_walk_at(mem.heap, &step, mem.heap->end) == BLOCK_WALK_BLOCK;
         block_walk_next(&step)) {
        struct name_record *record = names_record_at(mem.heap, step.granule);
        if (record != NULL)
            record->hash = hash;
    }
    names_recover(mem.heap);
}

/* Names of one hash lie side by side, around the table's end: in whatever order they go, those that
 * remain stay, and can go. */
static void names_that_hash_alike_go_one_by_one(void)
{
    for (uint64_t home = LEAST - ALIKE; home < LEAST; home++)
        for (unsigned first = 0; first < ALIKE; first++) {
            shmheap_memory_handle mem = test_anonymous(1 << 16, 0, 0);
            void *objects[ALIKE];
            for (unsigned i = 0; i < ALIKE; i++)
                CHECK((objects[i] = named(mem, i)) != NULL);
            set_all_hashes(mem, home << ENTRY_HASH_SHIFT);
            CHECK_EQ(filled(mem), ALIKE);
            for (unsigned i = 0; i < ALIKE; i++) {
                CHECK_EQ(shmheap_try_free(mem, objects[(first + 2 * i) % ALIKE]), 0);
                CHECK_EQ(filled(mem), ALIKE - 1 - i);
            }
            test_check_empty(mem);
            shmheap_disconnect(mem);
        }
}

static const struct test tests[] = {TEST(its_size_follows_the_names),
                                    TEST(a_new_one_takes_the_entries_of_the_old),
                                    TEST(the_smallest_one_moves_down), TEST(without_space),
                                    TEST(names_that_hash_alike_go_one_by_one)};
TEST_MAIN(tests)
