/* lock.pml: the lock of a heap and recovery after a death, for Spin to look at every order in
 * which PROCESSES processes can take their steps, and at a death between any two of them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inlines have the names of the functions in c/src/process/lock.h, lock.c and recover.c that
 * they are; steps are their accesses to shared memory. Of the processor: a plain store may
 * become visible late (unlocking is one; TSO), its own process sees it at once, and swaps,
 * system calls and membarrier make it visible. Of the kernel: futexes, the word that a dying
 * thread has announced, the lock by which other processes know that its process lives, dropped
 * somewhat later.
 *
 * Checked:
 *   one process at a time is inside (assertion in enter);
 *   the process inside finds the index as the headers say, or knows that it must recover first
 *     (assertion in change);
 *   no process waits for ever (no end state but the end of all): a sleeper's own time limit is
 *     taken only where nothing else can happen, and a waiter that wakes by it gets the lock
 *     (assertion in lock_take);
 *   only a starving waiter takes the lock that is left to starving waiters (assertion in
 *     lock_replace).
 * A waiter may starve at each turn of its loop, and is when it needed its time limit. With
 * WAKES_LOST 0 and two processes also that no process but a starving waiter gets the lock while
 * the other is starving and sleeps, unless a process has died (OVERTAKES_NONE). With WAKES_LOST
 * 0 also that no sleeper needs its time limit unless a process has died (assertion in
 * futex_sleep). As c/src/process/lock.c is, a sleeper may need it:
 *   a waiter says waiting before it swaps FUTEX_WAITERS in; the owner unlocks, clears waiting,
 *     locks again, and the waiter swaps the same word;
 *   a process that unlocked earlier clears waiting that was set for the present owner, and wakes
 *     a process that does not sleep yet.
 * Then the sleeper tests the lock by itself after a while (sleep_end). What WAKES_LOST 0 does
 * instead: waiting is set behind the swap, and cleared by the owner alone. MUTANT 1 to 9 break
 * the model in one place each; each must be found. */
#ifndef PROCESSES
#define PROCESSES 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef KERNEL_MARKS /* 0: no robust futexes, as in some emulators */
#define KERNEL_MARKS 1
#endif
#ifndef WAKES_LOST /* 1: as c/src/process/lock.c is; 0: as it would lose no wake */
#define WAKES_LOST 1
#endif
#ifndef STARVING /* bit p: process p may starve before it needs its time limit */
#define STARVING 3
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

/* The word: low half the futex, high half the slot of the owner. Process p has thread id and slot p
 * + 1. */
#define TID(w) ((w) & 15)
#define FUTEX_WAITERS 16
#define FUTEX_OWNER_DIED 32
#define LOW(w) ((w) & 255)
#define SLOT(w) (((w) >> 8) & 15)
#define LOCK_STARVING 4096
#define LOCK_HANDOFF (LOCK_STARVING | FUTEX_WAITERS)
#define LOCK_MINE ((p + 1) | ((p + 1) << 8))

short word;              /* control->lock */
bit waiting;             /* control->waiting */
bit truth, index;        /* the headers, and what is derived from them */
bit pending[PROCESSES];  /* the lock is announced to the kernel */
bit unseen[PROCESSES];   /* the store of 0 that unlocks is not visible yet */
byte asleep[PROCESSES];  /* in futex_sleep: the kind of sleeper, or 0 */
bit is_starving[PROCESSES];
bit alive[PROCESSES];    /* the lock on the slot's byte of the file is held */
bit killed[PROCESSES];
byte inside, deaths, ended;

#define LOCK_TAKEN 0
#define LOCK_DIED 1
#define LOCK_WAITER 1
#define LOCK_WAITER_STARVING 2

/* The processor and the kernel ------------------------------------------ */

inline drain(q)
{
    if
    :: unseen[q] -> word = 0; unseen[q] = 0
    :: else
    fi
}

inline load_word(to) { to = (unseen[p] -> 0 : word) }

inline compare_exchange(from, to, success)
{
    atomic {
        drain(p);
        success = (word == from);
        if
        :: success -> word = to
        :: else
        fi
    }
}

inline membarrier()
{
    atomic {
        i = 0;
        do
        :: i < PROCESSES -> drain(i); i++
        :: else -> break
        od;
        i = 0
    }
}

/* Wakes any one sleeper of the kinds: success 1, or 0 where there is none. */
inline futex_wake(kinds, success)
{
    success = 1;
    if
    :: asleep[0] & (kinds) -> asleep[0] = 0
    :: asleep[1] & (kinds) -> asleep[1] = 0
#if PROCESSES > 2
    :: asleep[2] & (kinds) -> asleep[2] = 0
#endif
    :: else -> success = 0
    fi
}

