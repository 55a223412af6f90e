/* slot_claim.c: finds claims of children: by locked bytes, or in memory by the parents that entries
 * name.
 * SPDX-License-Identifier: Apache-2.0 */
#include "slot_claim.h"

#include <string.h>

#include "../os/file.h"

static unsigned slot_parent(const struct shmheap *heap, unsigned slot)
{
    return (unsigned)(slot_load(heap, slot) >> SLOT_PARENT_SHIFT);
}

/* In memory without a file: adds the slots whose processes have living descendants. A walk along a
 * chain of parents ends at a slot that is in the set, so the table bounds it even where a peer has
 * written a circle. */
static void slots_with_heirs(struct shmheap *heap, uint64_t *slots)
{
    for (unsigned heir = 1, limit = slot_limit(heap); heir < limit; heir++) {
        unsigned slot = slot_parent(heap, heir);
        if (slot == 0 || slot_set_has(slots, slot) || !slot_alive(heap, heir))
            continue;
        for (; slot != 0 && slot < limit && !slot_set_has(slots, slot);
             slot = slot_parent(heap, slot))
            slot_set_add(slots, slot);
    }
}

/* Returns 1 when the slot's claim byte is locked, or when there is no descriptor to query it. This
 * process's own claim is on another description than connection_fd's, so it shows as well. */
static int claim_is_locked(struct shmheap *heap, unsigned slot)
{
    return file_locked_by_writer(connection_fd(heap), slot_claim_byte(heap, slot), 1) != 0;
}

void slot_reapable(struct shmheap *heap, uint64_t *slots)
{
    uint64_t claimed[SLOT_SET_WORDS] = {0};
    memset(slots, 0, sizeof claimed);
    if (!heap->has_file)
        slots_with_heirs(heap, claimed);
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_dead(heap, slot) && !(slot_load(heap, slot) & SLOT_HAS_HEIRS) &&
            !slot_set_has(claimed, slot) && !(heap->has_file && claim_is_locked(heap, slot)))
            slot_set_add(slots, slot);
}

/* Children of the slot's process may know its objects, and no claim shows them. */
static void slot_note_heirs(struct shmheap *heap, unsigned slot)
{
    slot_change(heap, slot, SLOT_HAS_HEIRS, SLOT_HAS_HEIRS);
}

void slot_fork_prepare(struct shmheap *heap)
{
    if (heap->has_file && heap->slot != 0 && !heap->has_claim)
        slot_note_heirs(heap, heap->slot);
}

void slot_inherit(struct shmheap *heap)
{
    unsigned parents = heap->slot_copy;
    heap->slot_copy = 0;
    if (parents == 0)
        return;
    heap->heir_of = parents;
    if (!slot_take_free(heap, SLOT_HEIR))
        slot_note_heirs(heap, parents);
}
