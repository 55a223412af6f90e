/* slot.h: the table of connected processes, and whether they live.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   free  --slot_take-----> taken
 *   free  --fork----------> heir --first change--> taken
 *   taken --slot_leave----> vacated ------------------------> departed --slot_clear--> free
 *   taken --exit()--------> leaving ---process ends---------> departed --slot_clear--> free
 *   heir  --process ends-------------------------------------> departed --slot_clear--> free
 *   taken --process dies-------------------------------------> dead ----slot_clear--> free
 *
 * departed and dead are not stored: slot_departed and slot_dead compute them. heir exists only in
 * memory without a file.
 *
 * In a file, the holder of slot s keeps byte s write-locked by its liveness lock `life`. The kernel
 * drops the lock when the process ends, in any PID namespace, and does not confuse it with a later
 * process of the same id. In memory without a file, the entry's pid and start time decide. */
#ifndef SHMHEAP_SLOT_H
#define SHMHEAP_SLOT_H

#include "../segment/connection.h"

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

/* The table --------------------------------------------------------------- */

/* slot_limit returns the entries that the table has now, entry 0 included. Later entries are
 * free. */
unsigned slot_limit(struct shmheap *heap);

/* slot_table_extend doubles the table, up to slot_count entries: 0; -1 with errno, EAGAIN when it
 * has that many, ENOSPC and the like. Lock held. */
int slot_table_extend(struct shmheap *heap);

/* slot_table_open lets all entries be taken that the table has now, and returns their number. While
 * a process makes the file longer, its new length shows before the new entries are ready: Linux
 * (6.18, ext4) zeroes the rest of the page that contained the old end, and would erase an entry
 * that another process has taken there meanwhile. So only the lock's owner opens them, after the
 * system call. A death before that leaves it to the next process that finds all entries taken. Lock
 * held. */
unsigned slot_table_open(struct shmheap *heap);

/* slot_entry returns the slot's entry; for a slot beyond the table, a static free entry. */
struct slot *slot_entry(const struct shmheap *heap, unsigned slot);
uint64_t slot_load(const struct shmheap *heap, unsigned slot); /* the slot word */
enum slot_state slot_state_of(const struct shmheap *heap, unsigned slot);
int64_t slot_pid(const struct shmheap *heap, unsigned slot);

/* slot_claim_byte returns the byte of the file that the holder and its children lock. */
off_t slot_claim_byte(const struct shmheap *heap, unsigned slot);

/* slot_change replaces the bits in mask of the slot word. The holder, its children and the lock's
 * owner call it. It ends even if a hostile peer rewrites the word for ever. */
void slot_change(struct shmheap *heap, unsigned slot, uint64_t mask, uint64_t bits);

/* Taking and leaving ------------------------------------------------------ */

/* slot_take takes a free slot for this connection: 0; -1 with errno EAGAIN when none is free. Then
 * recover_slots may free some, or slot_table_extend may add some. In a file, `life` and `use` are
 * open. A death inside leaves a dead slot that no block names. */
int slot_take(struct shmheap *heap);

/* slot_take_free takes the first free slot in that state and stores it in slot_copy: 1, or 0. */
int slot_take_free(struct shmheap *heap, enum slot_state state);

/* slot_leave vacates the slot. Blocks that name it stay. No process takes it before recover_slots,
 * even if no block names it: a search for dead processes must not meet a new holder in their
 * slot. */
void slot_leave(struct shmheap *heap);

/* slot_announce_leaving says that the process will end in order: its objects then do not count as a
 * dead process's. */
void slot_announce_leaving(struct shmheap *heap);

/* slot_clear makes a departed or dead slot free. No block may name it any more. Lock held. */
void slot_clear(struct shmheap *heap, unsigned slot);

/* A process that finds all slots taken works as SLOT_COLLECTOR. In a file one process at a time
 * does: it locks COLLECTOR_BYTE. In memory without a file the heap's lock alone excludes other
 * processes. Returns 0; -1 with errno ETIMEDOUT and the like. `life` is open. A death inside drops
 * the lock. */
int slot_collector_begin(struct shmheap *heap);
void slot_collector_end(struct shmheap *heap);

/* slot_take_over, in a child after fork whose memory is its own copy of the heap: the child holds
 * its parent's slot in that copy. */
void slot_take_over(struct shmheap *heap);

/* Liveness ---------------------------------------------------------------- */

/* slot_alive returns 1 when a living process holds the slot. Any number is valid. */
int slot_alive(const struct shmheap *heap, unsigned slot);

/* slot_dead returns 1 when the holder has died without leaving in order, and the slot is not free.
 * For a leaving or heir slot see slot_departed. Lock held. */
int slot_dead(const struct shmheap *heap, unsigned slot);

/* slot_departed returns 1 when the holder left in order, and the slot is not free. Any number is
 * valid. */
int slot_departed(const struct shmheap *heap, unsigned slot);

/* slot_is_taken returns 1 when a process, living or dead, holds the slot and has not left in
 * order. */
int slot_is_taken(const struct shmheap *heap, unsigned slot);

#endif
