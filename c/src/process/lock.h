/* lock.h: the lock of a heap: a robust futex.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   bit 63        STARVING: a waiter sleeps that has waited for 50 ms
 *   bits 32-62    slot of the owner
 *   bits 0-31     the futex: thread id, FUTEX_OWNER_DIED (bit 30), FUTEX_WAITERS (bit 31)
 *
 * The kernel's protocol (Documentation/locking/robust-futex-ABI.rst) makes the lock robust: the
 * thread's list_op_pending, which is private memory, names the lock while the thread takes or holds
 * it. When the thread dies, the kernel finds its id in the futex, sets FUTEX_OWNER_DIED and wakes a
 * waiter. A pthread mutex does not serve: glibc links robust mutexes into a list whose pointers lie
 * in shared memory and follows them when it unlocks, so a hostile peer could make it write
 * anywhere.
 *
 * One compare-exchange stores thread id and slot. So a waiter can test whether the owner lives,
 * also where the kernel does not mark the futex (emulators, thread ids of different PID
 * namespaces).
 *
 * Unlocking costs no atomic instruction. It is an asymmetric Dekker lock:
 *   waiter    stores control->waiting, sets FUTEX_WAITERS, then membarrier(2) on all processors
 *   unlocker  loads FUTEX_WAITERS, stores 0, then loads control->waiting
 * So either the waiter sees the lock free or the unlocker sees the waiter. The barrier is on the
 * waiter's side, which is rare. */
#ifndef SHMHEAP_LOCK_H
#define SHMHEAP_LOCK_H

#include <stddef.h>
#include <stdint.h>

#include "../segment/connection.h"
#include "../base/kernel.h"

#define LOCK_SLOT_SHIFT 32
#define LOCK_STARVING (UINT64_C(1) << 63)
#define LOCK_HANDOFF (LOCK_STARVING | FUTEX_WAITERS) /* free, but only for a starving waiter */
#define LOCK_STARVING_MS 50
#define LOCK_SLICE_MS 100 /* a waiter tests whether the owner lives after this time */

/* Kinds of sleepers: bits of FUTEX_WAIT_BITSET. */
#define LOCK_WAITER 1u
#define LOCK_WAITER_STARVING 2u

/* 1 in a process that has registered for membarrier(2). Other processes unlock with an exchange. */
extern int lock_barrier_remote __attribute__((visibility("hidden")));

/* lock_register registers for membarrier(2): once a process, and in each child after fork. */
void lock_register(void);

/* struct lock_self is private to the thread. */
struct lock_self {
    uint32_t tid; /* 0: lock_self_fill has not run */
    long futex_offset;
    struct robust_list **pending; /* list_op_pending of the robust list head */
};
extern __thread struct lock_self lock_self PER_THREAD __attribute__((visibility("hidden")));

enum lock_result {
    LOCK_TAKEN,  /* taken; the last owner unlocked the heap in order */
    LOCK_DIED,   /* taken, but the last owner died inside: the index may contradict the headers */
    LOCK_SUSPECT /* not taken for a slice: the owner may be dead; see lock_seize */
};

/* lock_self_fill reads the thread's id and robust list. lock_self_forget, in a child after fork:
 * the thread has another id. */
void lock_self_fill(void);
void lock_self_forget(void);

/* lock_take_over, in a child whose memory is its own copy of the heap: the thread that held the
 * lock does not exist here, so the lock counts as a dead owner's. */
void lock_take_over(struct shmheap *heap);

/* How long lock_wait waits: a slice, or to the end of a shorter limit. A test's limit of 0 means
 * 1 ms: the loops count whole milliseconds. */
static inline unsigned lock_slice_ms(const struct shmheap *heap)
{
    return heap->lock_limit_ms < LOCK_SLICE_MS ? heap->lock_limit_ms + 1 : LOCK_SLICE_MS;
}

/* lock_wait takes the lock, or returns LOCK_SUSPECT with the last word in *seen after about
 * lock_slice_ms. Its caller has waited for waited_ms before. */
enum lock_result lock_wait(struct shmheap *heap, uint64_t waited_ms, uint64_t *seen);

/* lock_seize takes the lock from the dead owner in seen: LOCK_DIED, or LOCK_SUSPECT when the word
 * has changed. */
enum lock_result lock_seize(struct shmheap *heap, uint64_t seen);

/* lock_release_broken unlocks such that the next owner gets LOCK_DIED again. */
void lock_release_broken(struct shmheap *heap);

/* lock_wake wakes the waiter that has slept longest. */
void lock_wake(struct shmheap *heap);

/* lock_word_slot returns the slot in a lock word; 0: none. */
static inline unsigned lock_word_slot(uint64_t word)
{
    return (unsigned)((word & ~LOCK_STARVING) >> LOCK_SLOT_SHIFT);
}

/* lock_owner_slot returns the slot that holds the lock now; 0: none. */
unsigned lock_owner_slot(const struct shmheap *heap);

static inline uint64_t lock_mine(const struct shmheap *heap)
{
    return lock_self.tid | (uint64_t)heap->slot << LOCK_SLOT_SHIFT;
}

/* The kernel reads *pending when the thread dies. So *pending is set before the thread can own the
 * lock, and cleared after the thread cannot own it any more. */
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

/* lock_mark_changing makes sequence odd: the heap may change until sequence is even. */
static inline void lock_mark_changing(struct control *control)
{
    ACCESS_HOOK(&control->sequence);
    __atomic_store_n(SHARED_VALUE(&control->sequence), load_u64(&control->sequence) | 1,
                     __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void lock_mark_changed(struct control *control)
{
    ACCESS_HOOK(&control->sequence);
    __atomic_store_n(SHARED_VALUE(&control->sequence), (load_u64(&control->sequence) | 1) + 1,
                     __ATOMIC_RELEASE);
    HAPPENS_BEFORE(&control->lock);
}

/* lock_try takes the lock if it is free: 1, or 0. It announces only a lock that it has seen free.
 * Else the kernel, at the death of a waiter, could mistake the waiter for an owner with the same
 * thread id in another PID namespace. */
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
    HAPPENS_AFTER(lock);
    lock_mark_changing(heap->control);
    return 1;
}

/* lock_release_waking stores word and wakes a sleeper if there is one. Death before the wake:
 * *pending is set, so the kernel finds the futex 0 and wakes a sleeper. */
void lock_release_waking(struct shmheap *heap, uint64_t word);

static inline void lock_release(struct shmheap *heap)
{
    struct control *control = heap->control;
    lock_mark_changed(control);
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
