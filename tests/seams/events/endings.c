/* How the subject ends, or stands still.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

enum {
    STORES = 120,
    STORES_OF_MAKING = 60,
    OPERATIONS = 2000,
    BRIEF_MS = 100,
    MANY = 100000000,
    NEXT_MAKES = 12
};

static long act_exec(uint64_t unused)
{
    (void)unused;
    execl("/proc/self/exe", "seams_test", "--asleep", (char *)NULL);
    EXPECT(0, "the program is expected to execute itself: %s", strerror(errno));
    return 0;
}

/* The process lives and is no user of the heap any more. The kernel releases the locks of the old
 * program's descriptors after it has changed the command line, before the new program's first
 * instruction: so the program says that it runs. */
void event_exec(void)
{
    char name[200] = "";
    tell(stage->subject, act_exec, 0);
    while (strstr(name, ASLEEP) == NULL && !stage->ended)
        proc_read(stage->peers[stage->subject].pid, "comm", name, sizeof name);
    stage->peers[stage->subject].end = END_DEAD;
}

static long act_return(uint64_t unused)
{
    (void)unused;
    longjmp(seams_main, 1);
}

static long act_exit(uint64_t unused)
{
    (void)unused;
    exit(0);
}

static long act_underscore_exit(uint64_t unused)
{
    (void)unused;
    _exit(0);
}

static long act_quick_exit(uint64_t unused)
{
    (void)unused;
    quick_exit(0);
}

