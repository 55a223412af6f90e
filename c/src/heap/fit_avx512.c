/* fit_avx512.c: fit_body.h once more, for processors that have AVX-512 F, BW and VL, and BMI, without asking the
 * build for flags.
 * SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

/* The system's headers first: what is included between push and pop is compiled for those instructions. */
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx2,bmi,bmi2,lzcnt")
#endif

#define INDEX_AVX512 1
#include "fit.h"

#include "fit_body.h"

const struct fit_calls fit_calls_avx512 = {fit_alloc,      fit_alloc_aligned, fit_free,
                                           fit_alloc_many, fit_alloc_best,    fit_free_span,
                                           fit_resize};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else

typedef int fit_avx512_is_for_x86_64; /* an empty file is no C */

#endif
