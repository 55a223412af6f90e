/* First fit is also compiled for AVX2. Where the processor lacks one of the instructions, or the
 * kernel does not save the registers, the portable code is chosen.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/heap/fit_choose.h"

#include "tests/support/test.h"

#if defined(__x86_64__)

/* A processor that has every bit that a variant requires. */
static const struct fit_cpu all = {
    .leaf_1_ecx = UINT32_C(1) << 27 | UINT32_C(1) << 28,
    .leaf_7_ebx = UINT32_C(1) << 3 | UINT32_C(1) << 5 | UINT32_C(1) << 8,
    .leaf_extended_ecx = UINT32_C(1) << 5,
    .xcr0 = 0x07,
};

static void all_bits_are_enough(void) { CHECK(fit_cpu_has_avx2(&all)); }

/* Clears one bit of one register. */
static void check_without(size_t off, unsigned bit)
{
    struct fit_cpu cpu = all;
    uint32_t word;
    memcpy(&word, (unsigned char *)&cpu + off, sizeof word);
    CHECK(word >> bit & 1);
    word &= ~(UINT32_C(1) << bit);
    memcpy((unsigned char *)&cpu + off, &word, sizeof word);
    CHECK(!fit_cpu_has_avx2(&cpu));
}

static void each_bit_counts(void)
{
    check_without(offsetof(struct fit_cpu, leaf_1_ecx), 27);       /* OSXSAVE */
    check_without(offsetof(struct fit_cpu, leaf_1_ecx), 28);       /* AVX */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 3);        /* BMI1: tzcnt */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 5);        /* AVX2 */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 8);        /* BMI2 */
    check_without(offsetof(struct fit_cpu, leaf_extended_ecx), 5); /* LZCNT */
    check_without(offsetof(struct fit_cpu, xcr0), 1);              /* xmm */
    check_without(offsetof(struct fit_cpu, xcr0), 2);              /* ymm */
}

/* An independent opinion, as far as the compiler has one. */
static void this_processor_is_told_as_the_compiler_tells_it(void)
{
    unsetenv("SHMHEAP_SIMD");
    const struct fit_calls *calls = fit_choose();
    int can = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2"); /* such a processor has LZCNT, too */
    CHECK(calls == (can ? &fit_calls_avx2 : &fit_calls_portable));
    setenv("SHMHEAP_SIMD", "avx2", 1);
    CHECK(fit_choose() == calls);
    setenv("SHMHEAP_SIMD", "portable", 1);
    CHECK(fit_choose() == &fit_calls_portable);
}

static const struct test tests[] = {TEST(all_bits_are_enough), TEST(each_bit_counts),
                                    TEST(this_processor_is_told_as_the_compiler_tells_it)};

#else

static void there_is_one_kind(void) { CHECK(fit_choose() == &fit_calls_portable); }
static const struct test tests[] = {TEST(there_is_one_kind)};

#endif

TEST_MAIN(tests)
