/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/measure/lock_hold.h"

#include "c/src/process/lock.h"

int lock_hold(shmheap_memory_handle mem)
{
    uint64_t seen;
    return lock_wait(mem.heap, 0, &seen) == LOCK_SUSPECT ? -1 : 0;
}
