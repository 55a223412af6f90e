/* claim.pml: ownership of an object: sending, receiving and reaping, by processes that take
 * slots and leave them. Spin tries every order in which PROCESSES processes can take their
 * steps, and a death between any two steps.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inlines have the names of the functions in c/src/ownership/, recover.c, c/src/api/ and slot.c
 * (slot.pml) that they are; one that ends in _at is one turn of the loop in the function. Steps
 * are their accesses to shared memory. Each process connects ROUNDS times and makes CALLS calls
 * each time, any that it may make. There are SLOTS slots, and OBJECTS objects, in transit in the
 * beginning.
 *
 * Checked, by assertions where the names in brackets are:
 *   an object has one owner at most, which finds that the header says so, and a handle is
 *     received once (ownership_receive, ownership_send);
 *   reaping frees only what a dead process owned: nothing of a live or a departed process,
 *     nothing in transit (reap_objects_at);
 *   reaping relabels nothing else, and the label says why (slot_relabel);
 *   a slot has one holder, which keeps it until it leaves or dies, and no block names the slot
 *     when it is given (given, slot_clear);
 *   no process waits for ever (no end state but the end of all);
 *   nothing is lost: when all processes have ended, in order or not, one more reaping frees what
 *     dead processes owned; objects in transit or of departed processes stay, and all slots are
 *     free (init).
 * MUTANT 1 to 17 break the model in one place each; each must be found (model_test.sh says what
 * they are). 15, 16 and 17 were faults of c/src. 15 and 16: a process left between another's
 * load of its slot's word and the test whether it lives. It counted as dead, and so did the next
 * process that took the slot, since the slot was free at once (//tests/crash:leaving_test). 17:
 * the generation of a new object was the count of allocs. The generations of objects that are
 * sent to and fro overtake that count, and a received handle was good again when the count had
 * caught up (//tests/unit/objects:handles_test). In the model no generation comes again in the same
 * place.
 *
 * Left out:
 *   the heap's lock: one word that a death frees (lock.pml proves that the lock is as good as
 *     that);
 *   stores that are seen late: a claim is a swap, and the other stores are made under the lock,
 *     or come before a system call or a swap of the same process, before which no process relies
 *     on them;
 *   that generations are 15 bits wide, and come again after 2^15;
 *   sizes, merging and the index: a free object is there to be allocated again;
 *   other threads of a process, and processes that share or free another's objects;
 *   names and caches, which reaping treats by the same sets of slots, and allocs that reap
 *     (FORMAT_REAP). */
#ifndef PROCESSES
#define PROCESSES 3
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef OBJECTS /* 1 or 2 */
#define OBJECTS 1
#endif
#ifndef ROUNDS /* connections of each process, one after the other */
#define ROUNDS 1
#endif
#ifndef CALLS /* of each connection */
#define CALLS 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
/* What each process may call. */
#define RECEIVE 1
#define SEND 2
#define ALLOC 4
#define FREE 8
#define REAP 16
#define SHARE 32
#ifndef DOES_0
#define DOES_0 31
#endif
#ifndef DOES_1
#define DOES_1 31
#endif
#ifndef DOES_2
#define DOES_2 31
#endif
#define DOES(call) ((p == 0 -> DOES_0 : (p == 1 -> DOES_1 : DOES_2)) & (call))
#ifndef IN_MEMORY
#define IN_MEMORY 0
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

/* A header. A free one keeps the generation, so that the next is another. */
#define STATE_FREE 0
#define STATE_USED 1
#define STATE_SENT 2
#define STATE_SHARED 3
#define HEADER(state, slot, generation) ((state) | ((slot) << 2) | ((generation) << 4))
#define STATE(h) ((h) & 3)
#define SLOT(h) (((h) >> 2) & 3)
#define GENERATION(h) ((h) >> 4)
#define LIVE(h) (STATE(h) == STATE_USED || STATE(h) == STATE_SHARED)

byte header[OBJECTS];
byte handle[OBJECTS];    /* generation sent last, as its sender told the other processes */
/* generations of received handles; only assertions read it */
short claimed[OBJECTS];
#if MUTANT == 17
byte allocs = OBJECTS;
#endif
bit killed[PROCESSES];
byte deaths, ended;

