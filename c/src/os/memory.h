/* memory.h: how much memory this process may still take.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel gives a memory file pages as long as there are any, and then kills a process. So
 * the library asks first: what the machine has left (/proc/meminfo), and what the memory limits
 * of the process's control group leave, and of each group above it that the process can see. A
 * group's page cache of ordinary files counts as free: the kernel drops it before it kills. */
#ifndef SHMHEAP_MEMORY_H
#define SHMHEAP_MEMORY_H

#include <stdint.h>

/* memory_suffices tells whether the process may take so many bytes more, and a little for the
 * kernel's own tables. Returns 0, or -1 with errno ENOSPC. A look takes some 50 microseconds. Where
 * it finds plenty, requests of the next second up to an eighth of that (64 MiB at most) need no look
 * of their own. Any thread may call it. */
int memory_suffices(uint64_t bytes);

/* memory_left returns the bytes that a process may still take, as the files below the folder proc
 * tell ("/proc"; tests have one of their own). It stops looking when it knows of at least need. */
uint64_t memory_left(const char *proc, uint64_t need);

#endif
