/* kernel.h: what the kernel says of processes is remembered for the length of one execution.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

/* A new execution begins: the next question for each process goes to the kernel. */
void kernel_forget(void);

#endif
