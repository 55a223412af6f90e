/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/cover/cover.h"

#include <stdlib.h>
#include <string.h>

enum {
    CANDIDATES = 24,
    NONE = 255,
    STRENGTH_MAX = 3,
    LAST_MAX = FACTORS * (FACTORS - 1) * (FACTORS - 2) / 6
};

/* A tuple: the factors in rising order, and a value of each. */
struct tuple {
    unsigned char factor[STRENGTH_MAX], value[STRENGTH_MAX];
};

/* What values rows may have. */
struct usable {
    int with_long;
    uint64_t lacking[FACTORS]; /* bits: this machine lacks the value */
};

/* struct cover: state of a tuple, by its number; the numbers of those not covered yet, in any
 * order. */
struct cover {
    unsigned strength;
    struct usable usable;
    uint64_t random;
    struct tuple *tuples;
    unsigned char *uncovered;
    size_t count, left;
    uint32_t last[LAST_MAX]; /* tuples that the last row was the first to have */
    unsigned last_count;
    struct cover_counts counts;
    size_t first[FACTORS], values; /* the number of a factor's first value, and of all values */
    uint32_t *number;              /* by factors and values: the tuple, or UINT32_MAX */
};

uint64_t cover_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int value_usable(const struct usable *usable, unsigned factor, unsigned value)
{
    return (usable->with_long || !table_factors[factor].values[value].long_only) &&
           !(usable->lacking[factor] >> value & 1);
}

/* Whether the value goes with all that the row has so far; NONE stands for what it has not. */
static int fits(const struct row *row, unsigned factor, unsigned value)
{
    for (unsigned f = 0; f < FACTORS; f++)
        if (f != factor && row->value[f] != NONE &&
            table_forbids((enum factor)f, row->value[f], (enum factor)factor, value) != NULL)
            return 0;
    return 1;
}

/* Whether values can be found for all factors that the row has none of. */
static int completable(const struct row *row, const struct usable *usable)
{
    struct row longer = *row;
    unsigned f = 0;
    while (f < FACTORS && row->value[f] != NONE)
        f++;
    if (f == FACTORS)
        return 1;
    for (unsigned v = 0; v < table_factors[f].count; v++) {
        longer.value[f] = (unsigned char)v;
        if (value_usable(usable, f, v) && fits(row, f, v) && completable(&longer, usable))
            return 1;
    }
    return 0;
}

int cover_pair_possible(enum factor a, unsigned a_value, enum factor b, unsigned b_value,
                        int with_long)
{
    struct row row;
    const struct usable usable = {.with_long = with_long};
    memset(row.value, NONE, sizeof row.value);
    row.value[a] = (unsigned char)a_value;
    row.value[b] = (unsigned char)b_value;
    return table_forbids(a, a_value, b, b_value) == NULL && completable(&row, &usable);
}

/* All values of all factors are numbered in one row. */
static size_t value_number(unsigned factor, unsigned value)
{
    size_t number = value;
    for (unsigned f = 0; f < factor; f++)
        number += table_factors[f].count;
    return number;
}

/* A number for the values of a tuple, below places(strength). */
static size_t place_of(const struct cover *cover, const struct tuple *tuple)
{
    size_t place = 0;
    for (unsigned i = 0; i < cover->strength; i++)
        place = place * cover->values + cover->first[tuple->factor[i]] + tuple->value[i];
    return place;
}

static size_t places(const struct cover *cover)
{
    return cover->values * cover->values * (cover->strength == 3 ? cover->values : 1);
}

static void tuple_add(struct cover *cover, const struct tuple *tuple)
{
    struct row row;
    int allowed = 1;
    memset(row.value, NONE, sizeof row.value);
    for (unsigned i = 0; i < cover->strength; i++) {
        allowed = allowed && fits(&row, tuple->factor[i], tuple->value[i]);
        row.value[tuple->factor[i]] = tuple->value[i];
    }
    if (!allowed) {
        cover->counts.forbidden++;
    } else if (!completable(&row, &cover->usable)) {
        cover->counts.implied++;
    } else {
        cover->number[place_of(cover, tuple)] = (uint32_t)cover->count;
        cover->tuples[cover->count] = *tuple;
        cover->uncovered[cover->count++] = 1;
    }
}

/* All tuples whose factors behind the first depth ones are still open. */
static void tuples_add(struct cover *cover, struct tuple *tuple, unsigned depth)
{
    if (depth == cover->strength) {
        tuple_add(cover, tuple);
        return;
    }
    for (unsigned f = depth == 0 ? 0 : tuple->factor[depth - 1] + 1u; f < FACTORS; f++)
        for (unsigned v = 0; v < table_factors[f].count; v++) {
            tuple->factor[depth] = (unsigned char)f;
            tuple->value[depth] = (unsigned char)v;
            if (value_usable(&cover->usable, f, v))
                tuples_add(cover, tuple, depth + 1);
        }
}

struct cover *cover_begin(uint64_t seed, unsigned strength, int with_long)
{
    struct cover *cover = calloc(1, sizeof *cover);
    struct tuple tuple;
    size_t room = strength == 2 ? 16384 : 524288;
    memset(&tuple, 0, sizeof tuple);
    cover->strength = strength;
    cover->usable.with_long = with_long;
    cover->random = seed;
    for (unsigned f = 0; f < FACTORS; f++)
        cover->first[f] = value_number(f, 0);
    cover->values = value_number(FACTORS, 0);
    cover->tuples = calloc(room, sizeof *cover->tuples);
    cover->uncovered = calloc(room, 1);
    cover->number = malloc(places(cover) * sizeof *cover->number);
    memset(cover->number, 0xff, places(cover) * sizeof *cover->number);
    tuples_add(cover, &tuple, 0);
    cover->left = cover->counts.possible = cover->count;
    return cover;
}

