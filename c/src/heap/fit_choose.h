/* fit_choose.h: first fit as compiled for the processor that runs it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FIT_CHOOSE_H
#define SHMHEAP_FIT_CHOOSE_H

#include "fit.h"

/* struct fit_cpu is what the processor and the kernel report. x86-64 only. */
struct fit_cpu {
    uint32_t leaf_1_ecx, leaf_7_ebx, leaf_extended_ecx; /* of cpuid; extended: leaf 0x80000001 */
    uint32_t xcr0; /* lower half; 0: the kernel saves none of the vector registers */
};

/* fit_cpu_has_avx2: the processor has every instruction that fit_avx2.c is compiled for, and the
 * kernel saves the registers. x86-64 only. */
int fit_cpu_has_avx2(const struct fit_cpu *cpu);

/* fit_choose returns the fastest calls for this processor. All variants give the same results.
 * SHMHEAP_SIMD=portable in the environment requests the portable ones: for tests and comparisons.
 * SHMHEAP_SIMD=avx2 requests AVX2, which is the default where the processor has it. */
const struct fit_calls *fit_choose(void);

/* fit_choose_list_max returns the most free blocks that the list may hold: LIST_MAX (free_list.h).
 * SHMHEAP_LIST_MAX=N in the environment sets fewer; 0: the heap never uses the list. */
uint32_t fit_choose_list_max(void);

#endif
