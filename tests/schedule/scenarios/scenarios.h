/* scenarios.h: what the processes do.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCHEDULE_SCENARIOS_H
#define TESTS_SCHEDULE_SCENARIOS_H

#include "tests/schedule/schedule.h"

/* memory.c */
extern const struct scenario free_beside_alloc;

#endif
