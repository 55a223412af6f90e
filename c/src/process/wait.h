/* wait.h: waiting for space.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A thread that waits says how many granules it needs, in wait_least of its class of size, and
 * sleeps on control->wait_futex with the bit of that class. A free wakes one thread, and only
 * where the largest free block serves a class. The woken thread tries, and passes the wake on while
 * there is more space:
 *
 *   waits: wait_least, wait_sleepers 1, sleeps --free, large enough--> wait_sleepers 0, one is
 *   woken
 *                          ^                                                 |
 *                          +---- 1 again, and the next one is woken <--------+
 *
 * The kernel's queue is the truth about the sleepers. wait_least may name a need of a thread that
 * has gone. Then a wake finds no sleeper, or one that needs more: the class is asked to say its
 * needs anew. A wake that is lost with a death is made up for by the sleepers' own looks, once a
 * second. */
#ifndef SHMHEAP_WAIT_H
#define SHMHEAP_WAIT_H

#include "../segment/connection.h"

/* wait_expect notes that the calling thread waits for need granules, where largest is the size of
 * the largest free block. Lock held. The result is for wait_sleep. */
uint32_t wait_expect(struct shmheap *heap, uint64_t need, uint64_t largest);

/* wait_sleep returns when wait_offer has woken this thread, after limit_ms, or for no reason. No
 * lock held. */
void wait_sleep(struct shmheap *heap, uint32_t expected, uint64_t need, unsigned limit_ms);

/* wait_offer wakes one of the waiting threads that the largest free block, of so many granules,
 * can serve. Lock held. */
void wait_offer(struct shmheap *heap, uint64_t largest);

/* 1: threads wait, and the next free has to call wait_offer. */
static inline int wait_is_expected(const struct shmheap *heap)
{
    return load_u32(&heap->control->wait_sleepers) != 0;
}

#endif
