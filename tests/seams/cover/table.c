/* The table of situations: factors, their values, and the pairs of values that cannot be
 * together.
 * SPDX-License-Identifier: Apache-2.0
 *
 * To add a value: its constant in table.h, its word here at the same place, what it does in
 * place.c (memory), opening.c (openings) or events/ (events). To add a constraint: two sets of
 * values and the reason. covering_test fails when a pair can be in no row although no constraint
 * says so. */
#include "tests/seams/cover/table.h"

#include <stdio.h>
#include <string.h>

/* How large the heap is when it is made. */
static const struct table_value sizes[SIZES] = {
    {"1MiB", 0, 0},  /* the default */
    {"4KiB", 0, 0},  /* fewer bytes than the processes want */
    {"16MiB", 1, 0}, /* from here on making takes long enough to be met in the middle */
    {"64MiB", 3, 0}, /* growing doubles it */
    {"1GiB", 4, 0},  /* always sparse */
};

/* Further flags. */
static const struct table_value flags[FLAGS_VALUES] = {
    {"none", 0, 0},      /* nothing */
    {"reap", 0, 0},      /* SHMHEAP_REAP */
    {"sparse", 0, 0},    /* SHMHEAP_SPARSE */
    {"huge", 2, 0},      /* SHMHEAP_HUGE_PAGES */
    {"take-over", 1, 0}, /* a dead process has left a heap of that name */
    {"observer", 1, 0},  /* none, and one more process that is connected read-only */
};

/* Whose connections have SHMHEAP_CACHED. */
static const struct table_value caches[CACHES_VALUES] = {
    {"none", 0, 0},
    {"all", 0, 0},
    {"some", 0, 0}, /* the subject's, and those of every other participant */
};

static const struct table_value alignments[ALIGNMENTS] = {{"8", 0, 0}, {"16", 0, 0}};

/* grows: the heap may become four times as long (twice from 64 MiB on), and does. */
static const struct table_value growths[GROWTHS] = {{"fixed", 0, 0}, {"grows", 1, 0}};

/* What the heap lies in. */
static const struct table_value memories[MEMORIES] = {
    {"shm", 0, 0},        /* a name of shm_open() */
    {"file-tmpfs", 0, 0}, /* SHMHEAP_FILE, in /dev/shm */
    {"file-disk", 1, 0},  /* SHMHEAP_FILE, in a folder on a disk */
    {"file-huge", 2, 0},  /* SHMHEAP_FILE, on a hugetlbfs of the row's own */
    {"anon-fork", 0, 0},  /* SHMHEAP_ANONYMOUS; all others are forked by its maker */
    {"anon-fd", 0, 0},    /* SHMHEAP_ANONYMOUS; others get the descriptor over a socket */
    {"shared", 0, 0},     /* shmheap_create_at in a mapping with MAP_SHARED */
    {"array", 0, 0},      /* shmheap_create_at in private memory: each child has a copy */
};

/* What keeps names. */
static const struct table_value names[NAMES_VALUES] = {
    {"used", 0, 0}, /* their users alone */
    {"kept", 0, 0}, /* each participant also has names that stay until they are removed by name */
};

/* How the process to which the event happens (the subject) comes to its connection. */
static const struct table_value openings[OPENINGS] = {
    {"create", 0, 0},    /* it makes the heap */
    {"at-once", 1, 0},   /* all open it with SHMHEAP_CREATE at one moment */
    {"during", 1, 0},    /* it connects while another makes the heap */
    {"later", 0, 0},     /* it connects when another has made the heap */
    {"inherited", 0, 0}, /* its parent had the connection when it forked */
    {"by-fd", 0, 0},     /* shmheap_open_fd with a descriptor from the maker */
    {"daemon", 1, 0},    /* it made the heap and has called daemon(3) */
};

/* Connected processes, those apart that an event adds. */
static const struct table_value processes[PROCESSES_VALUES] = {
    {"2", 0, 0}, {"4", 1, 0}, {"64", 12, 0}, {"1000", 200, 1}};

