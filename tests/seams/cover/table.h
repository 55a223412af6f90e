/* table.h: the table of situations, as table.c fills it.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A situation is one value of each factor. The order of an enum is the order of its texts in
 * table.c. */
#ifndef TESTS_SEAMS_TABLE_H
#define TESTS_SEAMS_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum factor {
    SIZE,
    FLAGS,
    CACHES,
    ALIGNMENT,
    GROWTH,
    MEMORY,
    NAMES,
    OPENED,
    PROCESSES,
    EVENT,
    FACTORS
};

enum size { SIZE_1M, SIZE_4K, SIZE_16M, SIZE_64M, SIZE_1G, SIZES };
enum flags {
    FLAGS_NONE,
    FLAGS_REAP,
    FLAGS_SPARSE,
    FLAGS_HUGE,
    FLAGS_TAKE_OVER,
    FLAGS_OBSERVER,
    FLAGS_VALUES
};
enum caches { CACHES_NONE, CACHES_ALL, CACHES_SOME, CACHES_VALUES };
enum alignment { ALIGNMENT_8, ALIGNMENT_16, ALIGNMENTS };
enum growth { GROWTH_FIXED, GROWTH_GROWS, GROWTHS };
enum memory {
    MEMORY_SHM,
    MEMORY_FILE_TMPFS,
    MEMORY_FILE_DISK,
    MEMORY_FILE_HUGE,
    MEMORY_ANON_FORK,
    MEMORY_ANON_FD,
    MEMORY_SHARED,
    MEMORY_ARRAY,
    MEMORIES
};
enum names { NAMES_USED, NAMES_KEPT, NAMES_VALUES };
enum opened {
    OPENED_CREATE,
    OPENED_AT_ONCE,
    OPENED_DURING,
    OPENED_LATER,
    OPENED_INHERITED,
    OPENED_BY_FD,
    OPENED_DAEMON,
    OPENINGS
};
enum processes { PROCESSES_2, PROCESSES_4, PROCESSES_64, PROCESSES_1000, PROCESSES_VALUES };
enum event {
    EVENT_NOTHING,
    EVENT_FORK_CHILD,
    EVENT_FORK_OPENING,
    EVENT_FORK_BUSY,
    EVENT_RAW_CLONE,
    EVENT_SPAWN,
    EVENT_EXEC,
    EVENT_RETURN,
    EVENT_EXIT,
    EVENT_UNDERSCORE_EXIT,
    EVENT_QUICK_EXIT,
    EVENT_ABORT,
    EVENT_KILL_STORE,
    EVENT_KILL_RANDOM,
    EVENT_KILL_PARENT,
    EVENT_MAKER_DIES,
    EVENT_STOP,
    EVENT_CANCEL,
    EVENT_CLOSEFROM,
    EVENT_STDOUT,
    EVENT_SETUID,
    EVENT_CHROOT,
    EVENT_NOFILE,
    EVENT_FSIZE,
    EVENT_AS,
    EVENT_FULL,
    EVENT_TIMER,
    EVENT_READER,
    EVENT_MAIN_GONE,
    EVENT_DLCLOSE,
    EVENT_RENAMED,
    EVENT_EXIT_BUSY,
    EVENT_KILL_ALL,
    EVENT_FD_LENT,
    EVENT_MEMORY_LIMIT,
    EVENT_COPY,
    EVENT_UNKEPT,
    EVENT_KILL_NEXT,
    EVENTS
};
/* A value: its word in a row's text, what it costs (of rows that cover as much the cheapest is
 * taken), and whether only the long run has it. */
struct table_value {
    const char *word;
    unsigned cost;
    int long_only;
};

struct table_factor {
    const char *name;
    unsigned count;
    const struct table_value *values;
};
extern const struct table_factor table_factors[FACTORS];

/* No row has one of the values a_values of factor a together with one of the values b_values of
 * b. */
struct table_constraint {
    enum factor a;
    uint64_t a_values;
    enum factor b;
    uint64_t b_values;
    const char *reason;
};
extern const struct table_constraint table_constraints[];
extern const size_t table_constraints_count;

/* A row: for each factor the index of its value. */
struct row {
    unsigned char value[FACTORS];
};

/* The reason why two values cannot be together, or NULL when they can. */
const char *table_forbids(enum factor a, unsigned a_value, enum factor b, unsigned b_value);

enum { ROW_TEXT_MAX = 320 };
/* "size=1MiB flags=none ...", and back: 0, or -1 when the text names no row of the table. */
void table_row_print(const struct row *row, char *text);
int table_row_parse(struct row *row, const char *text);

#endif
