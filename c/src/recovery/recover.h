/* recover.h: getting into a heap, whatever happened to those who were in it before.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_RECOVER_H
#define SHMHEAP_RECOVER_H

#include "../block/block.h"
#include "../process/lock.h"
#include "../segment/segment.h"
#include "../process/wait.h"

/* The way in where anything is unusual: no slot yet, lock taken, owner dead, region grown. 0 with
 * the lock held, or -1 with errno EINVAL, EACCES, EAGAIN, ETIMEDOUT, EBADMSG and without it. */
int heap_lock_slow(struct shmheap *heap);

/* The same, waiting for a living owner of the lock no longer than about so many milliseconds. */
int heap_lock_within(struct shmheap *heap, unsigned limit_ms);
int heap_lock_grown(struct shmheap *heap);

/* heap_lock takes the lock of a sound heap: 0, or -1 with errno. */
static inline int heap_lock(struct shmheap *heap)
{
    if (UNLIKELY(heap == NULL || !load_acquire_u32(&heap->ready) || !lock_try(heap)))
        return heap_lock_slow(heap);
    if (UNLIKELY(load_u64(&heap->control->len) != load_acquire(&heap->len_known)))
        return heap_lock_grown(heap);
    return 0;
}

static inline void heap_unlock(struct shmheap *heap) { lock_release(heap); }

/* recover_offer wakes one of the threads that wait for space, if the largest free block serves any.
 * Lock held. */
void recover_offer(struct shmheap *heap);

/* heap_unlock after a block was freed. */
static inline void heap_unlock_freed(struct shmheap *heap)
{
    if (UNLIKELY(wait_is_expected(heap)))
        recover_offer(heap);
    lock_release(heap);
}

/* recover_take_slot gives the connection a slot if it has none: 0, or -1 with errno EAGAIN,
 * ETIMEDOUT, EBADMSG. */
int recover_take_slot(struct shmheap *heap);

/* recover_slots frees the slots of those who left, and with dead_too of the dead, relabelling the
 * blocks that name them. Lock held. The number of slots freed, or -1 with errno EBADMSG. */
int recover_slots(struct shmheap *heap, int dead_too);

/* recover_slots_reaped frees the slots of departed processes, and these dead slots (bits), whose
 * blocks have been reaped. Lock held. As recover_slots. */
int recover_slots_reaped(struct shmheap *heap, const uint64_t *reaped);

#endif
