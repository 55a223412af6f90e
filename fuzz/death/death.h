/* death.h: simulates a death before the k-th store of a call, for each k. No process dies.
 *
 * The call runs to its end. Before each of its stores to shared memory, the whole memory is copied.
 * To simulate a death, the copy becomes the memory; the lock is marked as the kernel marks it when
 * its owner dies; and the owner of the slot becomes a pid that no process has. Survivors then find
 * what they would find after that death.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_DEATH_H
#define FUZZ_DEATH_H

#include "fuzz/death/blocks.h"
#include "fuzz/world/world.h"

enum { SHOTS_FIRST = 48, SHOTS_LAST = 16, SHOTS_MAX = SHOTS_FIRST + SHOTS_LAST };

struct death {
    const struct world *world; /* the state before the call */
    struct op op;
    unsigned target;             /* index of the object or name of the call */
    struct world_object resized; /* the result of a realloc */
    /* The slots of dead processes: of the side, before and after the call; of a process that died
     * while it recovered, or 0. */
    unsigned slots[3];
    struct blocks before, after;
    unsigned stores; /* number of stores of the call */
};

/* Copies the segment, which has so many bytes, before each store until death_watch_end, which
 * returns the number of stores. */
void death_watch_begin(size_t bytes);
unsigned death_watch_end(void);
/* Makes the memory as of a death before store k: 1; 0 if there is no copy (in the middle of long
 * calls). */
int death_happen(const struct death *death, unsigned k);
/* Simulates that another process connects and dies before store k of the recovery: 1. If the
 * recovery has fewer stores, restores the memory of the first death and returns 0. */
int death_happen_again(struct death *death, unsigned k);
/* As a survivor connected by mem: recovers, checks all guarantees to survivors, reaps, checks again
 * and allocates. */
void death_survive(const struct death *death, shmheap_memory_handle mem);

#endif
