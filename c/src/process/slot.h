/* slot.h: the table of connected processes, and whether they live.
 * SPDX-License-Identifier: Apache-2.0
 *
 * In a segment that is a file, the holder of slot s holds a write lock on byte s of the file, by
 * the anchor `life` of its connection: the kernel drops it when the process ends, in whatever PID
 * namespace, and never takes a later process of the same id for it. In memory without a file the
 * entry's pid and start time have to do.
 *
 * What a dead process held may be known to its children, by pointers that they inherited. Each
 * child has a claim on it, from fork() on: in a file by the anchor `use`, which the child inherits
 * and which keeps a byte locked that the parent's entry names; without a file by an entry of its
 * own that names the parent's. */
#ifndef SHMHEAP_SLOT_H
#define SHMHEAP_SLOT_H

#include "../segment/connection.h"

/* slot_take takes a free slot for this connection: 0; -1 with errno EAGAIN when there is none
 * (vacated and dead ones may become free: recover_slots; or there is room for more:
 * slot_table_extend). In a file `life` and `use` are open. */
int slot_take(struct shmheap *heap);

/* slot_leave gives the slot up in order. Blocks that name it stay; no process gets it before
 * recover_slots, whether there are any or not: a process that looks for the dead must not find a
 * newcomer where another has just left. */
void slot_leave(struct shmheap *heap);

/* slot_announce_leaving says that the process will end in order: what it holds then is not taken
 * for a dead process's. */
void slot_announce_leaving(struct shmheap *heap);

/* slot_limit is the entries of the table that are there now, entry 0 included. Those behind are
 * free. */
unsigned slot_limit(struct shmheap *heap);

/* slot_table_extend makes room for twice as many entries, slot_count at most: 0; -1 with errno,
 * EAGAIN when there are so many already, ENOSPC and the like. Lock held. */
int slot_table_extend(struct shmheap *heap);

/* 1 when a living process holds the slot. Any number may be asked for. */
int slot_alive(const struct shmheap *heap, unsigned slot);

/* 1 when the slot was taken by a process that died, and is not free yet. Lock held. */
int slot_dead(const struct shmheap *heap, unsigned slot);

/* 1 when the slot was given up in order, and is not free yet. Any number may be asked for. */
int slot_departed(const struct shmheap *heap, unsigned slot);

/* 1 when the slot is taken and not given up: by a living process, or a dead one. */
int slot_is_taken(const struct shmheap *heap, unsigned slot);

/* A set of slots: SLOT_SET_WORDS words, one bit a slot. slot is below 64 * SLOT_SET_WORDS. */
enum { SLOT_SET_WORDS = SLOTS_MAX / 64 + 1 };

static inline int slot_set_has(const uint64_t *slots, unsigned slot)
{
    return (int)(slots[slot / 64] >> slot % 64) & 1;
}

static inline void slot_set_add(uint64_t *slots, unsigned slot)
{
    slots[slot / 64] |= UINT64_C(1) << slot % 64;
}

/* slot_reapable makes the set of the slots whose processes died and whose objects no living process
 * can know: no child has a claim on them. A child has one when it was forked from the dead process,
 * or from a child with a claim. Lock held. Cost: one system call for each taken slot. */
void slot_reapable(struct shmheap *heap, uint64_t *slots);

enum slot_state slot_state_of(const struct shmheap *heap, unsigned slot);
struct slot *slot_entry(const struct shmheap *heap, unsigned slot); /* of one that is not there: a
                                                                       free one */
int64_t slot_pid(const struct shmheap *heap, unsigned slot);

/* slot_clear makes a departed or dead slot free; no block may name it any more. Lock held. */
void slot_clear(struct shmheap *heap, unsigned slot);

/* A process that finds all slots taken works as SLOT_COLLECTOR meanwhile, one process at a time: 0,
 * or -1 with errno ETIMEDOUT and the like. `life` is open. */
int slot_collector_begin(struct shmheap *heap);
void slot_collector_end(struct shmheap *heap);

/* slot_fork_prepare, before fork, says in the slot's entry that children may know what it holds
 * where no claim of theirs will show it. */
void slot_fork_prepare(struct shmheap *heap);

/* In a child after fork, for heaps in memory of the caller. slot_inherit: the child has a slot, as
 * an heir until its first change, that claims what its parent's slot held, or the parent's entry
 * says that there is such a child. slot_take_over: the memory is the child's own copy, and with it
 * the slot. */
void slot_inherit(struct shmheap *heap);
void slot_take_over(struct shmheap *heap);

#endif
