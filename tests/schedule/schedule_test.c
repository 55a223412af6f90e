/* schedule_test.c: real processes under a scheduler that decides at each load and store.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/schedule/scenarios/scenarios.h"
#include "tests/support/test.h"

#define EXPLORE(name)                                                                              \
    static void schedules_of_##name(void) { explore(&name); }
SCENARIOS(EXPLORE)

#define LIST(name) TEST(schedules_of_##name),
static const struct test tests[] = {SCENARIOS(LIST)};
TEST_MAIN(tests)
