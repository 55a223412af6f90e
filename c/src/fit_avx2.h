/* fit_avx2.h: first fit as compiled for processors that have AVX2 and BMI.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FIT_AVX2_H
#define SHMHEAP_FIT_AVX2_H

#include "fit.h"

/* The calls that are fastest on this processor: these, or fit_calls_portable. Same results. */
const struct fit_calls *fit_calls_best(void);

#endif
