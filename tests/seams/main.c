/* Runs the rows of the table: `seams_test --help`.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each row has a director, a child of this program, which has a time limit. However it ends, all
 * processes of the row are ended here, and what they left in folders is removed. */
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/seams/cover/cover.h"
#include "tests/seams/events/events.h"
#include "tests/seams/seams.h"

/* A row takes a second or so. On a machine with hundreds of other processes that run it may take a
 * hundred times as long, and is no hang. */
enum { LIMIT_S = 4 * DOCUMENTED_LOCK_S, REASONS = 16 };

const char *seams_library;
jmp_buf seams_main;

/* struct run is private: the options of the command line, and the results. */
static struct {
    uint64_t seed, row_seed;
    long row;
    double seconds, started;
    unsigned strength, limit_s;
    long triples;
    int with_long, list, verbose, strict;
    const char *situation;
    unsigned passed, failed, skipped;
    struct {
        char text[120];
        unsigned count;
    } reasons[REASONS];
    uint64_t lacking[FACTORS]; /* bits: values that this machine cannot have */
} run = {.row = -1, .strength = 2, .limit_s = LIMIT_S};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void sizes_fill(void)
{
    static const uint64_t lens[SIZES] = {1 << 20, 4096, 16 << 20, 64 << 20, UINT64_C(1) << 30};
    static const unsigned counts[PROCESSES_VALUES] = {2, 4, 64, CROWD_MAX};
    stage->len = lens[row_value(SIZE)];
    stage->max_len = stage->len;
    if (row_is(GROWTH, GROWTH_GROWS))
        stage->max_len = stage->len * (stage->len >= 64 << 20 ? 2 : 4);
    stage->processes = counts[row_value(PROCESSES)];
}

/* Growing, where the event has no growing of its own. */
static void grow(void)
{
    if (!row_is(GROWTH, GROWTH_GROWS) || row_is(EVENT, EVENT_FSIZE) || row_is(EVENT, EVENT_AS) ||
        row_is(EVENT, EVENT_FULL) || row_is(EVENT, EVENT_MEMORY_LIMIT))
        return;
    long error = ask(stage->witness, act_grow, 0);
    EXPECT(error == 0 || (error == ENOMEM && stage->len / stage->processes < 1024),
           "a heap that may grow is expected "
           "to grow for an object of %llu bytes; errno %ld (%s)",
           (unsigned long long)stage->len, error, strerror((int)error));
}

static void direct(void)
{
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sizes_fill();
    place_make();
    opening_run();
    grow();
    event_run();
    oracle_run();
    oracle_end();
    _exit(0);
}

static pid_t parent_of(const char *pid)
{
    char path[300], text[400];
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "re");
    size_t got = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[got] = 0;
    if (file != NULL)
        fclose(file);
    const char *end = strrchr(text, ')');
    return end != NULL && sscanf(end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static unsigned children_kill(void)
{
    unsigned killed = 0;
    DIR *entries = opendir("/proc");
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            parent_of(entry->d_name) == getpid())
            killed += kill((pid_t)atol(entry->d_name), SIGKILL) == 0;
    if (entries != NULL)
        closedir(entries);
    return killed;
}

/* All processes that the row left: those whose parent has ended are children of this program. */
static void children_end(void)
{
    do
        for (unsigned killed = children_kill(); killed > 1; killed--)
            waitpid(-1, NULL, 0);
    while (waitpid(-1, NULL, 0) > 0);
}

/* A time limit from outside, or Ctrl-C: the row ends, and then the program. */
static volatile sig_atomic_t stopped;
static void stop(int signal) { stopped = signal; }

