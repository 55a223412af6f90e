/* kernel.h: what the kernel says of processes is remembered: of other processes for the length of
 * one execution, of this process for ever.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

/* A new execution begins: the next question for each other process goes to the kernel. */
void kernel_forget(void);

#endif
