/* wait.h: waiting until a block of some size is free.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thread stores how many granules it needs in wait_least of its size class, and sleeps on
 * control->wait_futex with the bit of that class. A free wakes one thread, and only if the largest
 * free block serves a class. The woken thread tries to allocate and passes the wake on:
 *
 *   wait_least, wait_sleepers = 1, sleeps --a large block is freed--> woken, wait_sleepers = 0
 *        ^                                                              |
 *        +----- no block: registers again, wakes the next thread -------+
 *
 * The kernel's queue is the truth about the sleepers. wait_least may hold the need of a thread that
 * has gone. Then a wake finds no sleeper, or a sleeper that needs more: the class registers anew. A
 * death may lose a wake; each sleeper tries again once a second. */
#ifndef SHMHEAP_WAIT_H
#define SHMHEAP_WAIT_H

#include "../segment/connection.h"

/* wait_register notes that the calling thread waits for need granules. largest is the size of the
 * largest free block. The result is for wait_sleep. Lock held. */
uint32_t wait_register(struct shmheap *heap, uint64_t need, uint64_t largest);

/* wait_sleep returns when wait_wake has woken this thread, after limit_ms, or spuriously. Lock not
 * held. */
void wait_sleep(struct shmheap *heap, uint32_t expected, uint64_t need, unsigned limit_ms);

/* wait_wake wakes one waiting thread that the largest free block, of so many granules, serves. Lock
 * held. */
void wait_wake(struct shmheap *heap, uint64_t largest);

/* wait_is_expected returns 1 when threads wait: the next free has to call wait_wake. */
static inline int wait_is_expected(const struct shmheap *heap)
{
    return load_u32(&heap->control->wait_sleepers) != 0;
}

#endif
