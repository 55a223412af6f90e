/* SPDX-License-Identifier: Apache-2.0 */
#include "space.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

uint32_t space_expect(struct shmheap *heap)
{
    store_u32(&heap->control->space_waiting, 1);
    return load_u32(&heap->control->space_futex);
}

void space_sleep(struct shmheap *heap, uint32_t expected, unsigned limit_ms)
{
    struct timespec limit = {(time_t)(limit_ms / 1000u), (long)(limit_ms % 1000u) * 1000000};
    syscall(SYS_futex, &heap->control->space_futex, FUTEX_WAIT, expected, &limit, NULL, 0);
}

/* A death before the wake: those who wait look again by themselves, but later. */
void space_freed(struct shmheap *heap)
{
    store_u32(&heap->control->space_waiting, 0);
    store_u32(&heap->control->space_futex, load_u32(&heap->control->space_futex) + 1);
}

void space_wake(struct shmheap *heap)
{
    syscall(SYS_futex, &heap->control->space_futex, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