/* What became of an object, as a reader of the history would say: 1 to PROCESSES: held by that
 * process. Looked at by assertions alone. */
byte fate[OBJECTS];
#define FATE_FREE 0
#define FATE_SENT 10
#define FATE_LEFT 11
#define FATE_DEAD 12

#define IN(set, s) (((set) >> (s)) & 1)

/* What the process held when it left, or died. */
inline fate_of_held(to)
{
    fate[0] = (fate[0] == p + 1 -> to : fate[0]);
#if OBJECTS > 1
    fate[1] = (fate[1] == p + 1 -> to : fate[1])
#endif
}

#include "slot.pml"

inline block_republish(o, from, to)
{
    got = (header[o] == (from));
    if
    :: got -> header[o] = to
    :: else
    fi
}

/* own.c ----------------------------------------------------------------- */

#if MUTANT == 8
#define TO_SEND(h) LIVE(h)
#else
#define TO_SEND(h) (LIVE(h) && SLOT(h) == slot)
#endif
#define generation_next(h) (GENERATION(h) + (MUTANT != 9))

inline ownership_send(o)
{
    assert(fate[o] != p + 1 || TO_SEND(header[o]));
    if
    :: atomic { TO_SEND(header[o]) -> seen = header[o] };
        atomic {
            block_republish(o, seen, HEADER(STATE_SENT, SLOT_GONE, generation_next(seen)));
            if
            :: got ->
                assert(fate[o] == p + 1 && GENERATION(seen) < 14);
                fate[o] = FATE_SENT
            :: else -> seen = 0
            fi
        }
    :: else
    fi
}

#if MUTANT == 6
#define TO_RECEIVE(h) (GENERATION(h) == wanted)
#else
#define TO_RECEIVE(h) (STATE(h) == STATE_SENT && GENERATION(h) == wanted)
#endif

inline ownership_receive(o)
{
    wanted = handle[o];
    if
    /* before others can see that we do */
    :: atomic { TO_RECEIVE(header[o]) -> seen = header[o]; holds = 1 };
        atomic {
#if MUTANT == 7
            header[o] = HEADER(STATE_USED, slot, generation_next(seen));
            got = 1;
#else
            block_republish(o, seen, HEADER(STATE_USED, slot, generation_next(seen)));
#endif
            if
            :: got ->
                assert(fate[o] == FATE_SENT && GENERATION(seen) < 14);
                assert(!IN(claimed[o], wanted)); /* a handle is good once */
                claimed[o] = claimed[o] | (1 << wanted);
                fate[o] = p + 1
            :: else
            fi;
            got = 0;
            seen = 0
        }
    :: else
    fi;
    wanted = 0
}

/* Adds slot s to the dead slots if its holder is dead; seen: its word, taken. */
inline slot_dead(s)
{
#if MUTANT == 11
    alive = 0;
#else
    slot_alive(s);
#endif
    atomic {
        if
        :: !alive && (word[s] == seen || MUTANT == 16) -> dead = dead | (1 << s)
        :: else
        fi;
        seen = 0;
        alive = 0
    }
}

inline dead_slots_at(s)
{
    if
    :: atomic { WORD_STATE(word[s]) == SLOT_TAKEN -> seen = word[s] };
        slot_dead(s)
    :: else
    fi
}

/* Lock held. */
inline dead_slots()
{
    dead = 1 << SLOT_GONE;
    dead_slots_at(1);
#if SLOTS > 1
    dead_slots_at(2)
#endif
}

#if MUTANT == 10
#define TO_REAP(h, shared) (STATE(h) != STATE_FREE && IN(dead, SLOT(h)))
#else
#define TO_REAP(h, shared) \
    ((STATE(h) == STATE_USED || (shared && STATE(h) == STATE_SHARED)) && IN(dead, SLOT(h)))
#endif

inline reap_objects_at(o, shared)
{
    if
    :: atomic { TO_REAP(header[o], shared) -> seen = header[o] };
        atomic {
            assert(fate[o] == FATE_DEAD);
            header[o] = HEADER(STATE_FREE, 0, GENERATION(seen));
            fate[o] = FATE_FREE;
            seen = 0
        }
    :: else
    fi
}

