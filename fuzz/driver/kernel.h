/* kernel.h: what the kernel says is remembered: of other processes for the length of one execution,
 * of this process and of the arena for ever.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <stdint.h>

/* A new execution begins: the next question for each other process goes to the kernel. */
void kernel_forget(void);
/* Mapping 0 or 1 is these len bytes of one mapping, which lasts as long as the process. */
void kernel_mapped(unsigned number, const void *memory, uint64_t len);

#endif
