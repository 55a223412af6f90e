/* pause.h: waiting, within a limit, for what no process can wake us for.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_PAUSE_H
#define SHMHEAP_PAUSE_H

#include <stdint.h>

/* struct pause is private. Each pause is up to twice as long as the one before, from 0.1 ms to 100
 * ms, and of random length, so that a thousand processes that begin to wait together neither keep
 * the processors busy nor look at the same instant. */
struct pause {
    uint64_t limit; /* of the monotonic clock, ns */
    uint64_t next;  /* ns */
    uint64_t random;
};

struct pause pause_begin(unsigned limit_ms);

/* pause_sleep sleeps: 1; 0 at once when the limit has passed. errno stays. */
int pause_sleep(struct pause *pause);

/* pause_ns is the length of the next pause in ns, for a caller that sleeps by other means; 0: the
 * limit has passed. */
uint64_t pause_ns(struct pause *pause);

/* pause_left_ms is how much of the limit is left, in ms. */
unsigned pause_left_ms(const struct pause *pause);

#endif
