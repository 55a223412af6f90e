/* pressure.h: whether threads hold the lock of a heap, or wait, at this instant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PRESSURE_H
#define SHMHEAP_TOOL_PRESSURE_H

#include <shmheap.h>

struct pressure {
    int is_held;          /* a process holds the lock */
    int lock_is_awaited;  /* a thread may sleep for the lock */
    int space_is_awaited; /* threads sleep until a large enough block is freed */
};

struct pressure pressure_read(shmheap_memory_handle mem);

#endif