/* Lock held. */
inline reap_objects(shared)
{
#if MUTANT != 14
    dead_slots();
#endif
    reap_objects_at(0, shared);
#if OBJECTS > 1
    reap_objects_at(1, shared);
#endif
    dead = 0;
    recover_slots()
}

/* recover.c ------------------------------------------------------------- */

inline slot_relabel(o, label, because)
{
    atomic {
        block_republish(o, seen, HEADER(STATE(seen), label, GENERATION(seen)));
        assert(!got || fate[o] == because);
        got = 0;
        seen = 0
    }
}

#define NAMED_BY(h, set) (SLOT(h) != SLOT_GONE && SLOT(h) != SLOT_DEPARTED && IN(set, SLOT(h)))

inline slots_relabel_at(o)
{
    if
    :: atomic { NAMED_BY(header[o], dead) -> seen = header[o] };
        slot_relabel(o, SLOT_GONE, FATE_DEAD)
    :: atomic { NAMED_BY(header[o], left) -> seen = header[o] };
#if MUTANT == 12
        slot_relabel(o, SLOT_GONE, FATE_LEFT)
#else
        slot_relabel(o, SLOT_DEPARTED, FATE_LEFT)
#endif
    :: else
    fi
}

inline slots_relabel()
{
    slots_relabel_at(0);
#if OBJECTS > 1
    slots_relabel_at(1)
#endif
}

inline recover_slots_at(s)
{
    if
    :: atomic { WORD_STATE(word[s]) == SLOT_TAKEN -> seen = word[s] };
        slot_dead(s)
    :: else
    fi;
    if
    :: atomic { !IN(dead, s) && WORD_STATE(word[s]) == SLOT_VACATED -> left = left | (1 << s) }
    :: else
    fi
}

inline slot_clear_at(s)
{
    if
    :: IN(dead | left, s) -> slot_clear(s)
    :: else
    fi
}

inline slots_clear()
{
    slot_clear_at(1);
#if SLOTS > 1
    slot_clear_at(2)
#endif
}

/* Lock held. */
inline recover_slots()
{
    recover_slots_at(1);
#if SLOTS > 1
    recover_slots_at(2);
#endif
#if MUTANT == 13
    slots_clear();
    slots_relabel();
#else
    slots_relabel();
    slots_clear();
#endif
    dead = 0;
    left = 0
}

inline slots_collect()
{
    slot_collector_begin();
    heap_lock();
    recover_slots();
    heap_unlock();
    slot_collector_end()
}

inline recover_take_slot()
{
    slot_take();
    if
    :: !got ->
        slots_collect();
        slot_take()
    :: else
    fi;
    got = 0
}

/* What processes do ------------------------------------------------------ */

inline some_object()
{
#if OBJECTS > 1
    if
    :: o = 0
    :: o = 1
    fi
#else
    skip
#endif
}

inline shmheap_alloc(o)
{
    heap_lock();
    if
    :: atomic { STATE(header[o]) == STATE_FREE -> holds = 1 };
        atomic {
            assert(fate[o] == FATE_FREE && GENERATION(header[o]) < 14);
#if MUTANT == 17
            allocs++;
            header[o] = HEADER(STATE_USED, slot, allocs);
#else
            header[o] = HEADER(STATE_USED, slot, GENERATION(header[o]) + 1);
#endif
            fate[o] = p + 1
        }
    :: else
    fi;
    heap_unlock()
}

inline shmheap_free(o)
{
    if
    :: atomic {
            fate[o] == p + 1 -> /* only the owner frees the object */
            assert(TO_SEND(header[o]))
        };
        heap_lock();
        atomic {
            assert(fate[o] == p + 1 && TO_SEND(header[o]));
            header[o] = HEADER(STATE_FREE, 0, GENERATION(header[o]));
            fate[o] = FATE_FREE
        };
        heap_unlock()
    :: else
    fi
}

inline shmheap_send(o)
{
    ownership_send(o);
    if
    /* The other processes know the handle. */
    :: atomic { got -> handle[o] = generation_next(seen); got = 0 }
    :: else
    fi;
    seen = 0
}

