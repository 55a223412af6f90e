/* schedule.h: a scheduler of real processes: the state that they share, and what scenarios use.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The processes of a scenario, the actors, run one at a time. Before each load and store of the
 * heap, and where an actor waits, wakes or ends, the plan says which actor goes on, or which one
 * dies. Each such place is a step; the steps of a run are numbered. The director, the process that
 * forked the actors, restores the heap before a run, kills actors, and checks the heap afterwards.
 *
 *   stage.c      hands the processor over, decides at each step
 *   words.c      which steps are points, where something else might happen
 *   system.c     futexes, clocks and pauses of the core, without waiting in the kernel
 *   director.c   starts actors, runs one plan
 *   aftermath.c  what must hold after a run
 *   explore.c    makes plans: all up to a bound, or random ones */
#ifndef TESTS_SCHEDULE_SCHEDULE_H
#define TESTS_SCHEDULE_SCHEDULE_H

#include <stdint.h>
#include <sys/types.h>

#include "c/src/process/lock.h"
#include "c/src/segment/connection.h"
#include "shmheap.h"

enum {
    ACTORS_MAX = 4,
    DIRECTOR = ACTORS_MAX, /* its number among those that take turns */
    NO_ACTOR = -1,
    CHANGES_MAX = 256,    /* of a plan */
    POINTS_MAX = 1 << 15, /* of a run */
    WORDS_MAX = 1 << 14,  /* of 8 bytes, in the heap */
    RESULTS_MAX = 32,     /* of an actor */
    HANDLES_MAX = 8,
    STEPS_MAX = 300000 /* of a run: more is a loop without end */
};

/* Scenarios --------------------------------------------------------------- */

/* struct scenario: each actor first runs begin, then the calls of run, which the scheduler
 * interleaves. */
struct scenario {
    const char *name;
    unsigned actors;
    unsigned fewer; /* changes in a plan than in those of other scenarios */
    size_t bytes;   /* of the region */
    unsigned flags;
    unsigned cached;            /* a bit for each actor whose connection caches */
    unsigned connects;          /* a bit for each actor that connects in run, not before */
    void (*prepare)(void);      /* in the director, once; may be NULL */
    void (*begin)(unsigned);    /* in each actor in turn; may be NULL */
    void (*run)(unsigned);      /* in each actor */
    const char *(*judge)(void); /* in the director, after a run: what is wrong; may be NULL */
};

enum scenario_flags {
    IN_FILE = 1,      /* the heap lies in a file: liveness is a lock. Else in plain memory */
    REAPS = 2,        /* the heap has SHMHEAP_REAP */
    LOOSE = 4,        /* results need not be those of calls one after the other: judge decides */
    DIES = 8,         /* actors die, too */
    DIES_ALONE = 16,  /* a death costs two changes: for scenarios with many places to die */
    LOOSE_DEATHS = 32 /* LOOSE where an actor died: its calls have several publishing stores */
};

/* What scenarios call. mem is the connection of this process. */
extern shmheap_memory_handle mem;
/* Before each call of run: other actors may run here also where whole calls are ordered. */
void call_begins(void);
/* Results, which are compared with those of whole calls in some order. */
void record(uint64_t value);
void record_status(int status); /* and errno where it failed */
void *record_ptr(void *ptr);    /* its place, or errno */
/* Connects, and disconnects, in run. */
void connect_now(void);
void disconnect_now(void);
/* Where all actors find it; set to zeros before each run. */
extern struct stage *stage;

/* The stage --------------------------------------------------------------- */

enum actor_state { ACTOR_READY, ACTOR_BLOCKED, ACTOR_ENDED, ACTOR_DEAD };

struct actor {
    uint32_t turn; /* futex: 1 when it may go on */
    pid_t pid;
    enum actor_state state;
    uint64_t futex;    /* offset in the heap of what it sleeps on */
    uint32_t kinds;    /* of sleepers: FUTEX_WAIT_BITSET */
    uint64_t deadline; /* of the stage's clock; UINT64_MAX: none */
    uint64_t since;    /* order among sleepers */
    int timed_out, yielded;
    int announced; /* the kernel would find the heap's lock at its death */
    uint64_t results[RESULTS_MAX];
    unsigned result_count;
};

