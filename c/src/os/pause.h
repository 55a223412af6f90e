/* pause.h: polling, within a time limit, for an event that wakes no waiter.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_PAUSE_H
#define SHMHEAP_PAUSE_H

#include <stdint.h>

#include "../base/prefix.h"

/* struct pause is the state of one wait. Each pause is up to twice as long as the one before, from
 * 0.1 ms to 100 ms, and of random length. So a thousand processes that begin to wait at once
 * neither keep the processors busy nor poll at the same instant. */
struct pause {
    uint64_t limit; /* of the monotonic clock, ns */
    uint64_t next;  /* ns */
    uint64_t random;
};

struct pause pause_begin(unsigned limit_ms);

/* pause_sleep sleeps and returns 1, or returns 0 at once when the limit has passed. errno stays. */
int pause_sleep(struct pause *pause);

/* pause_ns returns the length of the next pause, for a caller that sleeps by other means; 0 when
 * the limit has passed. */
uint64_t pause_ns(struct pause *pause);

/* pause_left_ms returns the milliseconds until the limit. */
unsigned pause_left_ms(const struct pause *pause);

#endif
