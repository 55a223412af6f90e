/* slot.pml: the table of slots: taking one by the lock on its byte of the file (IN_MEMORY 0) or
 * by a swap of its word (1), leaving it in order, finding out whether its holder lives, and
 * giving it back. Included by claim.pml.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Inlines have the names of the functions in c/src/process/slot.c and recover.c that they are,
 * steps are their accesses to shared memory and their system calls. The local
 * variables are the caller's, in claim.pml.
 *
 * Left out: what an entry says for people (name, times); PID namespaces: all processes see each
 * other; ids of processes that come again while a process reads the slot of their first bearer. */

/* A slot's word: state, and the id of the process, p + 1. */
#define SLOT_FREE 0
#define SLOT_TAKEN 1
#define SLOT_VACATED 2
#define WORD(state) ((state) | ((p + 1) << 2))
#define WORD_STATE(w) ((w) & 3)
#define WORD_PID(w) ((w) >> 2)
#define SLOT_GONE 0 /* in headers */
#define SLOT_DEPARTED 3

byte word[SLOTS + 1];      /* slot_entry(s)->word */
byte start_ticks[SLOTS + 1]; /* of the entry; a process's is its id. In memory alone */
byte byte_lock[SLOTS + 1]; /* of the file, by which process; 0: none */
byte collector;            /* COLLECTOR_BYTE */
byte lock;                 /* of the heap, by which process */
bit exited[PROCESSES];     /* the kernel is done with it */
/* the process that holds the slot, and lives; only assertions read it */
byte holder[SLOTS + 1];

/* The kernel, and the lock of lock.pml ---------------------------------- */

inline heap_lock() { atomic { lock == 0 -> lock = p + 1 } }
inline heap_unlock() { lock = 0 }

/* slot.c ---------------------------------------------------------------- */

inline process_lives(id, ticks)
{
    atomic {
        alive = (id != 0);
        if
        :: alive -> alive = !exited[id - 1] && (ticks == 0 || ticks == id)
        :: else
        fi;
        id = 0;
        ticks = 0
    }
}

inline slot_alive(s)
{
#if !IN_MEMORY
    alive = (s == slot || byte_lock[s] != 0)
#else
    if
    :: atomic { s == slot || WORD_STATE(word[s]) != SLOT_TAKEN -> alive = (s == slot) }
    :: else ->
        who = WORD_PID(word[s]);
        ticks = start_ticks[s];
        process_lives(who, ticks)
    fi
#endif
}

/* The moment from which the slot counts as this process's. */
inline given(s)
{
    assert(holder[s] == 0); /* no other holder */
    /* and no blocks of an earlier holder */
    assert(SLOT(header[0]) != s && SLOT(header[OBJECTS - 1]) != s);
    holder[s] = p + 1;
    slot = s;
    holds = 0
}

inline slot_take_in_file(s)
{
    if
#if MUTANT != 1
    :: atomic { byte_lock[s] == 0 -> byte_lock[s] = p + 1 };
#else
    :: 1 ->
#endif
        if
        :: atomic { WORD_STATE(word[s]) == SLOT_FREE || MUTANT == 2 -> got = 1 }
        :: else -> byte_lock[s] = 0
        fi;
        if
        :: atomic {
                got ->
                word[s] = WORD(SLOT_TAKEN);
                given(s)
            }
        :: else
        fi
    :: else
    fi
}

inline slot_take_in_memory(s)
{
    /* The word seen is one of a free slot, all of which are alike. */
    if
    :: atomic {
            WORD_STATE(word[s]) == SLOT_FREE || MUTANT == 3 ->
            word[s] = WORD(SLOT_TAKEN);
            given(s);
            got = 1
        };
        start_ticks[s] = p + 1 /* slot_fill */
    :: else
    fi
}

inline slot_take_at(s)
{
    if
    :: WORD_STATE(word[s]) == SLOT_FREE ->
#if !IN_MEMORY
        slot_take_in_file(s)
#else
        slot_take_in_memory(s)
#endif
    :: else
    fi
}

inline slot_take()
{
    slot_take_at(1);
#if SLOTS > 1
    if
    :: !got -> slot_take_at(2)
    :: else
    fi
#endif
}

inline slot_clear(s)
{
#if IN_MEMORY
    start_ticks[s] = 0;
#endif
    atomic {
        assert(holder[s] == 0);
        word[s] = SLOT_FREE
    }
}

inline slot_leave()
{
#if MUTANT == 4
    byte_lock[slot] = 0;
#endif
    if
#if MUTANT == 15
    :: !holds ->
        holder[slot] = 0;
        slot_clear(slot)
#endif
    :: else -> atomic {
            fate_of_held(FATE_LEFT);
            holder[slot] = 0;
            word[slot] = (MUTANT == 5 -> SLOT_FREE : WORD(SLOT_VACATED))
        }
    fi;
#if !IN_MEMORY && MUTANT != 4
    byte_lock[slot] = 0;
#endif
    slot = 0
}

inline slot_collector_begin()
{
#if !IN_MEMORY
    atomic { collector == 0 -> collector = p + 1 }
#else
    skip
#endif
}

inline slot_collector_end()
{
#if !IN_MEMORY
    collector = 0
#else
    skip
#endif
}
