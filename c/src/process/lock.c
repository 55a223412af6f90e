/* lock.c: the slow paths of the lock: spinning, sleeping, waking, and taking it from a dead owner.
 *
 * The words that an owner leaves, and the threads that may replace them:
 *   0                  unlocked                           any thread
 *   LOCK_HANDOFF       unlocked while a waiter starves    starving waiters
 *   FUTEX_OWNER_DIED   the kernel saw the owner die, or   any thread; it gets LOCK_DIED
 *                      the owner could not recover
 *   thread and slot    the owner died unseen              lock_seize; it gets LOCK_DIED
 *
 * A waiter spins, then sleeps on the futex. After each lock_slice_ms its caller tests whether the
 * owner lives. After LOCK_STARVING_MS the waiter starves. So a process that unlocks and locks
 * again at once cannot keep the lock from it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    SPIN_NS = 150000,        /* a waiter spins for so long before it sleeps */
    POLL_NS = 25000,         /* between two loads of the word, at most about twice this */
    STILL_NS = 10000,        /* or until sequence stands still: the owner needs a processor */
    SLEEP_LEAST_NS = 5000000 /* a waiter that is not woken loads the word after this time */
};

#define MS_NS UINT64_C(1000000)

struct waiter {
    uint64_t slept; /* FUTEX_WAITERS once it has slept, or 0 */
    int starving;   /* it has waited for LOCK_STARVING_MS */
};

int lock_barrier_remote;

__thread struct lock_self lock_self PER_THREAD;

/* Without robust lists (an emulator), announcements go nowhere, and lock_seize detects dead
 * owners. */
static __thread struct robust_list *pending_nowhere PER_THREAD;
static __thread struct robust_list_head own_head PER_THREAD;

