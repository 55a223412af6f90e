/* SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPIN_NS = 150000, /* how long a waiter looks before it sleeps */
    LOOK_NS = 25000,  /* from one look to the next, at most about twice this */
    STILL_NS = 10000, /* or until nothing has happened for so long: the owner is not running, and our processor may be what he needs */
    SLEEP_MS = 5      /* at most, lest a wake be lost with a waiter that dies just woken */
};

int lock_barrier_remote;

__thread struct lock_self lock_self;

/* Where the kernel has no robust lists (an emulator), announcements go nowhere, and lock_seize has to do. */
static __thread struct robust_list *pending_nowhere;
static __thread struct robust_list_head own_head;

void lock_self_fill(void)
{
    struct robust_list_head *head = NULL;
    size_t size = 0;
    int before = errno;
    lock_self.futex_offset = 0;
    lock_self.pending = &pending_nowhere;
    long failed = syscall(SYS_get_robust_list, 0, &head, &size);
    if (failed == 0 && head == NULL) {
        /* A C library that registers no list until a robust mutex is used. */
        own_head.list.next = &own_head.list;
        own_head.futex_offset = 0;
        if (syscall(SYS_set_robust_list, &own_head, sizeof own_head) == 0)
            head = &own_head;
    }
    if (failed == 0 && head != NULL) {
        lock_self.futex_offset = head->futex_offset;
        lock_self.pending = &head->list_op_pending;
    }
    lock_self.tid = (uint32_t)syscall(SYS_gettid);
    errno = before; /* a kernel without robust lists is not the caller's business */
}

void lock_self_forget(void) { lock_self.tid = 0; }

void lock_take_over(struct shmheap *heap)
{
    if (load_u64(&heap->control->lock) != 0)
        store_publish(&heap->control->lock, FUTEX_OWNER_DIED);
}

void lock_register(void)
{
    lock_barrier_remote = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

static uint32_t *futex_of(struct shmheap *heap) { return (uint32_t *)(void *)&heap->control->lock; }

void lock_wake(struct shmheap *heap)
{
    store_u64(&heap->control->waiting, 0);
    syscall(SYS_futex, futex_of(heap), FUTEX_WAKE, 1, NULL, NULL, 0);
}

void lock_release_waking(struct shmheap *heap, uint64_t word)
{
    uint64_t was = swap_always(&heap->control->lock, word);
    if (((uint32_t)was & FUTEX_WAITERS) || load_u64(&heap->control->waiting) != 0)
        lock_wake(heap);
    lock_renounce();
}

/* 1: somebody has woken us, or the word is another already. 0: the time is over. */
static int futex_sleep(struct shmheap *heap, uint32_t value, uint64_t ns)
{
    struct timespec limit = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    return syscall(SYS_futex, futex_of(heap), FUTEX_WAIT, value, &limit, NULL, 0) == 0 || errno != ETIMEDOUT;
}

/* Replaces the word seen by ours, announced: 1, or 0. Other waiters may sleep, so their bit is kept or set. */
static int lock_replace(struct shmheap *heap, uint64_t seen, uint64_t bits)
{
    lock_announce(heap);
    if (swap_if(&heap->control->lock, seen, lock_mine(heap) | bits)) {
        FOLLOWS_WHAT_WAS_ORDERED(&heap->control->lock);
        lock_mark_changing(heap->control);
        return 1;
    }
    lock_renounce();
    return 0;
}

/* Takes the word seen if it has no living owner; waiters is what to or into it. */
static int lock_take_if_ownerless(struct shmheap *heap, uint64_t seen, uint64_t waiters, enum lock_result *result)
{
    if (seen != 0 && !((uint32_t)seen & FUTEX_OWNER_DIED))
        return 0;
    *result = seen == 0 ? LOCK_TAKEN : LOCK_DIED;
    return lock_replace(heap, seen, waiters | (seen & FUTEX_WAITERS));
}

/* A short time of looking, since most owners are gone within it: 1 with the lock, *result then. Less and less often: each look takes
 * the line from the owner, who may do hundreds of operations meanwhile, with everything still in its cache. By the clock, since a pause
 * takes ten times as long on one processor as on another. */
static int lock_spin(struct shmheap *heap, uint64_t waiters, enum lock_result *result)
{
    const struct control *control = heap->control;
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), last = begin, now = begin, moved = begin, sequence = load_u64(&control->sequence);
    for (unsigned pauses = 1; now - begin < SPIN_NS && now - moved < STILL_NS; last = now) {
        if (lock_take_if_ownerless(heap, load_u64(&control->lock), waiters, result))
            return 1;
        for (unsigned i = 0; i < pauses; i++)
            spin_pause();
        now = clock_ns(CLOCK_MONOTONIC);
        if (now - last < LOOK_NS)
            pauses *= 2;
        uint64_t is = load_u64(&control->sequence);
        moved = is != sequence ? now : moved;
        sequence = is;
    }
    return 0;
}

enum lock_result lock_wait(struct shmheap *heap, uint64_t *seen)
{
    shared_u64 *lock = &heap->control->lock;
    enum lock_result result;
    if (lock_self.tid == 0)
        lock_self_fill();
    if (lock_spin(heap, 0, &result))
        return result;
    /* Bounded by time alone: a peer may rewrite the word as fast as we read it. */
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), limit = LOCK_SLICE_MS * UINT64_C(1000000), passed = 0;
    for (; passed < limit; passed = clock_ns(CLOCK_MONOTONIC) - begin) {
        *seen = load_u64(lock);
        if (*seen != 0 && !((uint32_t)*seen & FUTEX_OWNER_DIED)) {
            store_u64(&heap->control->waiting, 1);
            if (!((uint32_t)*seen & FUTEX_WAITERS) && !swap_if(lock, *seen, *seen | FUTEX_WAITERS))
                continue;
            syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
            /* Not woken: one look. Did all who sleep spin then, where there are many of them they would keep the owner off the processor. */
            if (!futex_sleep(heap, (uint32_t)*seen | FUTEX_WAITERS, SLEEP_MS * UINT64_C(1000000)))
                continue;
        }
        /* Who unlocked may have the lock again: one look after waking would often come too late. Others may sleep. */
        if (lock_spin(heap, FUTEX_WAITERS, &result))
            return result;
    }
    *seen = load_u64(lock);
    return LOCK_SUSPECT;
}

enum lock_result lock_seize(struct shmheap *heap, uint64_t seen)
{
    return lock_replace(heap, seen, seen & FUTEX_WAITERS) ? LOCK_DIED : LOCK_SUSPECT;
}

void lock_release_broken(struct shmheap *heap)
{
    struct control *control = heap->control;
    __atomic_store_n(SHARED_VALUE(&control->sequence), (load_u64(&control->sequence) | 1) + 1, __ATOMIC_RELEASE);
    ORDERS_WHAT_FOLLOWS(&control->lock);
    lock_release_waking(heap, FUTEX_OWNER_DIED);
}

unsigned lock_owner_slot(const struct shmheap *heap) { return (unsigned)(load_u64(&heap->control->lock) >> LOCK_SLOT_SHIFT); }
