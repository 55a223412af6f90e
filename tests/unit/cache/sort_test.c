/* The sort of cached blocks: each number of entries, whatever their addresses are.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/cache/sort.h"
#include "tests/support/test.h"

enum { GRANULE = 8 };

/* Addresses differ in these bits. The highest bit of all is among the last. */
static const uintptr_t masks[] = {0,
                                  0x8,
                                  0x1f8,
                                  0x200,
                                  0x3ff8,
                                  0x7000000 + 0x38,
                                  UINTPTR_MAX / 16 + 1,
                                  (uintptr_t)-GRANULE,
                                  ~(UINTPTR_MAX / 2) + 0x38};

/* A header tells the place that the entry had. */
static void fill(struct cache_entry *entries, unsigned count, uintptr_t mask,
                 struct test_random *random)
{
    for (unsigned i = 0; i < count; i++)
        entries[i] =
            (struct cache_entry){(unsigned char *)((uintptr_t)test_random_next(random) & mask), i};
}

static void check_sorted(const struct cache_entry *entries, const struct cache_entry *before,
                         unsigned count)
{
    static unsigned char seen[SORT_MOST];
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < count; i++) {
        CHECK(i == 0 || (uintptr_t)entries[i - 1].payload <= (uintptr_t)entries[i].payload);
        CHECK(entries[i].header < count && !seen[entries[i].header]);
        CHECK_PTR(entries[i].payload, before[entries[i].header].payload);
        seen[entries[i].header] = 1;
    }
}

static void check_sort(struct cache_entry *entries, unsigned count)
{
    static struct cache_entry before[SORT_MOST];
    memcpy(before, entries, count * sizeof *entries);
    entries_sort(entries, count);
    check_sorted(entries, before, count);
    memcpy(before, entries, count * sizeof *entries);
    for (unsigned i = 0; i < count; i++)
        before[i].header = entries[i].header = i;
    entries_sort(entries, count); /* again */
    for (unsigned i = 0; i < count; i++)
        CHECK(entries[i].payload == before[i].payload && entries[i].header == i);
}

static void entries_of_any_addresses(void)
{
    static struct cache_entry entries[SORT_MOST + 1];
    struct test_random random = test_random_begin(1);
    for (unsigned count = 0; count <= SORT_MOST; count++)
        for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
            fill(entries, count, masks[i], &random);
            entries[count] = (struct cache_entry){NULL, 77}; /* not touched */
            check_sort(entries, count);
            CHECK(entries[count].payload == NULL && entries[count].header == 77);
        }
}

/* One entry at the wrong end, or two neighbours exchanged, among entries in order. */
static void nearly_sorted(void)
{
    static struct cache_entry entries[SORT_MOST];
    for (unsigned at = 0; at + 1 < SORT_MOST; at++) {
        for (unsigned i = 0; i < SORT_MOST; i++) {
            unsigned place = i == at ? at + 1 : i == at + 1 ? at : i;
            entries[i] =
                (struct cache_entry){(unsigned char *)((uintptr_t)(place + 1) * GRANULE), i};
        }
        check_sort(entries, SORT_MOST);
    }
}

static void runs(void)
{
    static struct cache_entry entries[SORT_MOST];
    for (unsigned gaps = 0; gaps <= 4; gaps++) {
        for (unsigned i = 0; i < 24; i++)
            entries[i] = (struct cache_entry){
                (unsigned char *)((uintptr_t)(i + 1 + (i < gaps ? i : gaps)) * GRANULE), 0};
        CHECK_EQ(entries_are_runs(entries, 24, GRANULE), gaps <= 3);
    }
    CHECK(entries_are_runs(entries, 0, GRANULE) && entries_are_runs(entries, 1, GRANULE));
}

static const struct test tests[] = {TEST(entries_of_any_addresses), TEST(nearly_sorted),
                                    TEST(runs)};
TEST_MAIN(tests)
