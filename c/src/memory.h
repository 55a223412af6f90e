/* memory.h: how much memory this process may still take.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel gives pages of a memory file until there are none, and then kills a process. So the library asks first:
 * the machine (/proc/meminfo), and the memory limits of the process's control group and of each group above it, as
 * far as the process can see them. A group's page cache of ordinary files counts as free, since the kernel drops it first. */
#ifndef SHMHEAP_MEMORY_H
#define SHMHEAP_MEMORY_H

#include <stdint.h>

/* memory_suffices tells whether the process may take so many bytes more, and a small rest for the kernel's tables: 0, errno kept; -1 with errno
 * ENOSPC. It looks once for each MEMORY_UNSEEN bytes that were asked for in all, so that small heaps cost nothing. Any thread. */
int memory_suffices(uint64_t bytes);
#define MEMORY_UNSEEN (UINT64_C(1) << 20)

/* memory_left is the bytes that a process may still take, as the files of proc ("/proc") tell; need or more: enough. Tests
 * pass a folder of their own. */
uint64_t memory_left(const char *proc, uint64_t need);

#endif
