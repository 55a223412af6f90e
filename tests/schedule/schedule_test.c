/* schedule_test.c: real processes under a scheduler that decides at each load and store.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"
#include "tests/support/test.h"

#define EXPLORE(name)                                                                              \
    static void schedules_of_##name(void) { explore(&name); }

EXPLORE(free_beside_alloc)

static const struct test tests[] = {TEST(schedules_of_free_beside_alloc)};
TEST_MAIN(tests)
