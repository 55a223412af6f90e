/* fit_choose.h: first fit as compiled for the processor that runs it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FIT_CHOOSE_H
#define SHMHEAP_FIT_CHOOSE_H

#include "fit.h"

/* The fastest calls for this processor, all with the same results. SHMHEAP_SIMD=portable or =avx2 in the environment asks
 * for less: for tests, and to compare. */
const struct fit_calls *fit_choose(void);

/* How many free blocks may be in the list (few.h): FEW_MAX. SHMHEAP_FEW=N in the environment asks for less, 0: no list, for the same reason. */
uint32_t fit_choose_few(void);

#endif