static long act_abort(uint64_t unused)
{
    (void)unused;
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void subject_ends(long (*act)(uint64_t), enum end end, int status_expected)
{
    tell(stage->subject, act, 0);
    int status = peer_await_end(stage->subject, end);
    EXPECT(status == -1 || (status & ~0x80) == status_expected,
           "the subject is expected to end with status %#x; its "
           "status is %#x",
           status_expected, status);
}

void event_return(void) { subject_ends(act_return, END_LEFT, 0); }
void event_exit(void) { subject_ends(act_exit, END_LEFT, 0); }
void event_underscore_exit(void) { subject_ends(act_underscore_exit, END_DEAD, 0); }
void event_quick_exit(void) { subject_ends(act_quick_exit, END_DEAD, 0); }
void event_abort(void) { subject_ends(act_abort, END_DEAD, SIGABRT); }

static void die(void) { raise(SIGKILL); }
static long act_die_at_store(uint64_t stores)
{
    hook_set(stores, die);
    return act_until_hook(0);
}

void event_kill_store(void)
{
    tell(stage->subject, act_die_at_store, 1 + stage->seed % STORES);
    peer_await_end(stage->subject, END_DEAD);
}

void event_kill_random(void)
{
    struct peer *subject = &stage->peers[stage->subject];
    uint64_t until = subject->progress + stage->seed % OPERATIONS;
    tell(stage->subject, act_churn, MANY);
    while (subject->progress < until && !stage->ended)
        sched_yield();
    peer_kill(stage->subject);
}

/* The child goes on with what its parent made, and when it has ended that is reaped. */
void event_kill_parent(void)
{
    unsigned child = helper_new();
    ask(stage->subject, act_fork, child);
    peer_await_start(child);
    ask(child, act_check_parent, 0);
    ask(child, act_first_change, 0);
    peer_kill(stage->subject);
    ask(child, act_check_parent, 0);
    oracle_run();
    ask(child, act_check_parent, 0);
    peer_kill(child);
}

static void other_options(shmheap_options *options, unsigned flags)
{
    options_fill(options, (flags & SHMHEAP_CREATE) != 0);
    options->flags = (options->flags & (unsigned)(SHMHEAP_FILE | SHMHEAP_SPARSE)) | flags;
    options->timeout_ms = BRIEF_MS;
}

static long act_make_and_die(uint64_t stores)
{
    shmheap_options options;
    shmheap_memory_handle other;
    other_options(&options, SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    hook_set(stores, die);
    shmheap_open(&other, stage->place.other, &options);
    raise(SIGKILL);
    return 0;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* A maker that dies before its first mark leaves an empty file, on hugetlbfs one of zeros, which
 * could be another program's: only SHMHEAP_TAKE_OVER replaces that. */
static int other_is_blank(void)
{
    char path[300];
    struct stat status;
    snprintf(path, sizeof path, "%s%s", row_is(MEMORY, MEMORY_SHM) ? "/dev/shm" : "",
             stage->place.other);
    EXPECT(stat(path, &status) == 0, "what a maker left is expected to be there: %s",
           strerror(errno));
    return status.st_size == 0 || row_is(MEMORY, MEMORY_FILE_HUGE);
}

/* Connecting waits as long as it was told; making replaces what is there. */
static long act_after_maker(uint64_t unused)
{
    shmheap_options options;
    shmheap_memory_handle other;
    double begin = now();
    (void)unused;
    other_options(&options, 0);
    int result = shmheap_open(&other, stage->place.other, &options), error = errno;
    EXPECT(now() - begin < SLACK_S, "connecting with a timeout of %d ms is expected to come back",
           BRIEF_MS);
    if (result == 0)
        shmheap_disconnect(other);
    else
        EXPECT(error == ETIMEDOUT || error == ENOENT,
               "connecting to what a dead maker left is expected to fail with "
               "ETIMEDOUT (or ENOENT); errno %d (%s)",
               error, strerror(error));
    other_options(&options, SHMHEAP_CREATE);
    result = shmheap_open(&other, stage->place.other, &options);
    if (result != 0 && errno == ETIMEDOUT && other_is_blank()) {
        options.flags |= SHMHEAP_TAKE_OVER;
        result = shmheap_open(&other, stage->place.other, &options);
    }
    EXPECT(result == 0,
           "SHMHEAP_CREATE is expected to replace what a maker left that died; errno %d (%s)",
           errno, strerror(errno));
    EXPECT(shmheap_alloc(other, 8) != NULL && shmheap_check(other, NULL) == 0,
           "the new heap is expected to work");
    shmheap_destroy(stage->place.other, other);
    return 0;
}

void event_maker_dies(void)
{
    unsigned maker = helper_new();
    peer_start(maker);
    tell(maker, act_make_and_die, 1 + stage->seed % STORES_OF_MAKING);
    peer_await_end(maker, END_DEAD);
    ask(stage->witness, act_after_maker, 0);
}

/* exit() while a thread works on a heap of its own: neither a crash nor a hang. */
static volatile int for_ever = 1;
static void *work_apart(void *context)
{
    shmheap_memory_handle other = *(shmheap_memory_handle *)context;
    while (for_ever)
        shmheap_free(other, shmheap_alloc(other, 100));
    return NULL;
}

static long act_exit_busy(uint64_t unused)
{
    static shmheap_memory_handle other;
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    pthread_t thread;
    shmheap_stats stats = {.allocs = 0};
    (void)unused;
    options.flags |= !row_is(CACHES, CACHES_NONE) ? (unsigned)SHMHEAP_CACHED : 0;
    EXPECT(shmheap_open(&other, NULL, &options) == 0,
           "another heap is expected to be made (errno %d)", errno);
    EXPECT(pthread_create(&thread, NULL, work_apart, &other) == 0,
           "a thread is expected to be made");
    while (stats.allocs == 0)
        shmheap_stat(other, &stats);
    exit(0);
}

void event_exit_busy(void) { subject_ends(act_exit_busy, END_LEFT, 0); }

/* Then there is a heap without processes; a newcomer finds all that was there. */
void event_kill_all(void)
{
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (stage->peers[i].end == END_LIVES && i != stage->observer)
            tell(i, act_churn, MANY);
    struct peer *subject = &stage->peers[stage->subject];
    uint64_t until = subject->progress + stage->seed % OPERATIONS;
    while (subject->progress < until && !stage->ended)
        sched_yield();
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (stage->peers[i].end == END_LIVES)
            kill(stage->peers[i].pid, SIGKILL);
    for (unsigned i = 0; i < PEERS_MAX; i++)
        if (stage->peers[i].end == END_LIVES)
            peer_await_end(i, END_DEAD);
    stage->observer = NO_PEER;
    stage->witness = newcomer();
}

/* Objects that stay when their process dies. */
static long act_reap_and_make(uint64_t count)
{
    EXPECT(shmheap_reap(mem, 0) >= 0, "shmheap_reap is expected to succeed (errno %d)", errno);
    for (uint64_t i = 0; i < count; i++)
        object_make(i % 2 ? KIND_SHARED : KIND_KEPT, object_len());
    return 0;
}

/* Two dead processes had objects at the same places, one after the other. */
void event_kill_next(void)
{
    unsigned next = newcomer();
    peer_kill(stage->subject);
    ask(next, act_reap_and_make, NEXT_MAKES);
    peer_kill(next);
}
