/* SPDX-License-Identifier: Apache-2.0 */
#include "fit_choose.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

static int has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

const struct fit_calls *fit_choose(void)
{
    const char *asked = getenv("SHMHEAP_SIMD");
    if (asked != NULL && strcmp(asked, "portable") == 0)
        return &fit_calls_portable;
    if (has_avx512() && (asked == NULL || strcmp(asked, "avx2") != 0))
        return &fit_calls_avx512;
    return has_avx2() ? &fit_calls_avx2 : &fit_calls_portable;
}

#else

const struct fit_calls *fit_choose(void) { return &fit_calls_portable; }

#endif

uint32_t fit_choose_few(void)
{
    const char *asked = getenv("SHMHEAP_FEW");
    char *behind = NULL;
    unsigned long few = asked != NULL ? strtoul(asked, &behind, 10) : FEW_MAX;
    return few < FEW_MAX && behind != asked && *behind == 0 ? (uint32_t)few : FEW_MAX;
}
