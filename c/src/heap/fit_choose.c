/* fit_choose.c: chooses first fit by cpuid, and reads SHMHEAP_SIMD and SHMHEAP_LIST_MAX.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fit_choose.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)

#include <cpuid.h>

/* Bits of the cpuid registers, and of XCR0: the registers that the kernel saves when it switches
 * threads. */
#define LEAF_1_ECX_NEEDED (UINT32_C(1) << 27 | UINT32_C(1) << 28) /* OSXSAVE, AVX */
/* BMI1 (tzcnt), AVX2, BMI2 */
#define LEAF_7_EBX_NEEDED (UINT32_C(1) << 3 | UINT32_C(1) << 5 | UINT32_C(1) << 8)
#define LEAF_EXTENDED_ECX_NEEDED (UINT32_C(1) << 5) /* LZCNT */
#define XCR0_NEEDED UINT32_C(0x06)                  /* xmm, ymm */

static int has_all(uint32_t found, uint32_t needed) { return (found & needed) == needed; }

int fit_cpu_has_avx2(const struct fit_cpu *cpu)
{
    return has_all(cpu->leaf_1_ecx, LEAF_1_ECX_NEEDED) && has_all(cpu->xcr0, XCR0_NEEDED) &&
           has_all(cpu->leaf_7_ebx, LEAF_7_EBX_NEEDED) &&
           has_all(cpu->leaf_extended_ecx, LEAF_EXTENDED_ECX_NEEDED);
}

/* Executes cpuid itself: __builtin_cpu_supports needs a library of gcc's that not every linker
 * brings along, and not every version of it knows LZCNT. */
static void cpu_read(struct fit_cpu *cpu)
{
    uint32_t eax, ebx, ecx, edx;
    memset(cpu, 0, sizeof *cpu);
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        cpu->leaf_1_ecx = ecx;
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        cpu->leaf_7_ebx = ebx;
    if (__get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx))
        cpu->leaf_extended_ecx = ecx;
    if (has_all(cpu->leaf_1_ecx, LEAF_1_ECX_NEEDED)) {
        __asm__ __volatile__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
        cpu->xcr0 = eax;
    }
}

/* Reads cpuid once. In a virtual machine cpuid traps to the host, which takes some 10
 * microseconds: half of a connect. */
static int has_avx2(void)
{
    enum { UNKNOWN, YES, NO };
    static int known; /* concurrent threads store the same */
    if (__atomic_load_n(&known, __ATOMIC_RELAXED) == UNKNOWN) {
        struct fit_cpu cpu;
        cpu_read(&cpu);
        __atomic_store_n(&known, fit_cpu_has_avx2(&cpu) ? YES : NO, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&known, __ATOMIC_RELAXED) == YES;
}

const struct fit_calls *fit_choose(void)
{
    const char *asked = getenv("SHMHEAP_SIMD");
    int portable = asked != NULL && strcmp(asked, "portable") == 0;
    return !portable && has_avx2() ? &fit_calls_avx2 : &fit_calls_portable;
}

#else

const struct fit_calls *fit_choose(void) { return &fit_calls_portable; }

#endif

uint32_t fit_choose_list_max(void)
{
    const char *asked = getenv("SHMHEAP_LIST_MAX");
    char *behind = NULL;
    unsigned long listed = asked != NULL ? strtoul(asked, &behind, 10) : LIST_MAX;
    return listed < LIST_MAX && behind != asked && *behind == 0 ? (uint32_t)listed : LIST_MAX;
}