static void stop_watch(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = stop;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

/* Waits for the director: 0, or 1 when its time is over. */
static int director_wait(pid_t pid)
{
    static const int factors[PROCESSES_VALUES] = {1, 1, 2, 5};
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd poller = {fd, POLLIN, 0};
    int limit_s = (int)run.limit_s * factors[row_value(PROCESSES)];
    int late = poll(&poller, 1, limit_s * 1000) != 1;
    close(fd);
    return late;
}

static void skipped_note(const char *reason)
{
    unsigned i = 0;
    while (i < REASONS - 1 && run.reasons[i].count != 0 && strcmp(run.reasons[i].text, reason) != 0)
        i++;
    snprintf(run.reasons[i].text, sizeof run.reasons[i].text, "%.119s", reason);
    run.reasons[i].count++;
    run.skipped++;
}

static void late_print(void)
{
    unsigned index = 0;
    const char *act;
    printf("the row is expected to end within %u s; it hangs", run.limit_s);
    for (unsigned i = 0; i < 4 && (act = peer_waited_for(&index)) != NULL; i++)
        printf("%s %s of participant %u", i == 0 ? " in" : ",", act, index++);
    putchar('\n');
}

static void report(const struct row *row, long number, int late, int status, double seconds)
{
    char text[ROW_TEXT_MAX];
    table_row_print(row, text);
    if (stage->skipped) {
        skipped_note(stage->text);
    } else if (!late && !stage->failed && status == 0) {
        run.passed++;
        if (run.verbose)
            printf("passed %.2f s  row %ld: %s\n", seconds, number, text);
    } else {
        run.failed++;
        printf("FAILED after %.2f s, row %ld: %s\n  ", seconds, number, text);
        if (stage->failed)
            printf("%s\n", stage->text);
        else if (late)
            late_print();
        else
            printf("the director ended with status %#x\n", (unsigned)status);
        printf("  replay: seams_test --situation \"%s\" --row-seed %llu\n", text,
               (unsigned long long)stage->seed);
    }
    fflush(stdout);
}

static void row_run(const struct row *row, long number)
{
    int status = 0;
    double begin = now();
    memset(stage, 0, offsetof(struct stage, peers));
    madvise(stage, sizeof *stage, MADV_REMOVE); /* the rest, zeros again */
    stage->row = *row;
    stage->strict = run.strict;
    stage->seed = run.seed * UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)(number + 2);
    stage->seed = cover_random(&stage->seed);
    stage->seed = run.row_seed != 0 ? run.row_seed : stage->seed;
    pid_t pid = fork();
    if (pid == 0)
        direct();
    int late = director_wait(pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    children_end();
    if (!stage->place.private_mounts)
        place_remove();
    if (stopped)
        exit(fprintf(stderr, "seams_test: ended by signal %d\n", (int)stopped) != 0);
    report(row, number, late, status, now() - begin);
}

static void usage(void)
{
    puts("usage: seams_test [--seed S] [--row N | --situation TEXT [--row-seed S]] "
         "[--strength 2|3] [--long] [--seconds S]\n"
         "                  [--triples N] [--library LIBSHMHEAP.SO] [--limit S] [--list] "
         "[--verbose]\n"
         "Runs the rows that cover all pairs of the table (cover/table.c), or all triples, each "
         "with real\n"
         "processes. --row: that one alone. --situation: \"size=1MiB flags=none ...\", as rows are "
         "printed. --long:\n"
         "also the values that take long. --seconds: goes on, pairs first, then triples, then with "
         "the next seed,\n"
         "until the time is over. --limit: seconds that a row may take. --list: prints the rows, "
         "runs none.");
}

static int option_parse(int argc, char **argv, int i)
{
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--seed") == 0)
        run.seed = strtoull(value, NULL, 0);
    else if (strcmp(argv[i], "--row-seed") == 0)
        run.row_seed = strtoull(value, NULL, 0);
    else if (strcmp(argv[i], "--row") == 0)
        run.row = atol(value);
    else if (strcmp(argv[i], "--situation") == 0)
        run.situation = value;
    else if (strcmp(argv[i], "--strength") == 0)
        run.strength = (unsigned)atoi(value);
    else if (strcmp(argv[i], "--seconds") == 0)
        run.seconds = atof(value);
    else if (strcmp(argv[i], "--triples") == 0)
        run.triples = atol(value);
    else if (strcmp(argv[i], "--library") == 0)
        seams_library = value;
    else if (strcmp(argv[i], "--limit") == 0)
        run.limit_s = (unsigned)atoi(value);
    else
        return 0;
    return 2;
}

static int options_parse(int argc, char **argv)
{
    const char *seed = getenv("SHMHEAP_TEST_SEED");
    if (seed != NULL && *seed != 0)
        run.seed = strtoull(seed, NULL, 0);
    for (int i = 1; i < argc;) {
        int used = option_parse(argc, argv, i);
        if (used == 0 && (used = 1) != 0) {
            if (strcmp(argv[i], "--long") == 0)
                run.with_long = 1;
            else if (strcmp(argv[i], "--list") == 0)
                run.list = 1;
            else if (strcmp(argv[i], "--strict") == 0)
                run.strict = 1;
            else if (strcmp(argv[i], "--verbose") == 0)
                run.verbose = 1;
            else
                return -1;
        }
        i += used;
    }
    while (run.seed == 0) /* the long run begins elsewhere each time */
        if (run.seconds == 0 || getrandom(&run.seed, sizeof run.seed, 0) < 0)
            run.seed = 1;
    return run.strength == 2 || run.strength == 3 ? 0 : -1;
}

static int time_left(void) { return run.seconds == 0 || now() - run.started < run.seconds; }

/* A row that was skipped: no further row has the value that this machine lacks. */
static void lacking_note(struct cover *cover, const struct row *row)
{
    enum factor factor = stage->lacking;
    run.lacking[factor] |= UINT64_C(1) << row->value[factor];
    cover_lacks(cover, factor, row->value[factor]);
}

static void lacking_tell(struct cover *cover)
{
    for (unsigned f = 0; f < FACTORS; f++)
        for (unsigned v = 0; v < table_factors[f].count; v++)
            if (run.lacking[f] >> v & 1)
                cover_lacks(cover, (enum factor)f, v);
}

/* The rows of a seed, at most as many as the option says, or the one that it names. */
static void rows_run(long most)
{
    struct cover *cover = cover_begin(run.seed, run.strength, run.with_long);
    struct row row;
    char text[ROW_TEXT_MAX];
    long number = 0;
    lacking_tell(cover);
    if (run.row >= 0)
        most = run.row + 1;
    for (; number < most && time_left() && cover_next(cover, &row); number++) {
        if (run.row >= 0 && number != run.row)
            continue;
        table_row_print(&row, text);
        if (run.list)
            printf("%ld: %s\n", number, text);
        else
            row_run(&row, number);
        if (!run.list && stage->skipped)
            lacking_note(cover, &row);
    }
    struct cover_counts counts = cover_count(cover);
    printf("seed %llu, strength %u: %ld rows, %zu of %zu tuples of values (%zu are excluded by the "
           "table, and %zu lack something on this machine)\n",
           (unsigned long long)run.seed, run.strength, number, counts.covered, counts.possible,
           counts.forbidden, counts.lacking);
    cover_end(cover);
}

static int all_run(void)
{
    struct row row;
    if (run.situation != NULL) {
        if (table_row_parse(&row, run.situation) != 0)
            return fprintf(stderr, "seams_test: no row of the table: %s\n", run.situation), 2;
        row_run(&row, -1);
    } else {
        rows_run(LONG_MAX);
    }
    if (run.triples > 0 && run.failed == 0 && run.row < 0) {
        run.strength = 3;
        rows_run(run.triples);
    }
    /* The values that take long are in the first pairs alone: triples of them would take days. */
    while (run.seconds > 0 && run.situation == NULL && time_left()) {
        run.with_long = 0;
        run.seed += run.strength == 3;
        run.strength = run.strength == 2 ? 3 : 2;
        rows_run(LONG_MAX);
    }
    for (unsigned i = 0; i < REASONS && run.reasons[i].count != 0; i++)
        printf("skipped: %u rows: %s\n", run.reasons[i].count, run.reasons[i].text);
    printf("%u rows passed, %u failed, %u skipped, %.0f s\n", run.passed, run.failed, run.skipped,
           now() - run.started);
    return run.failed != 0;
}

int main(int argc, char **argv)
{
    struct rlimit none = {0, 0};
    if (argc == 3 && strcmp(argv[1], "--spawned") == 0)
        return spawned_main(argv[2]);
    if (argc == 2 && strcmp(argv[1], "--asleep") == 0)
        for (prctl(PR_SET_NAME, ASLEEP);;)
            pause();
    if (options_parse(argc, argv) != 0)
        return usage(), 2;
    setrlimit(RLIMIT_CORE, &none);
    stop_watch();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (stage == MAP_FAILED)
        return perror("mmap"), 1;
    run.started = now();
    if (setjmp(seams_main) != 0)
        return 0; /* a participant that returns from main */
    int result = all_run();
    fflush(stdout);
    return result;
}