/* What happens to the subject. */
static const struct table_value events[EVENTS] = {
    {"nothing", 0, 0},      /* all go on working */
    {"fork-child", 0, 0},   /* it forks, and the child works on */
    {"fork-opening", 0, 0}, /* one thread opens, another forks; then the subject is killed */
    {"fork-busy", 1, 0},    /* it forks while its threads are inside calls; the children work */
    {"raw-clone", 0, 0},   /* clone(2) without the handlers of fork(); the child works, is killed */
    {"spawn", 0, 0},       /* vfork and exec of a program that looks at its descriptors */
    {"exec", 0, 0},        /* it executes another program */
    {"return", 0, 0},      /* from main */
    {"exit", 0, 0},        /* exit(3) */
    {"_exit", 0, 0},       /* _exit(2), which runs no destructors */
    {"quick-exit", 0, 0},  /* quick_exit(3) */
    {"abort", 0, 0},       /* abort(3) */
    {"kill-store", 0, 0},  /* SIGKILL before some store to the shared memory */
    {"kill-random", 0, 0}, /* SIGKILL at any moment of its work */
    {"kill-parent", 0, 0}, /* SIGKILL while a child that it forked lives */
    {"maker-dies", 1, 0},  /* another process is killed while it makes a heap of another name */
    {"stop", 0, 0},        /* SIGSTOP before some store, mostly under the lock; later SIGCONT */
    {"cancel", 0, 0},      /* threads make calls with a deferred cancellation pending */
    {"closefrom", 0, 0},   /* closes all descriptors from 3 up after opening */
    {"stdout", 0, 0},      /* closes 0, 1 and 2 before opening */
    {"setuid", 0, 0},      /* gives its rights up after opening, then forks */
    {"chroot", 0, 0},      /* to an empty folder after opening, then forks */
    {"nofile", 0, 0},      /* has no descriptor left after opening, then forks */
    {"fsize", 0, 0},       /* RLIMIT_FSIZE below the length that it then requests */
    {"as", 0, 0},          /* RLIMIT_AS below the length that it then requests */
    {"full", 1, 0},        /* the file system becomes full */
    {"timer", 1, 0},       /* a signal each millisecond, from before opening on */
    {"reader", 0, 0},      /* a process that may only read holds shared locks on all bytes */
    {"main-gone", 0, 0},   /* its main thread has ended by pthread_exit() */
    {"dlclose", 0, 0},     /* a process unloads the library while a thread that used it lives */
    {"renamed", 0, 0},     /* the name is removed, made anew, and the old heap destroyed by name */
    {"exit-busy", 0, 0},   /* exit(3) while a thread is inside calls on another heap */
    {"kill-all", 0, 0},    /* SIGKILL of all while they work; then a process connects */
    {"fd-lent", 0, 0},     /* another process has what shmheap_fd gives, and unlocks all of it */
    {"memory-limit", 0, 0}, /* a control group's limit below the length that it then requests */
    {"copy", 1, 0},         /* the heap is copied as it works, once by a process that is killed */
    {"unkept", 0, 0},       /* a kept name that it uses is removed, and it is killed */
    {"kill-next", 0, 0},    /* SIGKILL; another process reaps, gets its places, is killed too */
};

#define FACTOR(name, values)                                                                       \
    {                                                                                              \
        name, sizeof(values) / sizeof *(values), values                                            \
    }
const struct table_factor table_factors[FACTORS] = {
    [SIZE] = FACTOR("size", sizes),
    [FLAGS] = FACTOR("flags", flags),
    [CACHES] = FACTOR("caches", caches),
    [ALIGNMENT] = FACTOR("alignment", alignments),
    [GROWTH] = FACTOR("growth", growths),
    [MEMORY] = FACTOR("memory", memories),
    [NAMES] = FACTOR("names", names),
    [OPENED] = FACTOR("opened", openings),
    [PROCESSES] = FACTOR("processes", processes),
    [EVENT] = FACTOR("event", events),
};

#define ONE(value) (UINT64_C(1) << (value))
#define TWO(a, b) (ONE(a) | ONE(b))
#define ALL_BUT(values) (~(uint64_t)(values))
#define NAMED_MEMORY (TWO(MEMORY_SHM, MEMORY_FILE_TMPFS) | TWO(MEMORY_FILE_DISK, MEMORY_FILE_HUGE))
#define CALLERS_MEMORY TWO(MEMORY_SHARED, MEMORY_ARRAY)
#define BY_INHERITANCE (ONE(OPENED_CREATE) | TWO(OPENED_INHERITED, OPENED_DAEMON))

