/* slot.h: the table of who is connected, and whether they live.
 * SPDX-License-Identifier: Apache-2.0
 *
 * In a segment that is a file, who holds slot s holds an open-file-description lock on byte s of the file: the kernel drops it
 * with the last descriptor, that is when the process dies, in whatever PID namespace, and never takes a later process of the
 * same id for it. In memory without a file the entry's pid and start time have to do. */
#ifndef SHMHEAP_SLOT_H
#define SHMHEAP_SLOT_H

#include "connection.h"

/* slot_take takes a free slot for this connection: 0; -1 with errno EAGAIN when there is none (vacated and dead ones
 * may become free: recover_slots; or there is room for more: slot_table_extend). */
int slot_take(struct shmheap *heap);

/* slot_leave gives the slot up in order. Blocks that name it stay; nobody gets it before recover_slots, whether there are any or not:
 * who looks for the dead must not find a newcomer where somebody has just left. */
void slot_leave(struct shmheap *heap);

/* slot_limit is the entries of the table that are there now, entry 0 included. Those behind are free, and nobody's. */
unsigned slot_limit(struct shmheap *heap);

/* slot_table_extend makes room for twice as many entries, slot_count at most: 0; -1 with errno, EAGAIN when there are so many already, ENOSPC
 * and the like. Lock held. */
int slot_table_extend(struct shmheap *heap);

/* 1 when a living process holds the slot. Any number may be asked for. */
int slot_alive(const struct shmheap *heap, unsigned slot);

/* 1 when the slot was taken by a process that died, and is not free yet. Lock held. */
int slot_dead(const struct shmheap *heap, unsigned slot);

enum slot_state slot_state_of(const struct shmheap *heap, unsigned slot);
struct slot *slot_entry(const struct shmheap *heap, unsigned slot); /* of one that is not there: a free one */
int64_t slot_pid(const struct shmheap *heap, unsigned slot);

/* slot_clear makes a vacated or dead slot free; no block may name it any more. Lock held. */
void slot_clear(struct shmheap *heap, unsigned slot);

/* Who finds all slots taken works as SLOT_COLLECTOR meanwhile, one process at a time: 0, or -1 with errno. */
int slot_collector_begin(struct shmheap *heap);
void slot_collector_end(struct shmheap *heap);

/* Threads of the process that look for a slot for one connection. */
void slot_mutex_lock(void);
void slot_mutex_unlock(void);

/* After fork, in the child. */
void slot_forget_process(void);

#endif
