/* wait.c: waiting for free memory: one futex for all sleepers, whose size classes are the bits of
 * FUTEX_WAIT_BITSET.
 * SPDX-License-Identifier: Apache-2.0 */
#include "wait.h"

#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/kernel.h"

enum { CLASS_BITS = HEADER_SIZE_BITS / WAIT_CLASSES };

static unsigned class_of(uint64_t need)
{
    unsigned class = need != 0 ? bit_highest(need) / CLASS_BITS : 0;
    return class < WAIT_CLASSES ? class : WAIT_CLASSES - 1;
}

/* wait_least has 32 bits. A thread that needs UINT32_MAX granules or more is not woken: it tries
 * again after each time limit. */
static uint32_t least_of(uint64_t need) { return need < UINT32_MAX ? (uint32_t)need : UINT32_MAX; }

/* Wakes at most count sleepers of the given classes: the number of woken threads. A thread that is
 * about to sleep sees the changed word and tries again. Death before the wake: the sleepers try
 * again at their time limits. */
static long classes_wake(struct shmheap *heap, uint32_t classes, int count)
{
    shared_u32 *futex = &heap->control->wait_futex;
    store_u32(futex, load_u32(futex) + 1);
    return syscall(SYS_futex, futex, FUTEX_WAKE_BITSET, count, NULL, NULL, classes);
}

uint32_t wait_register(struct shmheap *heap, uint64_t need, uint64_t largest)
{
    unsigned class = class_of(need);
    shared_u32 *least = &connection_hints(heap)->wait_least[class];
    uint32_t known = load_u32(least);
    /* The least need of the class would fit, and it is not this thread's: its thread may have gone.
     * Wake all of the class: they register again. */
    if (known != 0 && known <= largest && known < least_of(need)) {
        known = 0;
        classes_wake(heap, 1u << class, INT_MAX);
    }
    if (known == 0 || least_of(need) < known)
        store_u32(least, least_of(need));
    store_u32(&heap->control->wait_sleepers, 1);
    return load_u32(&heap->control->wait_futex);
}

void wait_sleep(struct shmheap *heap, uint32_t expected, uint64_t need, unsigned limit_ms)
{
    uint64_t until = clock_ns(CLOCK_MONOTONIC) + limit_ms * UINT64_C(1000000);
    struct timespec limit = timespec_of(until);
    syscall(SYS_futex, &heap->control->wait_futex, FUTEX_WAIT_BITSET, expected, &limit, NULL,
            1u << class_of(need));
}

void wait_wake(struct shmheap *heap, uint64_t largest)
{
    struct control *control = heap->control;
    uint32_t served = 0, waiting = 0;
    for (unsigned class = 0; class < WAIT_CLASSES; class ++) {
        uint32_t least = load_u32(&connection_hints(heap)->wait_least[class]);
        waiting |= (uint32_t)(least != 0) << class;
        served |= (uint32_t)(least != 0 && least <= largest && least != UINT32_MAX) << class;
    }
    if (served != 0 && classes_wake(heap, served, 1) > 0) {
        store_u32(&control->wait_sleepers, 0); /* the woken thread passes the wake on */
        return;
    }
    for (unsigned class = 0; class < WAIT_CLASSES; class ++)
        if (served >> class & 1)
            store_u32(&connection_hints(heap)->wait_least[class], 0); /* no thread sleeps there */
    waiting &= ~served;
    if (load_u32(&control->wait_sleepers) != (waiting != 0))
        store_u32(&control->wait_sleepers, waiting != 0);
}
