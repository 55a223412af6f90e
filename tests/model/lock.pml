/* lock.pml: the lock of a heap and recovery after a death, for Spin to look at every order in which PROCESSES processes can take their
 * steps, and at a death between any two of them.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inlines have the names of the functions in c/src/lock.h, lock.c and recover.c that they are; steps are their accesses to shared
 * memory. Of the processor: a plain store may become visible late (unlocking is one; TSO), its own process sees it at once, and
 * swaps, system calls and membarrier make it visible. Of the kernel: futexes, the word that a dying thread has announced, the lock by which
 * others know that its process lives, dropped somewhat later.
 *
 * Checked:
 *   one process at a time is inside (assertion in enter);
 *   who is inside finds the index as the headers say, or knows that it must recover first (assertion in change);
 *   nobody waits for ever (no end state but the end of all): a sleeper's own time limit is taken only where nothing else can happen, and who
 *   wakes by it gets the lock (assertion in lock_take).
 * With WAKES_LOST 0 also that no sleeper needs its time limit unless somebody has died (assertion in futex_sleep). As c/src/lock.c is, it may:
 *   a waiter says waiting before it swaps FUTEX_WAITERS in; the owner unlocks, clears waiting, locks again, and the same word is swapped;
 *   who has unlocked long ago clears waiting that was set for the owner of now, and wakes somebody who does not sleep yet.
 * Then FUTEX_WAIT ends after SLEEP_MS. What WAKES_LOST 0 does instead: waiting is set behind the swap, and cleared by the owner alone.
 * MUTANT 1 to 7 break the model in one place each; each must be found. */
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
#ifndef WAKES_LOST /* 1: as c/src/lock.c is; 0: as it would lose no wake */
#define WAKES_LOST 1
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

/* The word: low half the futex, high half the slot of the owner. Process p has thread id and slot p + 1. */
#define TID(w) ((w) & 15)
#define FUTEX_WAITERS 16
#define FUTEX_OWNER_DIED 32
#define LOW(w) ((w) & 255)
#define SLOT(w) ((w) >> 8)
#define LOCK_MINE ((p + 1) | ((p + 1) << 8))

short word;              /* control->lock */
bit waiting;             /* control->waiting */
bit truth, index;        /* the headers, and what is derived from them */
bit pending[PROCESSES];  /* the lock is announced to the kernel */
bit unseen[PROCESSES];   /* the store of 0 that unlocks is not visible yet */
bit asleep[PROCESSES];   /* in futex_sleep */
bit alive[PROCESSES];    /* the lock on the slot's byte of the file is held */
bit killed[PROCESSES];
byte inside, deaths, ended;

#define LOCK_TAKEN 0
#define LOCK_DIED 1

/* The processor and the kernel ------------------------------------------ */

inline drain(q)
{
    if
    :: unseen[q] -> word = 0; unseen[q] = 0
    :: else
    fi
}

inline load_word(to) { to = (unseen[p] -> 0 : word) }

inline swap_if(from, to, success)
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

/* Wakes one sleeper, whichever. */
inline futex_wake()
{
    if
    :: asleep[0] -> asleep[0] = 0
    :: asleep[1] -> asleep[1] = 0
#if PROCESSES > 2
    :: asleep[2] -> asleep[2] = 0
#endif
    :: else
    fi
}

/* Ends awake by somebody, or by the time limit: then somebody has died. */
inline futex_sleep(value)
{
    atomic {
        drain(p);
        asleep[p] = (LOW(word) == (value))
    };
    if
    :: !asleep[p]
    :: timeout -> atomic {
        assert(deaths > 0 || WAKES_LOST);
        asleep[p] = 0;
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

inline lock_try()
{
    load_word(seen);
    if
    :: seen == 0 ->
        lock_announce();
        swap_if(0, LOCK_MINE, got);
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
    swap_if(from, LOCK_MINE | (bits), got);
    if
    :: !got -> lock_renounce()
    :: else
    fi
}

inline lock_take_if_ownerless(extra)
{
    if
    :: seen != 0 && !(seen & FUTEX_OWNER_DIED) -> got = 0
    :: else ->
        result = (seen == 0 -> LOCK_TAKEN : LOCK_DIED);
        lock_replace(seen, (extra) | (seen & FUTEX_WAITERS))
    fi
}

inline lock_spin(extra)
{
    load_word(seen);
    lock_take_if_ownerless(extra)
}

/* The owner seen is known to be dead. */
inline lock_seize()
{
    result = LOCK_DIED;
    lock_replace(seen, seen & FUTEX_WAITERS)
}

/* lock_wait and the questions that lock_take asks between. */
inline lock_take()
{
    lock_spin(0);
    do
    :: got -> break
    :: else ->
        load_word(seen);
        got = 1;
        if
        :: seen != 0 && !(seen & FUTEX_OWNER_DIED) ->
#if MUTANT != 2 && WAKES_LOST
            waiting = 1;
#endif
            if
            :: !(seen & FUTEX_WAITERS) -> swap_if(seen, seen | FUTEX_WAITERS, got)
            :: else
            fi;
            if
            :: got ->
#if MUTANT != 2 && !WAKES_LOST
                waiting = 1;
#endif
#if MUTANT != 3
                membarrier();
#endif
                futex_sleep(LOW(seen) | FUTEX_WAITERS)
            :: else
            fi
        :: else
        fi;
        if
        :: !got /* the word had changed: once more from the beginning */
        :: else ->
            lock_spin(FUTEX_WAITERS);
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
    od
}

inline lock_wake()
{
#if WAKES_LOST
    waiting = 0;
#endif
    atomic {
        drain(p);
        futex_wake()
    }
}

inline lock_release_waking()
{
#if !WAKES_LOST
    waiting = 0; /* by who has the lock alone */
#endif
    atomic {
        drain(p);
        seen = word;
        word = 0
    };
#if WAKES_LOST
    if
    :: (seen & FUTEX_WAITERS) || waiting -> lock_wake()
    :: else
    fi
#else
    lock_wake()
#endif
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

inline recover_enter()
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
    short seen;
    bit got, result, limit;
    byte i, round;
    {
        do
        :: round < ROUNDS ->
            recover_enter();
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
            inside = (inside == p + 1 -> 0 : inside)
        };
#if KERNEL_MARKS
        /* handle_futex_death */
        atomic {
            if
            :: pending[p] && LOW(word) == 0 -> futex_wake()
            :: pending[p] && TID(word) == p + 1 ->
                seen = word;
#if MUTANT != 4
                word = (SLOT(seen) << 8) | FUTEX_OWNER_DIED | (seen & FUTEX_WAITERS);
#else
                word = seen & FUTEX_WAITERS;
#endif
                if
                :: seen & FUTEX_WAITERS -> futex_wake()
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
