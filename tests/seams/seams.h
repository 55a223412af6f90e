/* seams.h: what the parts of a row share: the stage, the participants, checks, and the place of
 * the heap.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A row is run by a director, a process of its own that has no connection to the heap. It forks
 * participants. A participant waits until the director tells it to call a function (an act),
 * calls it, and answers. All they have in common lies in the stage, memory that all inherit; so
 * what a participant did before it was killed is known, and no descriptor is needed that an
 * event might close. */
#ifndef TESTS_SEAMS_SEAMS_H
#define TESTS_SEAMS_SEAMS_H

#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <sys/types.h>

#include "c/include/shmheap.h"
#include "tests/seams/cover/table.h"

enum {
    CROWD_MAX = 1000, /* participants of a row without those that an event adds */
    HELPERS = 22,     /* those that an event, an observer or an oracle adds */
    PEERS_MAX = CROWD_MAX + HELPERS,
    OBJECTS_MAX = 16, /* that a participant has at a time */
    NO_PEER = PEERS_MAX,
    DOCUMENTED_LOCK_S = 30, /* the longest wait that shmheap.h documents */
    SLACK_S = 10,           /* for a busy machine */
    REFUSED_STATUS = 99     /* a participant's exit status after a check that failed */
};

/* What other processes know of an object. */
enum kind {
    KIND_PRIVATE, /* nothing */
    KIND_SHARED,  /* a handle was taken */
    KIND_SENT,    /* in transit */
    KIND_NAMED,   /* it has a name of its maker's */
    KIND_COMMON,  /* it has the name that all use */
    KIND_KEPT,    /* it has a name of its maker's that stays until it is removed by name */
    KINDS
};

/* doubtful: its maker was inside a call that makes, changes or frees it. A death there leaves
 * either. */
enum object_state { OBJECT_NONE, OBJECT_DOUBTFUL, OBJECT_LIVES };

struct object {
    volatile enum object_state state;
    enum kind kind;
    uint64_t offset, len; /* bytes from shmheap_underlying(); bytes requested */
    uint64_t mark;        /* the contents follow from it */
    uint64_t handle;
    int passing; /* kept, by act_churn for a time */
};

/* starts: it has not opened the heap, or is its parent's copy. */
enum end { END_STARTS, END_LIVES, END_LEFT, END_DEAD };

struct peer {
    volatile uint32_t turn; /* a futex: TURN_IDLE, TURN_TOLD, TURN_ANSWERED */
    volatile pid_t pid;
    long (*volatile act)(uint64_t);
    const char *volatile act_name;
    volatile uint64_t argument;
    volatile long answer;
    volatile enum end end;
    volatile int has_slot;  /* it has changed the heap as this process */
    unsigned parent;        /* or NO_PEER: it inherited no connection */
    volatile int claims;    /* bits: objects of its parent's that lived when it forked */
    int claims_unsure;      /* forked without handlers: its claims are not promised */
    volatile int fds_known; /* no event has opened or closed descriptors in it */
    int fds_before;
    volatile uint64_t progress; /* operations */
    struct object objects[OBJECTS_MAX];
};

/* Where the heap lies. */
struct place {
    char tag[48];                            /* in the name of all that the row makes */
    char folder[160], name[200], other[200]; /* other: a second heap's name */
    unsigned char *memory;                   /* of the caller */
    uint64_t memory_len;
    volatile uint64_t device, inode; /* of the heap's file */
    int post[2];                     /* sockets, by which descriptors go to others */
    int private_mounts;
    int mounted;         /* on folder, in a mount namespace of the row's own */
    uint64_t huge_pages; /* the machine's limit of them was raised by so many */
    char group[300];     /* a control group with a limit of memory */
};

struct stage {
    struct row row;
    uint64_t seed;
    unsigned processes, helpers; /* helpers: how many were added */
    unsigned maker, subject, witness, observer;
    uint64_t len, max_len;
    struct place place;
    volatile uint32_t go; /* a futex: all processes that act at once wait for it */
    int fork_while_opening;
    int strict;                          /* expect all that could be, see oracle.c */
    unsigned fork_helper;                /* the participant that was forked meanwhile */
    volatile int rest;                   /* act_churn returns */
    int nameless;                        /* the event has removed the heap's name */
    unsigned names_left;                 /* removed names that processes which ended may leave */
    volatile uint64_t refusals;          /* calls that were refused as documented */
    volatile int ended, failed, skipped; /* ended: one process is writing the text, or has */
    volatile enum factor lacking;        /* skipped: the factor whose value is not to be had */
    char text[700];                      /* why it failed or was skipped */
    struct peer peers[PEERS_MAX];
};
extern struct stage *stage;
extern const char *seams_library; /* the shared library's path, or NULL */
extern jmp_buf seams_main;        /* longjmp: to return from main */

