/* lock.h: the lock of a heap: a robust futex.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Not a pthread mutex: glibc links robust mutexes into a list whose pointers lie inside the mutexes, in shared
 * memory, and follows them when unlocking, so that any peer could make it write anywhere. The kernel's own
 * protocol (Documentation/locking/robust-futex-ABI.rst) needs no such list for one lock: the thread's
 * list_op_pending, which is private memory, names the lock while it is held or being taken. When the thread
 * dies, the kernel finds its id in the futex, marks it FUTEX_OWNER_DIED and wakes a waiter.
 *
 * The lock word has 64 bits: the low half is the futex (thread id, FUTEX_WAITERS, FUTEX_OWNER_DIED), the high half
 * the slot of the owner, both taken with one compare-and-swap. So who waits long can ask whether the owner lives, also where the
 * kernel does not help (emulators, thread ids of different PID namespaces). */
#ifndef SHMHEAP_LOCK_H
#define SHMHEAP_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "../segment/connection.h"
#include "../base/kernel.h"

#define LOCK_SLOT_SHIFT 32
#define LOCK_HUNGRY (UINT64_C(1) << 63) /* a waiter sleeps that has waited for LOCK_HUNGRY_MS */
#define LOCK_LEFT (LOCK_HUNGRY | FUTEX_WAITERS) /* free, but only for a hungry waiter */
#define LOCK_HUNGRY_MS 50
/* The kinds of sleepers: bits of FUTEX_WAIT_BITSET. */
#define LOCK_SLEEPS 1u
#define LOCK_SLEEPS_HUNGRY 2u
#define LOCK_SLICE_MS 100 /* a waiter asks after the owner when it has waited this long */

/* Unlocking costs no atomic instruction. Who wants to sleep first sets control->waiting and FUTEX_WAITERS in the
 * word, then has the kernel run a barrier on all processors that are in a process of ours (membarrier(2), as in
 * asymmetric Dekker locks); who unlocks looks for FUTEX_WAITERS, stores 0, and then looks at control->waiting. So
 * either the one sees the lock free or the other sees the sleeper, without a barrier on the side that is taken a
 * million times more often. 1 in processes that the kernel knows of; others unlock with an exchange. */
extern int lock_barrier_remote __attribute__((visibility("hidden")));

/* Once a process, and in each child after fork. */
void lock_register(void);

/* struct lock_self is private to the thread. */
struct lock_self {
    uint32_t tid; /* 0: not filled yet */
    long futex_offset;
    struct robust_list **pending; /* of the kernel's robust list head */
};
extern __thread struct lock_self lock_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

enum lock_result {
    LOCK_TAKEN,  /* the heap is as the last owner left it */
    LOCK_DIED,   /* taken, but the last owner died inside: the index may not fit the headers */
    LOCK_SUSPECT /* not taken for LOCK_SLICE_MS: who has it now may be dead; see lock_seize */
};

void lock_self_fill(void);
/* After fork, in the child: the thread has another id. */
void lock_self_forget(void);
/* In a child whose memory is its own copy of the heap: a thread that held the lock is not here. */
void lock_take_over(struct shmheap *heap);

/* lock_wait takes the lock, or gives up with LOCK_SUSPECT and *seen after about LOCK_SLICE_MS. The
 * call that it serves has waited for waited_ms before. */
enum lock_result lock_wait(struct shmheap *heap, uint64_t waited_ms, uint64_t *seen);
/* lock_seize takes the lock from the owner seen, who is known to be dead: LOCK_DIED, or LOCK_SUSPECT when it has changed. */
enum lock_result lock_seize(struct shmheap *heap, uint64_t seen);
/* lock_release_broken lets go such that the next owner gets LOCK_DIED again. */
void lock_release_broken(struct shmheap *heap);
void lock_wake(struct shmheap *heap);

/* The slot in a lock word; 0: none. */
static inline unsigned lock_word_slot(uint64_t word)
{
    return (unsigned)((word & ~LOCK_HUNGRY) >> LOCK_SLOT_SHIFT);
}

/* The slot that holds the lock, looked at without taking it; 0: none. */
unsigned lock_owner_slot(const struct shmheap *heap);

static inline uint64_t lock_mine(const struct shmheap *heap)
{
    return lock_self.tid | (uint64_t)heap->slot << LOCK_SLOT_SHIFT;
}

/* The kernel looks at *pending when the thread dies: set before the lock can be ours, cleared after it cannot. */
static inline void lock_announce(struct shmheap *heap)
{
    *lock_self.pending = (struct robust_list *)(void *)((unsigned char *)&heap->control->lock -
                                                        lock_self.futex_offset);
    compiler_barrier();
}

static inline void lock_renounce(void)
{
    compiler_barrier();
    *lock_self.pending = NULL;
}

/* The heap changes between an odd and the next even sequence. */
static inline void lock_mark_changing(struct control *control)
{
    __atomic_store_n(SHARED_VALUE(&control->sequence), load_u64(&control->sequence) | 1,
                     __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* lock_try takes the lock if it is free: 1, or 0. Announced only around the attempt on a lock seen free, so that a
 * thread of the same id in another PID namespace cannot be mistaken for the owner when it is killed while waiting. */
static inline int lock_try(struct shmheap *heap)
{
    shared_u64 *lock = &heap->control->lock;
    if (UNLIKELY(lock_self.tid == 0))
        lock_self_fill();
    if (UNLIKELY(load_u64(lock) != 0))
        return 0;
    lock_announce(heap);
    if (UNLIKELY(!compare_exchange(lock, 0, lock_mine(heap)))) {
        lock_renounce();
        return 0;
    }
    FOLLOWS_WHAT_WAS_ORDERED(lock);
    lock_mark_changing(heap->control);
    return 1;
}

/* Unlocks, waking a sleeper if there is one. A death before the wake: the kernel finds the futex 0 and wakes one. */
void lock_release_waking(struct shmheap *heap, uint64_t word);

static inline void lock_release(struct shmheap *heap)
{
    struct control *control = heap->control;
    __atomic_store_n(SHARED_VALUE(&control->sequence), (load_u64(&control->sequence) | 1) + 1,
                     __ATOMIC_RELEASE);
    ORDERS_WHAT_FOLLOWS(&control->lock);
    if (UNLIKELY(((uint32_t)load_u64(&control->lock) & FUTEX_WAITERS) || !lock_barrier_remote)) {
        lock_release_waking(heap, 0);
        return;
    }
    store_publish(&control->lock, 0);
    compiler_barrier();
    if (UNLIKELY(load_u64(&control->waiting) != 0))
        lock_wake(heap);
    lock_renounce();
}

#endif
