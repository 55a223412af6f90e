/* fit_choose.h: first fit as compiled for the processor that runs it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FIT_CHOOSE_H
#define SHMHEAP_FIT_CHOOSE_H

#include "fit.h"

/* struct fit_cpu is private: what the processor and the kernel say of themselves. x86-64 alone. */
struct fit_cpu {
    uint32_t leaf_1_ecx, leaf_7_ebx, leaf_extended_ecx; /* of cpuid; extended: leaf 0x80000001 */
    uint32_t xcr0; /* its lower half; 0 where the kernel keeps none of these registers */
};

enum fit_kind { FIT_PORTABLE, FIT_AVX2, FIT_AVX512 };

/* The greatest for which such a processor and kernel have all instructions that the code is compiled for. */
enum fit_kind fit_kind_of(const struct fit_cpu *cpu);

/* The fastest calls for this processor, all with the same results. SHMHEAP_SIMD=portable or =avx2 in the environment asks
 * for less: for tests, and to compare. */
const struct fit_calls *fit_choose(void);

/* How many free blocks may be in the list (free_list.h): LIST_MAX. SHMHEAP_LIST_MAX=N in the environment asks for less, 0: no list, for the same reason. */
uint32_t fit_choose_list_max(void);

#endif
