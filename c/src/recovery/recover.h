/* recover.h: takes the lock of a heap, and repairs what a dead owner or a dead process left.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_RECOVER_H
#define SHMHEAP_RECOVER_H

#include "../block/block.h"
#include "../process/lock.h"
#include "../segment/segment.h"
#include "../process/wait.h"

/* heap_lock_slow is the slow path of heap_lock: no slot yet, lock taken, owner dead, region grown.
 * Returns 0 with the lock held; -1 without it, and errno EINVAL, EACCES, EAGAIN, ETIMEDOUT or
 * EBADMSG, or in a child one of opening the file: EMFILE, EACCES, ENOENT, EBADF. */
int heap_lock_slow(struct shmheap *heap);

/* heap_lock_within does the same and waits for a living owner for about limit_ms milliseconds. */
int heap_lock_within(struct shmheap *heap, unsigned limit_ms);

/* heap_lock_grown, with the lock, refreshes the length: 0; else it unlocks, -1 with errno
 * EBADMSG. */
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

/* recover_wake_waiter wakes a thread that waits for space if the largest free block serves one.
 * Lock held. */
void recover_wake_waiter(struct shmheap *heap);

/* heap_unlock_freed unlocks after a block was freed. */
static inline void heap_unlock_freed(struct shmheap *heap)
{
    if (UNLIKELY(wait_is_expected(heap)))
        recover_wake_waiter(heap);
    lock_release(heap);
}

/* recover_take_slot gives the connection a slot if it has none: 0, or -1 with errno EAGAIN,
 * ETIMEDOUT, EBADMSG, or in a child one of opening the file. */
int recover_take_slot(struct shmheap *heap);

/* recover_slots labels the blocks of departed slots, and with and_dead of reapable dead slots, and
 * frees these slots. Returns their number, or -1 with errno EBADMSG. Lock held. A death inside
 * leaves some blocks labelled. */
int recover_slots(struct shmheap *heap, int and_dead);

/* recover_slots_reaped frees the departed slots and the dead slots in the set reaped, whose blocks
 * have been reaped. Otherwise as recover_slots. */
int recover_slots_reaped(struct shmheap *heap, const uint64_t *reaped);

#endif
