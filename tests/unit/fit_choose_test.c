/* First fit is compiled for AVX2 and AVX-512 as well: where one of their instructions is missing, or the kernel does not keep their registers, the
 * portable code is chosen.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/heap/fit_choose.h"

#include "tests/support/test.h"

#if defined(__x86_64__)

/* A processor that has it all. */
static const struct fit_cpu all = {
    .leaf_1_ecx = UINT32_C(1) << 27 | UINT32_C(1) << 28,
    .leaf_7_ebx = UINT32_C(1) << 3 | UINT32_C(1) << 5 | UINT32_C(1) << 8 | UINT32_C(1) << 16 |
                  UINT32_C(1) << 30 | UINT32_C(1) << 31,
    .leaf_extended_ecx = UINT32_C(1) << 5,
    .xcr0 = 0xe7,
};

static void all_of_it_is_avx512(void) { CHECK_EQ(fit_kind_of(&all), FIT_AVX512); }

/* Without that one bit of a register. */
static void check_without(size_t off, unsigned bit, enum fit_kind kind)
{
    struct fit_cpu cpu = all;
    uint32_t word;
    memcpy(&word, (unsigned char *)&cpu + off, sizeof word);
    CHECK(word >> bit & 1);
    word &= ~(UINT32_C(1) << bit);
    memcpy((unsigned char *)&cpu + off, &word, sizeof word);
    CHECK_EQ(fit_kind_of(&cpu), kind);
}

static void each_bit_counts(void)
{
    check_without(offsetof(struct fit_cpu, leaf_1_ecx), 27, FIT_PORTABLE);       /* OSXSAVE */
    check_without(offsetof(struct fit_cpu, leaf_1_ecx), 28, FIT_PORTABLE);       /* AVX */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 3, FIT_PORTABLE);        /* BMI1: tzcnt */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 5, FIT_PORTABLE);        /* AVX2 */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 8, FIT_PORTABLE);        /* BMI2 */
    check_without(offsetof(struct fit_cpu, leaf_extended_ecx), 5, FIT_PORTABLE); /* LZCNT */
    check_without(offsetof(struct fit_cpu, xcr0), 1, FIT_PORTABLE);              /* xmm */
    check_without(offsetof(struct fit_cpu, xcr0), 2, FIT_PORTABLE);              /* ymm */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 16, FIT_AVX2);           /* AVX-512 F */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 30, FIT_AVX2);           /* BW */
    check_without(offsetof(struct fit_cpu, leaf_7_ebx), 31, FIT_AVX2);           /* VL */
    for (unsigned bit = 5; bit < 8; bit++)
        check_without(offsetof(struct fit_cpu, xcr0), bit, FIT_AVX2); /* masks, zmm */
}

/* An independent opinion, as far as the compiler has one. */
static void this_processor_is_told_as_the_compiler_tells_it(void)
{
    unsetenv("SHMHEAP_SIMD");
    const struct fit_calls *calls = fit_choose();
    if (calls != &fit_calls_portable)
        CHECK(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2"));
    if (calls == &fit_calls_avx512)
        CHECK(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512vl"));
    setenv("SHMHEAP_SIMD", "portable", 1);
    CHECK(fit_choose() == &fit_calls_portable);
}

static const struct test tests[] = {TEST(all_of_it_is_avx512), TEST(each_bit_counts),
                                    TEST(this_processor_is_told_as_the_compiler_tells_it)};

#else

static void there_is_one_kind(void) { CHECK(fit_choose() == &fit_calls_portable); }
static const struct test tests[] = {TEST(there_is_one_kind)};

#endif

TEST_MAIN(tests)