/* Ends when another process wakes this one, or by the time limit: then a process has died. */
inline futex_sleep(value)
{
    atomic {
        drain(p);
        asleep[p] = (LOW(word) == (value) ->
            (is_starving[p] -> LOCK_WAITER_STARVING : LOCK_WAITER) : 0)
    };
    if
    :: !asleep[p]
    :: timeout -> atomic {
        assert(deaths > 0 || WAKES_LOST);
        asleep[p] = 0;
        is_starving[p] = 1;
        limit = 1
    }
    fi
}

/* lock.h, lock.c -------------------------------------------------------- */

inline lock_announce()
{
#if MUTANT != 1
    pending[p] = 1
#else
    skip
#endif
}

inline lock_renounce() { pending[p] = 0 }

/* The lock has just been taken. */
#if PROCESSES == 2 && !WAKES_LOST
#define OVERTAKES_NONE (deaths > 0 || is_starving[p] || asleep[1 - p] != LOCK_WAITER_STARVING)
#else
#define OVERTAKES_NONE 1
#endif

inline lock_try()
{
    load_word(seen);
    if
    :: seen == 0 ->
        lock_announce();
        atomic {
            compare_exchange(0, LOCK_MINE, got);
            assert(!got || OVERTAKES_NONE)
        };
        result = LOCK_TAKEN;
        if
        :: !got -> lock_renounce()
        :: else
        fi
    :: else -> got = 0
    fi
}

inline lock_replace(from, bits)
{
    lock_announce();
    atomic {
        compare_exchange(from, LOCK_MINE | (bits) | (from & LOCK_HANDOFF), got);
        assert(!got || from != LOCK_HANDOFF || is_starving[p]);
        assert(!got || OVERTAKES_NONE)
    };
    if
    :: !got -> lock_renounce()
    :: else
    fi
}

#if MUTANT != 9
#define LOCK_IS_FOR \
    (seen == 0 || (seen & FUTEX_OWNER_DIED) || (seen == LOCK_HANDOFF && is_starving[p]))
#else
#define LOCK_IS_FOR (seen == 0 || (seen & FUTEX_OWNER_DIED) || seen == LOCK_HANDOFF)
#endif

inline lock_take_if_free(slept)
{
    if
    :: !LOCK_IS_FOR -> got = 0
    :: else ->
        result = (seen & FUTEX_OWNER_DIED -> LOCK_DIED : LOCK_TAKEN);
        lock_replace(seen, slept)
    fi
}

inline lock_spin(slept)
{
    load_word(seen);
    lock_take_if_free(slept)
}

/* got: 0 where the word is another by now. */
inline lock_waiter_mark()
{
    got = 1;
    bits = (is_starving[p] -> LOCK_HANDOFF : FUTEX_WAITERS);
    if
    :: (seen & bits) != bits ->
#if MUTANT != 2 && WAKES_LOST
        waiting = 1;
#endif
        compare_exchange(seen, seen | bits, got);
        if
        :: got ->
#if MUTANT != 2 && !WAKES_LOST
            waiting = 1;
#endif
#if MUTANT != 3
            membarrier()
#else
            skip
#endif
        :: else
        fi
    :: else
    fi
}

/* The owner seen is known to be dead. */
inline lock_seize()
{
    result = LOCK_DIED;
    lock_replace(seen, 0)
}

/* lock_wait and the tests that lock_take makes between. */
inline lock_take()
{
    slept = 0;
    lock_spin(slept);
    do
    :: got -> break
    :: else ->
        if
        :: (STARVING >> p) & 1 -> is_starving[p] = 1
        :: skip
        fi;
        load_word(seen);
        got = 1;
        if
        :: !LOCK_IS_FOR ->
            lock_waiter_mark();
            if
            :: got ->
                slept = FUTEX_WAITERS;
                futex_sleep(LOW(seen) | FUTEX_WAITERS)
            :: else
            fi
        :: else
        fi;
        if
        :: !got /* the word had changed: once more from the beginning */
        :: else ->
            lock_spin(slept);
            if
            :: !got ->
                load_word(seen);
                if
#if MUTANT == 1
                :: 0 -> skip
#elif MUTANT != 5
                :: seen != 0 && TID(seen) != 0 && !alive[SLOT(seen) - 1] -> lock_seize()
#else
                :: seen != 0 && TID(seen) != 0 -> lock_seize()
#endif
                :: else
                fi
            :: else
            fi;
            assert(got || !limit);
            limit = 0
        fi
    od;
    is_starving[p] = 0
}