void cover_end(struct cover *cover)
{
    free(cover->tuples);
    free(cover->uncovered);
    free(cover->number);
    free(cover);
}

struct cover_counts cover_count(const struct cover *cover)
{
    struct cover_counts counts = cover->counts;
    counts.covered = counts.possible - cover->left;
    return counts;
}

/* New tuples that a row has, all of them or those with factor `with` alone (NONE: all); open
 * factors count for nothing. mark: they are covered now. */
static size_t row_gain(struct cover *cover, const struct row *row, unsigned with, int mark)
{
    size_t gain = 0;
    struct tuple t;
    unsigned last = cover->strength - 1;
    for (unsigned a = 0; a < FACTORS; a++)
        for (unsigned b = a + 1; b < FACTORS; b++)
            for (unsigned c = b + 1; c < (last == 2 ? FACTORS : b + 2); c++) {
                unsigned factors[STRENGTH_MAX] = {a, b, c};
                int wanted = with == NONE, open = 0;
                for (unsigned i = 0; i <= last; i++) {
                    wanted = wanted || factors[i] == with;
                    open = open || row->value[factors[i]] == NONE;
                    t.factor[i] = (unsigned char)factors[i];
                    t.value[i] = row->value[factors[i]];
                }
                uint32_t number = !wanted || open ? UINT32_MAX : cover->number[place_of(cover, &t)];
                if (number == UINT32_MAX || !cover->uncovered[number])
                    continue;
                gain++;
                if (mark) {
                    cover->uncovered[number] = 0;
                    cover->left--;
                    cover->last[cover->last_count++] = number;
                }
            }
    return gain;
}

static unsigned row_cost(const struct row *row)
{
    unsigned cost = 0;
    for (unsigned f = 0; f < FACTORS; f++)
        cost += table_factors[f].values[row->value[f]].cost;
    return cost;
}

/* Puts into *row the value of factor f that has most new tuples, the cheapest of those, among
 * those that leave the row completable. */
static void value_choose(struct cover *cover, struct row *row, unsigned f)
{
    unsigned best = NONE, start = (unsigned)(cover_random(&cover->random) % table_factors[f].count);
    size_t best_gain = 0;
    for (unsigned i = 0; i < table_factors[f].count; i++) {
        unsigned v = (start + i) % table_factors[f].count;
        struct row tried = *row;
        tried.value[f] = (unsigned char)v;
        if (!value_usable(&cover->usable, f, v) || !fits(row, f, v) ||
            !completable(&tried, &cover->usable))
            continue;
        size_t gain = row_gain(cover, &tried, f, 0);
        unsigned cost = table_factors[f].values[v].cost;
        if (best == NONE || gain > best_gain ||
            (gain == best_gain && cost < table_factors[f].values[best].cost)) {
            best = v;
            best_gain = gain;
        }
    }
    row->value[f] = (unsigned char)best;
}

/* A row around a tuple that is not covered, its other factors filled in random order. */
static struct row candidate(struct cover *cover)
{
    struct row row;
    size_t number = cover_random(&cover->random) % cover->count;
    while (!cover->uncovered[number])
        number = (number + 1) % cover->count;
    memset(row.value, NONE, sizeof row.value);
    for (unsigned i = 0; i < cover->strength; i++)
        row.value[cover->tuples[number].factor[i]] = cover->tuples[number].value[i];
    unsigned order[FACTORS];
    for (unsigned i = 0; i < FACTORS; i++) { /* a shuffle */
        unsigned other = (unsigned)(cover_random(&cover->random) % (i + 1));
        order[i] = order[other];
        order[other] = i;
    }
    for (unsigned i = 0; i < FACTORS; i++)
        if (row.value[order[i]] == NONE)
            value_choose(cover, &row, order[i]);
    return row;
}

int cover_next(struct cover *cover, struct row *row)
{
    size_t best_gain = 0;
    cover->last_count = 0;
    if (cover->left == 0)
        return 0;
    for (unsigned i = 0; i < CANDIDATES; i++) {
        struct row tried = candidate(cover);
        size_t gain = row_gain(cover, &tried, NONE, 0);
        if (gain > best_gain || (gain == best_gain && row_cost(&tried) < row_cost(row))) {
            *row = tried;
            best_gain = gain;
        }
    }
    row_gain(cover, row, NONE, 1);
    return 1;
}

/* Whether a row can have the tuple. */
static int tuple_possible(const struct cover *cover, const struct tuple *tuple)
{
    struct row row;
    memset(row.value, NONE, sizeof row.value);
    for (unsigned i = 0; i < cover->strength; i++) {
        if (!value_usable(&cover->usable, tuple->factor[i], tuple->value[i]))
            return 0;
        row.value[tuple->factor[i]] = tuple->value[i];
    }
    return completable(&row, &cover->usable);
}

void cover_lacks(struct cover *cover, enum factor factor, unsigned value)
{
    cover->usable.lacking[factor] |= UINT64_C(1) << value;
    for (; cover->last_count > 0; cover->left++)
        cover->uncovered[cover->last[--cover->last_count]] = 1;
    for (size_t i = 0; i < cover->count; i++)
        if (cover->uncovered[i] && !tuple_possible(cover, &cover->tuples[i])) {
            cover->uncovered[i] = 0;
            cover->left--;
            cover->counts.possible--;
            cover->counts.lacking++;
        }
}
