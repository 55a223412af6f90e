/* slot_claim.h: claims of children on the objects of a dead process.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A child knows pointers that it inherited, so its parent's objects must outlive the parent. Each
 * child has a claim on them from fork() on:
 *   in a file       the child inherits the liveness lock `use`, which keeps locked the claim byte
 *                   that the parent's entry determines
 *   without a file  the child has an entry of its own that names the parent's slot
 * Where neither is possible, SLOT_HAS_HEIRS in the parent's slot word keeps the objects for
 * ever. */
#ifndef SHMHEAP_SLOT_CLAIM_H
#define SHMHEAP_SLOT_CLAIM_H

#include "slot.h"

/* slot_reapable makes the set of the dead slots on which no living process has a claim: no process
 * can know their objects. A child of the dead process has a claim, and so has a child of that
 * child. Lock held. Cost: one system call for each taken slot. */
void slot_reapable(struct shmheap *heap, uint64_t *slots);

/* slot_fork_prepare, before fork, sets SLOT_HAS_HEIRS if the slot's claim byte is not locked. */
void slot_fork_prepare(struct shmheap *heap);

/* slot_inherit, in a child after fork, for a heap in shared memory of the caller: the child takes a
 * slot in state SLOT_HEIR, which claims its parent's objects. Where no slot is free it sets
 * SLOT_HAS_HEIRS in its parent's word. */
void slot_inherit(struct shmheap *heap);

#endif
