/* cover.h: rows that cover all pairs, or all triples, of values of the table.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A tuple is a value of each of two (or three) factors. Each row is chosen greedily: of some
 * candidates, each built around a tuple that no row has yet, the one that has most new tuples,
 * and the cheapest of those. */
#ifndef TESTS_SEAMS_COVER_H
#define TESTS_SEAMS_COVER_H

#include "tests/seams/cover/table.h"

struct cover;

/* strength: 2 or 3. with_long: also the values that only the long run has. The same seed gives
 * the same rows. */
struct cover *cover_begin(uint64_t seed, unsigned strength, int with_long);
void cover_end(struct cover *cover);

/* The next row: 1, or 0 when all tuples are covered. */
int cover_next(struct cover *cover, struct row *row);

/* The row that came last could not be run, since this machine lacks a value of it: its tuples are
 * open again, and no further row has the value. Before the first row: no row has the value. */
void cover_lacks(struct cover *cover, enum factor factor, unsigned value);

/* Tuples that rows can have, tuples that the rows so far have, and tuples that the constraints
 * exclude: by a pair in them, or (implied) since no value of some factor goes with them. lacking:
 * tuples that no row has, since this machine lacks a value. */
struct cover_counts {
    size_t possible, covered, forbidden, implied, lacking;
};
struct cover_counts cover_count(const struct cover *cover);

/* Whether a row can have both values, together with some value of each other factor. */
int cover_pair_possible(enum factor a, unsigned a_value, enum factor b, unsigned b_value,
                        int with_long);

/* splitmix64 */
uint64_t cover_random(uint64_t *state);

#endif
