/* memory.h: how much memory this process may still take.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The kernel gives pages to a memory file until none is left, and then kills a process. So the
 * library checks first what is available: to the machine (/proc/meminfo), to the process's control
 * group, and to each group above it that the process can see. A group's page cache of ordinary
 * files counts as available: the kernel drops it before it kills. */
#ifndef SHMHEAP_MEMORY_H
#define SHMHEAP_MEMORY_H

#include <stdint.h>

#include "../base/prefix.h"

/* memory_suffices returns 0 when the process may take so many bytes more, with a margin for the
 * kernel's page tables; else -1 with errno ENOSPC. A check takes about 100 microseconds. One that
 * finds plenty serves requests of the next second, up to an eighth of the surplus (64 MiB at most),
 * while the process stays in its control groups. Any thread may call it. */
int memory_suffices(uint64_t bytes);

/* memory_forget makes the next check read the files. A forked child calls it: it may not spend its
 * parent's surplus a second time, and a runtime of containers moves it into another group. */
void memory_forget(void);

/* memory_left returns the bytes that a process may still take, from the files below the folder proc
 * ("/proc"; tests use their own). It stops when it has found at least need bytes. */
uint64_t memory_left(const char *proc, uint64_t need);

#endif