inline lock_wake()
{
#if WAKES_LOST
    waiting = 0;
#endif
    atomic {
        drain(p);
        futex_wake(LOCK_WAITER | LOCK_WAITER_STARVING, got)
    }
}

inline lock_release_waking()
{
#if !WAKES_LOST
    waiting = 0; /* by the owner alone */
#endif
    load_word(seen);
    bits = (seen & LOCK_STARVING -> LOCK_HANDOFF : 0);
    atomic {
        drain(p);
        seen = word;
        word = bits
    };
    got = 0;
    if
    :: seen & LOCK_STARVING -> atomic { futex_wake(LOCK_WAITER_STARVING, got) }
    :: else
    fi;
    if
    :: got
    :: else ->
#if MUTANT != 8
        if
        :: bits -> compare_exchange(LOCK_HANDOFF, 0, got)
        :: else
        fi;
#endif
#if WAKES_LOST
        if
        :: (seen & FUTEX_WAITERS) || waiting -> lock_wake()
        :: else
        fi
#else
        lock_wake()
#endif
    fi
}

inline lock_release()
{
    load_word(seen);
    if
#if WAKES_LOST
    :: seen & FUTEX_WAITERS -> lock_release_waking()
#else
    :: (seen & FUTEX_WAITERS) || waiting -> lock_release_waking()
#endif
    :: else ->
        unseen[p] = 1; /* the store of 0 */
#if MUTANT != 6
        if
        :: waiting -> lock_wake()
        :: else
        fi
#endif
    fi;
    lock_renounce()
}

/* recover.c ------------------------------------------------------------- */

inline recover_heap()
{
#if MUTANT != 7
    index = truth
#else
    skip
#endif
}

inline heap_lock()
{
    lock_try();
    if
    :: !got -> lock_take()
    :: else
    fi
}

/* What a call does under the lock -------------------------------------- */

inline enter()
{
    atomic {
        assert(inside == 0);
        inside = p + 1
    }
}

inline change()
{
    if
    :: result == LOCK_DIED -> recover_heap()
    :: else
    fi;
    assert(index == truth);
    truth = 1 - truth; /* the publishing store */
    index = truth
}

/* Until it has made its changes, or is killed: before any of its steps. */
proctype process(byte p)
{
    short seen, bits, slept;
    bit got, result, limit;
    byte i, round;
    {
        do
        :: round < ROUNDS ->
            heap_lock();
            enter();
            change();
            inside = 0;
            lock_release();
            round++
        :: else -> break
        od;
        /* Leaving is a system call. */
        atomic {
            drain(p);
            alive[p] = 0
        }
    } unless {
        killed[p];
        atomic {
            drain(p);
            asleep[p] = 0;
            is_starving[p] = 0;
            inside = (inside == p + 1 -> 0 : inside)
        };
#if KERNEL_MARKS
        /* handle_futex_death */
        atomic {
            if
            :: pending[p] && LOW(word) == 0 -> futex_wake(LOCK_WAITER | LOCK_WAITER_STARVING, got)
            :: pending[p] && TID(word) == p + 1 ->
                seen = word;
#if MUTANT != 4
                word = (SLOT(seen) << 8) | FUTEX_OWNER_DIED | (seen & LOCK_HANDOFF);
#else
                word = seen & LOCK_HANDOFF;
#endif
                if
                :: seen & FUTEX_WAITERS -> futex_wake(LOCK_WAITER | LOCK_WAITER_STARVING, got)
                :: else
                fi
            :: else
            fi;
            pending[p] = 0
        };
#endif
        alive[p] = 0
    };
    ended++
}

active proctype killer()
{
    do
    :: deaths < DEATHS -> atomic {
            deaths++;
            if
            :: alive[0] && !killed[0] -> killed[0] = 1
            :: alive[1] && !killed[1] -> killed[1] = 1
#if PROCESSES > 2
            :: alive[2] && !killed[2] -> killed[2] = 1
#endif
            :: else -> deaths = DEATHS
            fi
        }
    :: break
    od
}

/* Stores become visible at any time. */
active proctype processors()
{
end:
    do
    :: atomic { unseen[0] -> drain(0) }
    :: atomic { unseen[1] -> drain(1) }
#if PROCESSES > 2
    :: atomic { unseen[2] -> drain(2) }
#endif
    od
}

init {
    atomic {
        alive[0] = 1; run process(0);
        alive[1] = 1; run process(1);
#if PROCESSES > 2
        alive[2] = 1; run process(2)
#endif
    };
    ended == PROCESSES;
    assert(inside == 0)
}
