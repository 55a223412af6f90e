/* death.h: a process that dies before the k-th store of a call, for every k, without any process dying.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The call runs to its end; before each of its stores to shared memory the whole memory is copied. A copy, with what the kernel does
 * to the lock when its owner dies, and with an owner of the slot that does not exist, is what survivors of that death find. */
#ifndef FUZZ_DEATH_H
#define FUZZ_DEATH_H

#include "fuzz/blocks.h"
#include "fuzz/world.h"

enum { SHOTS_FIRST = 48, SHOTS_LAST = 16, SHOTS_MAX = SHOTS_FIRST + SHOTS_LAST };

struct death {
    const struct world *world; /* as it was before the call */
    struct op op;
    unsigned target;             /* of objects or names; what the call is about */
    struct world_object resized; /* what became of the target of a realloc */
    unsigned slots
        [3]; /* of the side that dies, before and after the call; of who died recovering, or 0 */
    struct blocks before, after;
    unsigned stores; /* that the call made */
};

/* Copies from here until death_watch_end, of a segment of so many bytes. */
void death_watch_begin(size_t bytes);
unsigned death_watch_end(void);
/* The memory as of before store k, its writer dead: 1, or 0 where that was not kept (in the middle of long calls). */
int death_happen(const struct death *death, unsigned k);
/* Somebody connects, and dies before store k of the recovery: 1, or 0 where it had fewer stores; then it is as after the first death. */
int death_happen_again(struct death *death, unsigned k);
/* Somebody connects, recovers, checks that every promise to survivors is kept, reaps, checks again and goes on. */
void death_survive(const struct death *death, shmheap_memory_handle mem);

#endif