/* The row's value of a factor. */
static inline unsigned row_value(enum factor factor) { return stage->row.value[factor]; }
static inline int row_is(enum factor factor, unsigned value) { return row_value(factor) == value; }
int row_named(void);   /* the heap has a name */
int row_callers(void); /* it lies in the caller's memory */
int row_file(void);    /* its name is a file's path */

/* Failing and skipping, from any process of the row: the first text stays, and the process ends.
 * lacking: the factor whose value this machine cannot have. */
void seams_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void seams_skip(enum factor lacking, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
#define EXPECT(condition, ...) ((condition) ? (void)0 : seams_fail(__FILE__, __LINE__, __VA_ARGS__))

/* peer.c, for the director. Indices of the crowd are 0 to processes - 1. */
unsigned helper_new(void);             /* an index for one more participant */
void peer_start(unsigned index);       /* forks it from the director */
void peer_await_start(unsigned index); /* another participant forks it */
void tell_act(unsigned index, long (*act)(uint64_t), const char *name, uint64_t argument);
#define tell(index, act, argument) tell_act((index), (act), #act, (argument))
long answer(unsigned index);
#define ask(index, act, argument) (tell(index, act, argument), answer(index))
/* From *index on the first participant that has not answered, and what it was told; or NULL. */
const char *peer_waited_for(unsigned *index);
/* Waits until the process has ended and returns its status as waitpid() does, or -1 if its
 * parent has that. */
int peer_await_end(unsigned index, enum end end);
int peer_kill(unsigned index);    /* SIGKILL, then await */
int peer_running(unsigned index); /* its process is there and serves */

/* peer.c, for participants. */
extern unsigned self;             /* the index of this one, NO_PEER in the director */
extern shmheap_memory_handle mem; /* its connection */
struct peer *me(void);
void peer_serve(void) __attribute__((noreturn));
/* In a child after fork(): it is participant index from here on; does not return. */
void peer_become(unsigned index) __attribute__((noreturn));
/* The thread that calls this goes on serving; the act that it was told is answered with 0. */
void peer_resume(void) __attribute__((noreturn));
/* In the parent before it: the child inherits what the caller holds now. */
void peer_expect_child(unsigned index);
long act_fork(uint64_t index); /* fork(), the child becomes index */
void go_wait(void);
void go_all(void);

/* objects.c, for participants: acts. */
long act_fill(uint64_t count);   /* makes objects of all kinds: how many */
long act_churn(uint64_t rounds); /* frees, makes, resizes objects of its own, and looks at all */
long act_check(uint64_t unused); /* all of its own are as it left them */
long act_check_parent(uint64_t unused);
long act_first_change(uint64_t unused); /* one object: 0, or the errno of the refusal */
/* Makes an object for which the heap has to grow, and frees it: 0 or errno. */
long act_grow(uint64_t unused);
void object_check(const struct object *object, const char *whose);
void object_forget(struct object *object);
enum { OBJECT_NAME_MAX = 40 };
void object_name(const struct object *object, char *name); /* of one that has a name */
void check_sound(const char *when);
void fill_bytes(void *ptr, uint64_t len, uint64_t mark);
void *object_place(const struct object *object);
/* NULL with errno when it was refused as documented. */
struct object *object_make(enum kind kind, uint64_t len);
uint64_t object_len(void); /* a length such that all participants can have some objects */

/* opening.c */
enum how { HOW_MAKE, HOW_MAKE_OR_CONNECT, HOW_CONNECT, HOW_CONNECT_SOON, HOW_BY_FD };
void opening_run(void); /* all participants get their connections and fill the heap */
long act_open(uint64_t how);
long act_leave(uint64_t unused);   /* disconnects: nothing of the heap is left in the process */
int fd_receive(void);              /* what another has sent by act_post_fd */
long act_post_fd(uint64_t unused); /* sends the heap's descriptor to the next that opens by one */
unsigned newcomer(void);           /* one more participant, connected as the memory allows */
void options_fill(shmheap_options *options, int make);

/* place.c */
void place_make(void);
void place_note_file(int fd); /* the file of the heap, by which leaks are found */
/* No descriptor or mapping of the heap's file is left in this process. */
void place_check_process(void);
void place_check_end(void); /* nothing is left of the row in folders */
void place_remove(void);    /* whatever the row came to, also after a kill */
int descriptors_open(void); /* how many this process has */

/* oracle.c */
void oracle_run(void); /* the event is over */
/* Participant index or its ancestor, whichever is a child of owner; NO_PEER: none is. */
unsigned oracle_child_of(unsigned owner, unsigned index);
int oracle_child_lives(unsigned index); /* of the participant, or of its children */

/* collect.c */
void oracle_end(void); /* all leave; nothing is lost and nothing is left behind */

#endif
