/* The covering arrays themselves: every pair that the constraints allow is in some row, no row
 * has a pair that they exclude, and the same seed gives the same rows. Prints the counts.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/seams/cover.h"

enum { ROWS_MAX = 8192, SEEDS = 5 };

static struct row rows[ROWS_MAX];
static int failures;

static void fail(const char *what, enum factor a, unsigned a_value, enum factor b, unsigned b_value)
{
    fprintf(stderr, "%s: %s=%s with %s=%s\n", what, table_factors[a].name,
            table_factors[a].values[a_value].word, table_factors[b].name,
            table_factors[b].values[b_value].word);
    failures++;
}

static size_t rows_take(uint64_t seed, unsigned strength, int with_long,
                        struct cover_counts *counts)
{
    struct cover *cover = cover_begin(seed, strength, with_long);
    size_t count = 0;
    while (count < ROWS_MAX && cover_next(cover, &rows[count]))
        count++;
    *counts = cover_count(cover);
    cover_end(cover);
    return count;
}

/* Whether some row has both values: looked up in the rows, not in what the generator believes. */
static int rows_have(size_t count, enum factor a, unsigned a_value, enum factor b, unsigned b_value)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].value[a] == a_value && rows[i].value[b] == b_value)
            return 1;
    return 0;
}

static void pair_check(size_t count, enum factor a, unsigned a_value, enum factor b,
                       unsigned b_value, int with_long)
{
    int excluded = table_forbids(a, a_value, b, b_value) != NULL;
    int usable = with_long || (!table_factors[a].values[a_value].long_only &&
                               !table_factors[b].values[b_value].long_only);
    int there = rows_have(count, a, a_value, b, b_value);
    if (usable && !excluded && !cover_pair_possible(a, a_value, b, b_value, with_long))
        fail("no constraint excludes the pair, but no row can have it", a, a_value, b, b_value);
    if (usable && !excluded && !there)
        fail("no row has the pair, which is allowed", a, a_value, b, b_value);
    if ((excluded || !usable) && there)
        fail("a row has the pair, which is excluded", a, a_value, b, b_value);
}

static void pairs_check(size_t count, int with_long)
{
    for (unsigned a = 0; a < FACTORS; a++)
        for (unsigned b = a + 1; b < FACTORS; b++)
            for (unsigned v = 0; v < table_factors[a].count; v++)
                for (unsigned w = 0; w < table_factors[b].count; w++)
                    pair_check(count, (enum factor)a, v, (enum factor)b, w, with_long);
}

/* The text of each row, parsed, is the row. */
static void texts_check(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[ROW_TEXT_MAX];
        struct row again;
        table_row_print(&rows[i], text);
        if (table_row_parse(&again, text) != 0 || memcmp(&again, &rows[i], sizeof again) != 0) {
            fprintf(stderr, "the row's text is not parsed to the row: %s\n", text);
            failures++;
        }
    }
}

static void run(uint64_t seed, unsigned strength, int with_long)
{
    struct cover_counts counts, again;
    size_t count = rows_take(seed, strength, with_long, &counts);
    pairs_check(count, with_long);
    texts_check(count);
    printf("seed %llu, strength %u%s: %zu rows; %zu tuples possible, %zu covered, %zu excluded, "
           "%zu implied\n",
           (unsigned long long)seed, strength, with_long ? ", long" : "", count, counts.possible,
           counts.covered, counts.forbidden, counts.implied);
    if (counts.covered != counts.possible || (strength == 2 && counts.implied != 0)) {
        fprintf(stderr, "not all are covered, or a pair is excluded without a reason\n");
        failures++;
    }
    if (rows_take(seed, strength, with_long, &again) != count || again.covered != counts.covered) {
        fprintf(stderr, "the same seed gave other rows\n");
        failures++;
    }
}

int main(void)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed, 2, 0);
        run(seed, 2, 1);
    }
    run(1, 3, 0);
    return failures != 0;
}
