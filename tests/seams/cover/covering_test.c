/* The covering arrays themselves: every pair that the constraints allow is in some row, no row
 * has a pair that they exclude, and the same seed gives the same rows. Prints the counts.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/seams/cover/cover.h"

enum { ROWS_MAX = 8192, SEEDS = 2 };

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

static int rows_with(size_t count, enum factor factor, unsigned value)
{
    int rows_that_have = 0;
    for (size_t i = 0; i < count; i++)
        rows_that_have += rows[i].value[factor] == value;
    return rows_that_have;
}

/* Pairs that are allowed, have no value that is lacking, and are in no row. */
static unsigned pairs_missing(size_t count, enum factor factor, unsigned value)
{
    unsigned missing = 0;
    for (unsigned a = 0; a < FACTORS; a++)
        for (unsigned b = a + 1; b < FACTORS; b++)
            for (unsigned v = 0; v < table_factors[a].count; v++)
                for (unsigned w = 0; w < table_factors[b].count; w++)
                    missing += !(a == factor && v == value) && !(b == factor && w == value) &&
                               cover_pair_possible((enum factor)a, v, (enum factor)b, w, 0) &&
                               !table_factors[a].values[v].long_only &&
                               !table_factors[b].values[w].long_only &&
                               !rows_have(count, (enum factor)a, v, (enum factor)b, w);
    return missing;
}

/* A machine that lacks the value of the row `at`: no row after it has the value, and all pairs
 * without it are in other rows. */
static void run_lacking(uint64_t seed, size_t at, enum factor factor)
{
    struct cover *cover = cover_begin(seed, 2, 0);
    size_t count = 0, ran = 0;
    unsigned value = 0;
    for (; ran < ROWS_MAX && cover_next(cover, &rows[ran]); count++)
        if (count == at)
            cover_lacks(cover, factor, value = rows[ran].value[factor]);
        else
            ran++;
    struct cover_counts counts = cover_count(cover);
    cover_end(cover);
    unsigned missing = pairs_missing(ran, factor, value);
    size_t before = at < ran ? at : ran;
    memmove(rows, rows + before, (ran - before) * sizeof *rows); /* those after it */
    int with = rows_with(ran - before, factor, value);
    printf("seed %llu, lacking %s=%s from row %zu on: %zu rows; %zu tuples possible, %zu covered, "
           "%zu lacking\n",
           (unsigned long long)seed, table_factors[factor].name,
           table_factors[factor].values[value].word, at, ran, counts.possible, counts.covered,
           counts.lacking);
    if (missing != 0 || with != 0 || counts.covered != counts.possible ||
        (at == 0 && counts.lacking == 0)) {
        fprintf(stderr, "a value that is lacking is in %d rows; %u other pairs are in none\n", with,
                missing);
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
    run_lacking(1, 0, MEMORY);
    for (size_t at = 50; at < 270; at += 40) /* late rows have pairs that no other row has */
        run_lacking(at, at, ALIGNMENT);
    return failures != 0;
}
