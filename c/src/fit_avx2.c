/* fit_avx2.c: fit_body.h once more, for processors that have AVX2 and BMI, without asking the build for flags.
 * SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

/* The system's headers first: what is included between push and pop is compiled for AVX2. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,lzcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,lzcnt")
#endif

#define INDEX_AVX2 1
#include "fit.h"

#include "fit_body.h"

static const struct fit_calls calls = {fit_alloc, fit_alloc_aligned, fit_free, fit_resize};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#include "fit_avx2.h"

const struct fit_calls *fit_calls_best(void)
{
    int usable = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    return usable ? &calls : &fit_calls_portable;
}

#else

#include "fit_avx2.h"

const struct fit_calls *fit_calls_best(void) { return &fit_calls_portable; }

#endif