/* struct change departs from what happens without it, at a step: an actor dies, or another one
 * goes on. */
struct change {
    uint32_t step;
    uint8_t kills;
    uint8_t actor;
};

/* struct point is a step of a run at which something else might happen: sets of actors. */
struct point {
    uint32_t step;
    uint8_t cheap;  /* may go on, where the running actor stops anyway */
    uint8_t costly; /* may go on: a preemption, or a time limit that passes */
    uint8_t mortal; /* may die */
};

enum order { ORDER_CALLS, ORDER_STEPS, ORDER_RANDOM };

struct stage {
    struct actor actors[ACTORS_MAX];
    uint32_t director_turn;
    unsigned count;
    int running;           /* actor */
    int victim, requester; /* of a death; NO_ACTOR */
    char failure[200];     /* of the run; empty: none */
    enum order order;
    int tells; /* prints each step */
    /* the plan, and the run's points behind its last change */
    struct change changes[CHANGES_MAX];
    unsigned change_count, change_next;
    struct point points[POINTS_MAX];
    unsigned point_count;
    uint32_t steps;
    uint64_t clock, sleeps, deaths, random;
    /* time limits that passed because no actor could go on: at the heap's lock, or since a wake
     * there was lost; and elsewhere */
    uint64_t lock_forced, forced;
    int lock_strict;                        /* 1: lock_forced is a failure */
    unsigned preemptions_left, deaths_left; /* of a random run */
    /* words of the heap: sets of actors that loaded or stored, in all runs so far */
    uint8_t by[WORDS_MAX], unlocked[WORDS_MAX], stored[WORDS_MAX];
    uint8_t racy[WORDS_MAX]; /* 1: steps at this word are points */
    /* the scenario's */
    shmheap_object_handle handles[HANDLES_MAX];
    uint64_t offsets[HANDLES_MAX];
};

void stage_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Gives an actor or the director its turn, and waits for this process's own. */
void stage_post(int number);
void stage_await(int number);
/* The place of a word in the heap, through whichever connection. */
uint64_t heap_offset(const void *word); /* UINT64_MAX: not of the heap */
int acting(void);                       /* an actor is in run */
/* The step of a wait: the actor has set itself blocked. Returns when it goes on. */
void stage_give_way(void);
enum step_kind { STEP_OF_WORD, STEP_OF_CALL, STEP_OF_END };
void stage_step(const void *word, int stores, enum step_kind kind);
void stage_act(unsigned actor, void (*run)(unsigned));
/* Chooses the actor that goes on where the last one cannot; NO_ACTOR: all have ended. */
int stage_choose(int from);
void stage_resume(int actor);
extern int self; /* number of this actor; DIRECTOR */

/* Words ------------------------------------------------------------------- */
void words_note(uint64_t word, int stores); /* of this actor */
int words_lock_held(void);                  /* by this actor */
unsigned words_racy(void);                  /* how many are racy */
void words_update(void);                    /* steps at the racy words are points from now on */

/* The system -------------------------------------------------------------- */
void system_begin(void);
uint64_t sleepers_wake(uint64_t futex, uint64_t count, uint32_t kinds);

/* The director ------------------------------------------------------------ */
void director_begin(const struct scenario *scenario);
/* Runs the plan on the stage: 1, or 0 with stage->failure. */
int director_run(void);
/* Lets the actors disconnect after a run, and empties the heap: 1, or 0 with stage->failure. */
int director_finish(void);
void director_end(void);
extern shmheap_memory_handle director_mem;
extern const struct scenario *scenario;

/* The aftermath ----------------------------------------------------------- */
/* A number that stands for the results and the blocks. */
uint64_t aftermath_outcome(void);
/* Checks that the heap is sound; after actors have disconnected, that all can be freed. */
void aftermath_sound(void);
void aftermath_empty(void);

/* Exploring --------------------------------------------------------------- */
void explore(const struct scenario *scenario);

/* explore_is_asked returns 1 if the plan, a text, is one of this scenario. */
int explore_is_asked(const struct scenario *scenario, const char *plan);

#endif
