/* filtered.c: two tests, which filter_test.sh chooses by their names.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

static void first_of_both(void) { CHECK(test_rounds(1000) > 0); }
static void second_of_both(void) { CHECK(test_rounds(1000) <= 1000); }

static const struct test tests[] = {TEST(first_of_both), TEST(second_of_both)};
TEST_MAIN(tests)
