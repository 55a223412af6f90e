/* breaks.h: for each rule of FORMAT.md the ways to break that rule alone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_BREAKS_H
#define TESTS_UNIT_BREAKS_H

#include "tests/unit/inspect/target.h"

/* Breaks the rule in one of several ways, and returns the offset that the report has to name;
 * no_such_way where there is no way of that number. */
typedef uint64_t break_write(struct target *target, unsigned way);

extern const uint64_t no_such_way;

/* The first of a size bin: it does not apply to a heap whose free blocks are in the list. */
break_write break_firsts;

enum { BREAKS = 18 };
extern const struct rule_break {
    unsigned rule;
    break_write *write;
} breaks[BREAKS];

#endif