void lock_self_fill(void)
{
    struct robust_list_head *head = NULL;
    size_t size = 0;
    int before = errno;
    lock_self.futex_offset = 0;
    lock_self.pending = &pending_nowhere;
    long failed = syscall(SYS_get_robust_list, 0, &head, &size);
    if (failed == 0 && head == NULL) {
        /* This C library registers a list at the first use of a robust mutex: register one here. */
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
    errno = before; /* a missing robust list is no error of the call */
}

void lock_self_forget(void) { lock_self.tid = 0; }

void lock_take_over(struct shmheap *heap)
{
    uint64_t word = load_u64(&heap->control->lock);
    if (word != 0)
        store_publish(&heap->control->lock, word == LOCK_HANDOFF ? 0 : FUTEX_OWNER_DIED);
}

void lock_register(void)
{
    lock_barrier_remote =
        syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

static uint32_t *futex_of(struct shmheap *heap) { return (uint32_t *)(void *)&heap->control->lock; }

/* Wakes the sleeper of the given kinds that has slept longest: the number of woken threads. */
static long futex_wake(struct shmheap *heap, uint32_t kinds)
{
    return syscall(SYS_futex, futex_of(heap), FUTEX_WAKE_BITSET, 1, NULL, NULL, kinds);
}

void lock_wake(struct shmheap *heap)
{
    store_u64(&heap->control->waiting, 0);
    futex_wake(heap, LOCK_WAITER_STARVING | LOCK_WAITER);
}

void lock_release_waking(struct shmheap *heap, uint64_t word)
{
    shared_u64 *lock = &heap->control->lock;
    if (word == 0 && (load_u64(lock) & LOCK_STARVING))
        word = LOCK_HANDOFF;
    uint64_t was = exchange_u64(lock, word);
    if (!(was & LOCK_STARVING) || futex_wake(heap, LOCK_WAITER_STARVING) <= 0) {
        /* No starving waiter sleeps. A new one may have taken the lock meanwhile. */
        if (word == LOCK_HANDOFF)
            compare_exchange(lock, LOCK_HANDOFF, 0);
        if (((uint32_t)was & FUTEX_WAITERS) || load_u64(&heap->control->waiting) != 0)
            lock_wake(heap);
    }
    lock_renounce();
}

/* Returns 1 when the thread was woken or the word has changed, 0 at until_ns. */
static int futex_sleep(struct shmheap *heap, uint32_t value, uint32_t kind, uint64_t until_ns)
{
    struct timespec limit = timespec_of(until_ns);
    return syscall(SYS_futex, futex_of(heap), FUTEX_WAIT_BITSET, value, &limit, NULL, kind) == 0 ||
           errno != ETIMEDOUT;
}

/* Replaces the word seen by this thread's: 1, or 0. The bits of other waiters stay. */
static int lock_replace(struct shmheap *heap, uint64_t seen, uint64_t bits)
{
    lock_announce(heap);
    if (compare_exchange(&heap->control->lock, seen,
                         lock_mine(heap) | bits | (seen & LOCK_HANDOFF))) {
        HAPPENS_AFTER(&heap->control->lock);
        lock_mark_changing(heap->control);
        return 1;
    }
    lock_renounce();
    return 0;
}

/* Returns 1 when the waiter may take the lock in the state seen. */
static int lock_is_for(const struct waiter *waiter, uint64_t seen)
{
    return seen == 0 || ((uint32_t)seen & FUTEX_OWNER_DIED) ||
           (seen == LOCK_HANDOFF && waiter->starving);
}

/* Takes the lock in the state seen if the waiter may: 1, or 0. */
static int lock_take_if_free(struct shmheap *heap, const struct waiter *waiter, uint64_t seen,
                             enum lock_result *result)
{
    if (!lock_is_for(waiter, seen))
        return 0;
    *result = (uint32_t)seen & FUTEX_OWNER_DIED ? LOCK_DIED : LOCK_TAKEN;
    return lock_replace(heap, seen, waiter->slept);
}

/* Spins: 1 with the lock and *result, or 0. Most owners unlock within SPIN_NS. Each load takes the
 * cache line from the owner, which may do hundreds of operations meanwhile with all its data in its
 * cache. So the loads become ever rarer. A clock measures the time: a pause instruction takes ten
 * times as long on one processor as on another. While a starving waiter sleeps, the lock goes to
 * it: one load suffices. */
static int lock_spin(struct shmheap *heap, const struct waiter *waiter, enum lock_result *result)
{
    const struct control *control = heap->control;
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), last = begin, now = begin, moved = begin,
             sequence = load_u64(&control->sequence);
    for (unsigned pauses = 1; now - begin < SPIN_NS && now - moved < STILL_NS; last = now) {
        uint64_t seen = load_u64(&control->lock);
        if (lock_take_if_free(heap, waiter, seen, result))
            return 1;
        if (seen & LOCK_STARVING)
            return 0;
        for (unsigned i = 0; i < pauses; i++)
            spin_pause();
        now = clock_ns(CLOCK_MONOTONIC);
        if (now - last < POLL_NS)
            pauses *= 2;
        uint64_t is = load_u64(&control->sequence);
        moved = is != sequence ? now : moved;
        sequence = is;
    }
    return 0;
}

/* Sets the waiter's bits in the word seen, unless they are set: 1, or 0 when the word has
 * changed. */
static int lock_waiter_mark(struct shmheap *heap, const struct waiter *waiter, uint64_t seen)
{
    uint64_t bits = waiter->starving ? LOCK_HANDOFF : FUTEX_WAITERS;
    if ((seen & bits) == bits)
        return 1; /* the waiter that set them runs the barrier */
    store_u64(&heap->control->waiting, 1);
    if (!compare_exchange(&heap->control->lock, seen, seen | bits))
        return 0;
    syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    return 1;
}

/* Returns when a sleeper that is not woken loads the word: a wake is lost when its receiver dies.
 * The interval doubles the time waited so far and ends at limit. So a thousand waiters do not keep
 * the processors busy. */
static uint64_t sleep_end(uint64_t now, uint64_t waited, uint64_t limit)
{
    uint64_t end = now + (waited < SLEEP_LEAST_NS ? SLEEP_LEAST_NS : waited);
    return end < limit ? end : limit;
}

enum lock_result lock_wait(struct shmheap *heap, uint64_t waited_ms, uint64_t *seen)
{
    shared_u64 *lock = &heap->control->lock;
    struct waiter waiter = {0, waited_ms >= LOCK_STARVING_MS};
    enum lock_result result;
    if (lock_self.tid == 0)
        lock_self_fill();
    if (lock_spin(heap, &waiter, &result))
        return result;
    /* Time bounds the loop: a hostile peer may rewrite the word as fast as this thread reads it. */
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), limit = begin + lock_slice_ms(heap) * MS_NS;
    for (uint64_t now = begin; now < limit; now = clock_ns(CLOCK_MONOTONIC)) {
        uint64_t waited = waited_ms * MS_NS + (now - begin);
        waiter.starving = waited >= LOCK_STARVING_MS * MS_NS;
        *seen = load_u64(lock);
        if (!lock_is_for(&waiter, *seen)) {
            if (!lock_waiter_mark(heap, &waiter, *seen))
                continue;
            waiter.slept = FUTEX_WAITERS; /* kept in the word: other waiters may sleep */
            /* A waiter that was not woken loads the word once. If all sleepers spun here, they
             * would keep the owner off the processor. */
            if (!futex_sleep(heap, (uint32_t)*seen | FUTEX_WAITERS,
                             waiter.starving ? LOCK_WAITER_STARVING : LOCK_WAITER,
                             sleep_end(now, waited, limit)))
                continue;
        }
        /* The process that unlocked may have the lock again, so one load often comes too late. */
        if (lock_spin(heap, &waiter, &result))
            return result;
    }
    *seen = load_u64(lock);
    return lock_take_if_free(heap, &waiter, *seen, &result) ? result : LOCK_SUSPECT;
}

enum lock_result lock_seize(struct shmheap *heap, uint64_t seen)
{
    return lock_replace(heap, seen, 0) ? LOCK_DIED : LOCK_SUSPECT;
}

void lock_release_broken(struct shmheap *heap)
{
    lock_mark_changed(heap->control);
    lock_release_waking(heap, FUTEX_OWNER_DIED);
}

unsigned lock_owner_slot(const struct shmheap *heap)
{
    return lock_word_slot(load_u64(&heap->control->lock));
}
