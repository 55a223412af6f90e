/* The table of run masks: each length of a run, each place, and words of several runs, held against
 * a search bit by bit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/run_masks.h"
#include "tests/support/test.h"

enum { BITS = 64, WORDS = 2000 };

static uint64_t by_mask(uint64_t ones, unsigned n)
{
    for (unsigned i = 0; i < RUN_MASK_STEPS; i++)
        ones &= ones >> run_masks[n].shifts[i];
    return ones;
}

static uint64_t bit_by_bit(uint64_t ones, unsigned n)
{
    uint64_t begins = 0;
    for (unsigned at = 0; at + n <= BITS; at++) {
        unsigned len = 0;
        while (len < n && ones >> (at + len) & 1)
            len++;
        if (len == n)
            begins |= UINT64_C(1) << at;
    }
    return begins;
}

/* A run that is just as long, one longer and one shorter, at each place. */
static void one_run(void)
{
    for (unsigned n = 1; n <= RUN_MASK_MAX; n++)
        for (unsigned len = n > 1 ? n - 1 : 1; len <= n + 1 && len <= BITS; len++)
            for (unsigned at = 0; at + len <= BITS; at++) {
                uint64_t ones = ~UINT64_C(0) >> (BITS - len) << at;
                CHECK_EQ(by_mask(ones, n), bit_by_bit(ones, n));
            }
}

/* Two runs, with one zero between them at each place. */
static void one_gap(void)
{
    for (unsigned n = 1; n <= RUN_MASK_MAX; n++)
        for (unsigned zero = 0; zero < BITS; zero++) {
            uint64_t ones = ~(UINT64_C(1) << zero);
            CHECK_EQ(by_mask(ones, n), bit_by_bit(ones, n));
        }
}

static void many_runs(void)
{
    uint64_t random = 1;
    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t ones = 0;
        for (unsigned part = 0; part < 1 + i % 4; part++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            ones |= random ^ random >> 29;
        }
        for (unsigned n = 1; n <= RUN_MASK_MAX; n++)
            CHECK_EQ(by_mask(ones, n), bit_by_bit(ones, n));
    }
}

static const struct test tests[] = {TEST(one_run), TEST(one_gap), TEST(many_runs)};
TEST_MAIN(tests)
