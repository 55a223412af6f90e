/* fit_avx2.c: first fit compiled for AVX2, BMI and LZCNT, whatever flags the build has.
 * SPDX-License-Identifier: Apache-2.0 */
#if defined(__x86_64__)

/* The system's headers come before push: all that is included between push and pop is compiled for
 * these instructions. */
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

#include "aligned.h"
#include "carve.h"
#include "resize.h"

const struct fit_calls fit_calls_avx2 = {fit_alloc,      fit_alloc_aligned, fit_free,
                                         fit_alloc_many, fit_alloc_best,    fit_free_span,
                                         fit_resize};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#else

typedef int fit_avx2_is_for_x86_64; /* C has no empty file */

#endif
