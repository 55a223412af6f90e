/* space.h: waiting until somebody frees something.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_SPACE_H
#define SHMHEAP_SPACE_H

#include "connection.h"

/* space_expect says that somebody waits from now on. Lock held. The result is for space_sleep. */
uint32_t space_expect(struct shmheap *heap);

/* space_sleep returns when something was freed since space_expect, after limit_ms, or for no reason. No lock held. */
void space_sleep(struct shmheap *heap, uint32_t expected, unsigned limit_ms);

/* space_freed notes that something was freed; space_wake, when the lock is given back, wakes all who wait for it. */
void space_freed(struct shmheap *heap);
void space_wake(struct shmheap *heap);

static inline int space_is_awaited(const struct shmheap *heap) { return load_u32(&heap->control->space_waiting) != 0; }

#endif