const struct table_constraint table_constraints[] = {
    {SIZE, ONE(SIZE_1G), FLAGS, ONE(FLAGS_HUGE),
     "would ask the kernel for a gigabyte of real pages"},
    {SIZE, ONE(SIZE_1G), MEMORY, ONE(MEMORY_FILE_HUGE),
     "would take more than a gigabyte of huge pages from the machine"},
    {SIZE, ONE(SIZE_1G), EVENT, TWO(EVENT_FULL, EVENT_MEMORY_LIMIT),
     "the gigabyte is sparse: a full file system raises SIGBUS, as shmheap.h says, or the kernel "
     "kills"},
    {FLAGS, ONE(FLAGS_SPARSE), EVENT, TWO(EVENT_FULL, EVENT_MEMORY_LIMIT),
     "in a sparse heap a full file system raises SIGBUS, as shmheap.h says, or the kernel kills"},
    {FLAGS, ONE(FLAGS_SPARSE) | TWO(FLAGS_HUGE, FLAGS_TAKE_OVER), MEMORY, CALLERS_MEMORY,
     "shmheap_create_at refuses the flag"},
    {FLAGS, ONE(FLAGS_TAKE_OVER), MEMORY, ALL_BUT(NAMED_MEMORY), "only a name can be taken over"},
    {FLAGS, ONE(FLAGS_TAKE_OVER), OPENED, ONE(OPENED_DURING),
     "those that connect first would find what the dead process left, and live on it"},
    {FLAGS, ONE(FLAGS_OBSERVER), MEMORY, CALLERS_MEMORY | ONE(MEMORY_ANON_FORK),
     "nothing that could be opened read-only: no name and no descriptor"},
    {MEMORY, ONE(MEMORY_ANON_FORK), OPENED, ALL_BUT(BY_INHERITANCE),
     "this memory is had by inheritance alone"},
    {MEMORY, ONE(MEMORY_ARRAY), OPENED, ALL_BUT(BY_INHERITANCE),
     "this memory is had by inheritance alone"},
    {MEMORY, ONE(MEMORY_ANON_FD), OPENED, ONE(OPENED_AT_ONCE) | TWO(OPENED_DURING, OPENED_LATER),
     "without a name there is nothing to connect to but the descriptor"},
    {MEMORY, ONE(MEMORY_SHARED), OPENED, TWO(OPENED_AT_ONCE, OPENED_BY_FD),
     "shmheap_create_at overwrites what is there, and there is no descriptor"},
    {MEMORY, ONE(MEMORY_ARRAY), EVENT,
     TWO(EVENT_FORK_OPENING, EVENT_EXEC) | TWO(EVENT_RETURN, EVENT_EXIT) |
         TWO(EVENT_UNDERSCORE_EXIT, EVENT_QUICK_EXIT) | TWO(EVENT_ABORT, EVENT_KILL_STORE) |
         TWO(EVENT_KILL_RANDOM, EVENT_KILL_PARENT) | TWO(EVENT_STOP, EVENT_EXIT_BUSY) |
         TWO(EVENT_KILL_ALL, EVENT_UNKEPT) | ONE(EVENT_KILL_NEXT),
     "no other process sees the memory, so its end concerns no other process"},
    {MEMORY, ONE(MEMORY_SHARED), EVENT, ONE(EVENT_EXEC),
     "in the caller's memory exec is not noticed, as shmheap.h says"},
    {MEMORY, ALL_BUT(NAMED_MEMORY), EVENT,
     TWO(EVENT_MAKER_DIES, EVENT_READER) | TWO(EVENT_DLCLOSE, EVENT_RENAMED),
     "needs a heap with a name"},
    {MEMORY, TWO(MEMORY_ANON_FORK, MEMORY_ANON_FD), EVENT, ONE(EVENT_KILL_ALL),
     "the heap goes with its last process"},
    {MEMORY, CALLERS_MEMORY, EVENT, ONE(EVENT_FD_LENT), "this memory has no descriptor"},
    {MEMORY, ALL_BUT(TWO(MEMORY_SHM, MEMORY_FILE_TMPFS)), EVENT, ONE(EVENT_FULL),
     "only a tmpfs can be made full without harm to the machine"},
    {MEMORY, ONE(MEMORY_FILE_HUGE), EVENT, ONE(EVENT_FSIZE),
     "the kernel does not hold hugetlbfs to RLIMIT_FSIZE, as shmheap.h says"},
    {OPENED, TWO(OPENED_INHERITED, OPENED_DAEMON), EVENT, ONE(EVENT_FORK_OPENING),
     "the subject opens nothing itself"},
    {PROCESSES, ONE(PROCESSES_1000), EVENT, TWO(EVENT_FULL, EVENT_AS),
     "a thousand slots want room that the limit denies"},
};
const size_t table_constraints_count = sizeof table_constraints / sizeof *table_constraints;

static int in_set(uint64_t set, unsigned value) { return (int)(set >> value & 1); }

const char *table_forbids(enum factor a, unsigned a_value, enum factor b, unsigned b_value)
{
    for (size_t i = 0; i < table_constraints_count; i++) {
        const struct table_constraint *c = &table_constraints[i];
        if ((c->a == a && c->b == b && in_set(c->a_values, a_value) &&
             in_set(c->b_values, b_value)) ||
            (c->a == b && c->b == a && in_set(c->a_values, b_value) &&
             in_set(c->b_values, a_value)))
            return c->reason;
    }
    return NULL;
}

void table_row_print(const struct row *row, char *text)
{
    size_t len = 0;
    text[0] = 0;
    for (unsigned f = 0; f < FACTORS; f++)
        len += (size_t)snprintf(text + len, ROW_TEXT_MAX - len, "%s%s=%s", f ? " " : "",
                                table_factors[f].name, table_factors[f].values[row->value[f]].word);
}

/* The value of factor f in the text, or -1. */
static int value_parse(enum factor f, const char *text)
{
    char wanted[64];
    for (unsigned v = 0; v < table_factors[f].count; v++) {
        int len = snprintf(wanted, sizeof wanted, "%s=%s", table_factors[f].name,
                           table_factors[f].values[v].word);
        const char *found = strstr(text, wanted);
        if (found != NULL && (found[len] == 0 || found[len] == ' '))
            return (int)v;
    }
    return -1;
}

int table_row_parse(struct row *row, const char *text)
{
    for (unsigned f = 0; f < FACTORS; f++) {
        int value = value_parse((enum factor)f, text);
        if (value < 0)
            return -1;
        row->value[f] = (unsigned char)value;
        for (unsigned g = 0; g < f; g++)
            if (table_forbids((enum factor)f, row->value[f], (enum factor)g, row->value[g]) != NULL)
                return -1;
    }
    return 0;
}