/* Of an object that the process holds. */
inline shmheap_ptr_to_handle(o)
{
    if
    :: atomic { fate[o] == p + 1 && STATE(header[o]) == STATE_USED -> seen = header[o] };
        atomic {
            block_republish(o, seen, HEADER(STATE_SHARED, SLOT(seen), GENERATION(seen)));
            assert(got)
        };
        atomic {
            handle[o] = GENERATION(seen); /* the other processes know it */
            got = 0;
            seen = 0
        }
    :: else
    fi
}

inline shmheap_receive(o) { ownership_receive(o) }

inline shmheap_reap(shared)
{
#if MUTANT == 14
    dead_slots();
#endif
    heap_lock();
    reap_objects(shared);
    heap_unlock()
}

inline end_of(p)
{
    atomic {
        exited[p] = 1;
        byte_lock[1] = (byte_lock[1] == p + 1 -> 0 : byte_lock[1]);
        byte_lock[SLOTS] = (byte_lock[SLOTS] == p + 1 -> 0 : byte_lock[SLOTS]);
        collector = (collector == p + 1 -> 0 : collector);
        ended++
    }
}

proctype process(byte p)
{
    byte slot, seen, wanted, dead, left, o, round, call, who, ticks;
    bit got, holds, alive;
    {
        do
        :: round < ROUNDS ->
            recover_take_slot();
            if
            :: slot != 0 ->
                do
                :: call < CALLS ->
                    some_object();
                    if
                    :: DOES(RECEIVE) -> shmheap_receive(o)
                    :: DOES(SEND) -> shmheap_send(o)
                    :: DOES(ALLOC) -> shmheap_alloc(o)
                    :: DOES(FREE) -> shmheap_free(o)
                    :: DOES(REAP) -> shmheap_reap(0)
                    :: DOES(SHARE) -> shmheap_ptr_to_handle(o)
                    fi;
                    call++
                :: break
                od;
                o = 0;
                call = 0;
                slot_leave()
            :: else
            fi;
            round++
        :: else -> break
        od;
        end_of(p)
    } unless {
        killed[p];
        atomic {
            /* It does no more; no other process knows its objects. */
            fate_of_held(FATE_DEAD);
            if
            :: slot != 0 && holder[slot] == p + 1 -> holder[slot] = 0
            :: else
            fi;
            lock = (lock == p + 1 -> 0 : lock)
        };
        end_of(p)
    }
}

active proctype killer()
{
    do
    :: deaths < DEATHS -> atomic {
            deaths++;
            if
            :: !exited[0] && !killed[0] -> killed[0] = 1
            :: !exited[1] && !killed[1] -> killed[1] = 1
#if PROCESSES > 2
            :: !exited[2] && !killed[2] -> killed[2] = 1
#endif
            :: else -> deaths = DEATHS
            fi
        }
    :: break
    od
}

init {
    byte p, slot, seen, dead, left, s, who, ticks;
    bit got, alive;
    atomic {
        do
        :: s < OBJECTS ->
            header[s] = HEADER(STATE_SENT, SLOT_GONE, 1);
            fate[s] = FATE_SENT;
            handle[s] = 1;
            s++
        :: else -> break
        od;
        s = 0;
        run process(0);
        run process(1);
#if PROCESSES > 2
        run process(2)
#endif
    };
    ended == PROCESSES;
    atomic {
        assert(lock == 0 && collector == 0 && byte_lock[1] == 0 && byte_lock[SLOTS] == 0);
        shmheap_reap(0);
        assert(word[1] == SLOT_FREE && word[SLOTS] == SLOT_FREE);
        do
        :: s < OBJECTS ->
            assert((fate[s] == FATE_FREE) == (STATE(header[s]) == STATE_FREE));
            assert((fate[s] == FATE_SENT) == (STATE(header[s]) == STATE_SENT));
            assert(fate[s] != FATE_LEFT || SLOT(header[s]) == SLOT_DEPARTED);
            assert(fate[s] != FATE_DEAD || STATE(header[s]) == STATE_SHARED);
            s++
        :: else -> break
        od;
        s = 0;
        shmheap_reap(1);
        do
        :: s < OBJECTS ->
            assert(fate[s] == FATE_FREE || fate[s] == FATE_SENT || fate[s] == FATE_LEFT);
            s++
        :: else -> break
        od
    }
}
