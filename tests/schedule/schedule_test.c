/* schedule_test.c: real processes under a scheduler that decides at each load and store.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/schedule/scenarios/scenarios.h"
#include "tests/support/test.h"

#define EXPLORE(name)                                                                              \
    static void schedules_of_##name(void) { explore(&name); }
SCENARIOS(EXPLORE)

/* A mistyped name would match no scenario, and each would pass. */
static void a_plan_names_a_scenario(void)
{
    const char *plan = getenv("SHMHEAP_SCHEDULE");
    int found = plan == NULL;
#define FIND(name) found |= plan != NULL && explore_is_asked(&name, plan);
    SCENARIOS(FIND)
    if (!found)
        test_fail(__FILE__, __LINE__, "SHMHEAP_SCHEDULE names no scenario: '%s'", plan);
}

#define LIST(name) TEST(schedules_of_##name),
static const struct test tests[] = {TEST(a_plan_names_a_scenario), SCENARIOS(LIST)};
TEST_MAIN(tests)
