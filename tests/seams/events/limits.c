/* Limits of the system, signals, and a process that may only read.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/seams/events/events.h"
#include "tests/support/group.h"

enum {
    PERIOD_US = 1000,
    LARGE = 64 << 20,
    BYTES_LOCKED = 4096,
    NOBODY_ID = 65534,
    BRIEF_MS = 500,
    GROUP_LIMIT = 48 << 20
};

/* A second heap, which is refused with one of two errors and leaves nothing. A heap in the
 * caller's memory or without a name has an anonymous one beside it. */
static void other_refused(uint64_t len, int error, int or_error, const char *why)
{
    shmheap_memory_handle other;
    shmheap_options options;
    options_fill(&options, 1);
    options.flags &= ~(unsigned)(SHMHEAP_TAKE_OVER | SHMHEAP_HUGE_PAGES);
    options.flags |= SHMHEAP_CREATE | (row_named() ? 0 : (unsigned)SHMHEAP_ANONYMOUS);
    options.len = len;
    options.max_len = 0;
    int result = shmheap_open(&other, stage->place.other, &options), reason = errno;
    EXPECT(result != 0, "a heap of %llu bytes is expected to be refused: %s",
           (unsigned long long)len, why);
    EXPECT(reason == error || reason == or_error,
           "a heap is expected to be refused with errno %d (%s) because %s; "
           "errno is %d (%s)",
           error, strerror(error), why, reason, strerror(reason));
    if (!row_named())
        return;
    options.flags &= (unsigned)SHMHEAP_FILE;
    options.timeout_ms = 1;
    EXPECT(shmheap_open(&other, stage->place.other, &options) != 0 && errno == ENOENT,
           "nothing is expected to be left "
           "of a heap that was refused; errno %d (%s)",
           errno, strerror(errno));
}

static void limit_set(int what, rlim_t value, struct rlimit *before)
{
    struct rlimit limit;
    getrlimit(what, before);
    limit = *before;
    limit.rlim_cur = value;
    EXPECT(setrlimit(what, &limit) == 0, "the limit is expected to be set: %s", strerror(errno));
}

/* The slots of many processes lie behind the region at its longest: then the file has that length,
 * and growing does not make it longer. */
static uint64_t file_len(void)
{
    struct stat status;
    EXPECT(fstat(shmheap_fd(mem), &status) == 0, "the heap's file is expected (errno %d)", errno);
    return (uint64_t)status.st_size;
}

/* SIGXFSZ is left as it is: it would kill. */
static long act_fsize(uint64_t unused)
{
    struct rlimit before;
    (void)unused;
    limit_set(RLIMIT_FSIZE, stage->len, &before);
    other_refused(stage->len + (1 << 20), EFBIG, EFBIG, "files may not be so long");
    if (row_is(GROWTH, GROWTH_GROWS) && !row_callers()) {
        uint64_t len = file_len();
        long error = act_grow(0);
        EXPECT(error == ENOMEM || (error == 0 && file_len() == len && len > stage->max_len),
               "growing beyond RLIMIT_FSIZE is expected to fail with ENOMEM; errno is %ld (%s)",
               error, strerror((int)error));
    }
    act_churn(50);
    check_sound("after growing was refused");
    setrlimit(RLIMIT_FSIZE, &before);
    return 0;
}

void event_fsize(void) { ask(stage->subject, act_fsize, 0); }

static uint64_t address_space(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL || fscanf(file, "%llu", &pages) != 1)
        seams_skip(EVENT, "the size of the process cannot be had here");
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static long act_as(uint64_t unused)
{
    struct rlimit before;
    (void)unused;
    limit_set(RLIMIT_AS, address_space() + (4 << 20), &before);
    other_refused(LARGE, ENOMEM, ENOMEM, "the process may not have so many addresses");
    if (row_is(GROWTH, GROWTH_GROWS)) {
        long error = act_grow(0);
        EXPECT(error == 0 || error == ENOMEM,
               "growing is expected to succeed or to fail with ENOMEM; errno is %ld", error);
    }
    act_churn(50);
    check_sound("with little address space left");
    setrlimit(RLIMIT_AS, &before);
    return 0;
}

void event_as(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    seams_skip(EVENT, "a sanitizer needs more addresses than RLIMIT_AS leaves");
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    seams_skip(EVENT, "a sanitizer needs more addresses than RLIMIT_AS leaves");
#endif
#endif
    ask(stage->subject, act_as, 0);
}

/* Writes until there is no room left on the row's own small tmpfs. */
static void fill_up(const char *path)
{
    static const char zeros[4096];
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    EXPECT(fd >= 0, "a file is expected to be made on the small tmpfs: %s", strerror(errno));
    while (write(fd, zeros, sizeof zeros) > 0)
        continue;
    EXPECT(errno == ENOSPC, "the small tmpfs is expected to become full: %s", strerror(errno));
    close(fd);
}

static long act_full(uint64_t unused)
{
    (void)unused;
    other_refused(stage->len, ENOSPC, ENOSPC, "the file system is full");
    if (row_is(GROWTH, GROWTH_GROWS)) {
        long error = act_grow(0);
        EXPECT(error == ENOMEM || error == ENOSPC,
               "growing is expected to fail with ENOMEM where the file system is "
               "full; errno is %ld (%s)",
               error, strerror((int)error));
    }
    act_churn(100);
    check_sound("on a full file system");
    return 0;
}

/* All of the heap was reserved, so each byte of it can be written. */
static long act_write_all(uint64_t unused)
{
    (void)unused;
    for (uint64_t len = stage->len; len >= 64; len /= 2) {
        void *ptr = shmheap_alloc(mem, len);
        if (ptr == NULL)
            continue;
        memset(ptr, 1, len);
        EXPECT(shmheap_try_free(mem, ptr) == 0, "an object is expected to be freed");
    }
    return 0;
}

void event_full(void)
{
    char path[200];
    snprintf(path, sizeof path, "/dev/shm/%s-filler", stage->place.tag);
    fill_up(path);
    ask(stage->subject, act_full, 0);
    ask(stage->subject, act_write_all, 0);
    ask(stage->witness, act_churn, 50);
    unlink(path);
}

/* Memory that is charged to the group: pages of a file on a disk can be written back, and huge
 * pages are counted elsewhere. */
static int memory_charged(void)
{
    return !row_callers() && !row_is(MEMORY, MEMORY_FILE_DISK) && !row_is(MEMORY, MEMORY_FILE_HUGE);
}

static void large_refused(void)
{
    shmheap_memory_handle other;
    shmheap_options options = {.flags = SHMHEAP_CREATE, .len = GROUP_LIMIT * 4};
    int named = row_named() && memory_charged();
    options.flags |= !named ? (unsigned)SHMHEAP_ANONYMOUS : row_file() ? (unsigned)SHMHEAP_FILE : 0;
    EXPECT(shmheap_open(&other, named ? stage->place.other : NULL, &options) != 0 &&
               errno == ENOSPC,
           "a heap larger than the control group's limit is expected to be refused with ENOSPC; "
           "errno is %d (%s)",
           errno, strerror(errno));
    if (!named)
        return;
    options.flags &= (unsigned)SHMHEAP_FILE;
    options.timeout_ms = 1;
    EXPECT(shmheap_open(&other, stage->place.other, &options) != 0 && errno == ENOENT,
           "nothing is expected to be left of a heap that was refused; errno %d (%s)", errno,
           strerror(errno));
}

/* An object as long as the heap was made may need little growth: most of it fits where the heap is
 * free. An object nearly as long as the heap may become needs more than the limit. */
static void growing_limited(void)
{
    long error = act_grow(0);
    EXPECT(error == 0 || error == ENOMEM,
           "growing is expected to succeed, or to fail with ENOMEM at the control group's limit; "
           "errno is %ld (%s)",
           error, strerror((int)error));
    uint64_t len = stage->max_len - stage->max_len / 16;
    if (!memory_charged() || len < stage->len + GROUP_LIMIT)
        return;
    void *ptr = shmheap_alloc(mem, len);
    EXPECT(ptr == NULL && errno == ENOMEM,
           "growing is expected to fail with ENOMEM beyond the control group's limit; errno is %d "
           "(%s)",
           errno, strerror(errno));
}

/* No request kills the process. */
static long act_memory_limit(uint64_t unused)
{
    (void)unused;
    if (group_enter(stage->place.group) != 0)
        seams_skip(EVENT, "a process cannot enter a control group here: %s", strerror(errno));
    large_refused();
    if (row_is(GROWTH, GROWTH_GROWS))
        growing_limited();
    act_churn(100);
    check_sound("with little memory left in the control group");
    EXPECT(group_leave(stage->place.group) == 0, "the control group is expected to be left: %s",
           strerror(errno));
    return 0;
}

void event_memory_limit(void)
{
    if (group_make(stage->place.group, sizeof stage->place.group, GROUP_LIMIT) != 0)
        seams_skip(EVENT, "a control group with a limit of memory cannot be made here");
    ask(stage->subject, act_memory_limit, 0);
    EXPECT(group_remove(stage->place.group) == 0, "the control group is expected to be empty: %s",
           strerror(errno));
    stage->place.group[0] = 0;
}

static volatile sig_atomic_t ticks;
static void tick(int signal)
{
    (void)signal;
    ticks++;
}

/* Without SA_RESTART, so that system calls end with EINTR. */
long act_timer_start(uint64_t unused)
{
    struct itimerval timer = {{0, PERIOD_US}, {0, PERIOD_US}};
    struct sigaction action;
    (void)unused;
    memset(&action, 0, sizeof action);
    action.sa_handler = tick;
    EXPECT(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0,
           "a timer is expected");
    return 0;
}

static long act_timer(uint64_t unused)
{
    struct itimerval none;
    shmheap_memory_handle other;
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS, .len = LARGE};
    (void)unused;
    act_timer_start(0); /* fork() does not hand it on */
    EXPECT(shmheap_open(&other, NULL, &options) == 0,
           "a heap of 64 MiB is expected to be made under a timer's "
           "signals; errno %d (%s)",
           errno, strerror(errno));
    shmheap_disconnect(other);
    if (row_is(GROWTH, GROWTH_GROWS) && row_value(PROCESSES) < PROCESSES_64)
        EXPECT(act_grow(0) == 0, "the heap is expected to grow under a timer's signals");
    act_churn(300);
    while (ticks == 0)
        sched_yield();
    memset(&none, 0, sizeof none);
    setitimer(ITIMER_REAL, &none, NULL);
    return 0;
}

void event_timer(void) { ask(stage->subject, act_timer, 0); }

/* A user that may only read the file locks each byte that it can. */
static long act_read_locks(uint64_t unused)
{
    char path[300];
    (void)unused;
    snprintf(path, sizeof path, "%s%s", row_is(MEMORY, MEMORY_SHM) ? "/dev/shm" : "",
             stage->place.name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0, "the heap's file is expected to be readable: %s", strerror(errno));
    if (geteuid() == 0 && (setgid(NOBODY_ID) != 0 || setuid(NOBODY_ID) != 0))
        errno = 0; /* it stays the same user, with a descriptor that can only read */
    for (off_t byte = 0; byte <= BYTES_LOCKED; byte++) {
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte};
        lock.l_len = byte < BYTES_LOCKED ? 1 : 0;
        fcntl(fd, F_OFD_SETLK, &lock);
    }
    return 0;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Whatever the reader holds, connecting comes back: connected, or with an errno for a wait that
 * had a limit. */
static long act_connect_beside_reader(uint64_t unused)
{
    shmheap_memory_handle other;
    shmheap_options options;
    double begin = now();
    (void)unused;
    options_fill(&options, 0);
    options.timeout_ms = BRIEF_MS;
    int result = shmheap_open(&other, stage->place.name, &options), error = errno;
    EXPECT(now() - begin < SLACK_S,
           "connecting with a timeout of %d ms is expected to come back while a reader holds "
           "locks; it took %.0f s",
           BRIEF_MS, now() - begin);
    EXPECT(result == 0 || error == ETIMEDOUT || error == EAGAIN || error == EBUSY,
           "connecting is expected to succeed "
           "or to give up waiting; errno %d (%s)",
           error, strerror(error));
    if (result == 0)
        shmheap_disconnect(other);
    return 0;
}

static long act_reap(uint64_t unused)
{
    (void)unused;
    EXPECT(shmheap_reap(mem, 0) >= 0, "shmheap_reap is expected to succeed (errno %d)", errno);
    return 0;
}

void event_reader(void)
{
    unsigned reader = helper_new();
    peer_start(reader);
    ask(reader, act_read_locks, 0);
    ask(stage->subject, act_churn, 50);
    ask(stage->witness, act_connect_beside_reader, 0);
    peer_kill(stage->subject);
    ask(stage->witness, act_reap, 0);
    ask(stage->witness, act_churn, 50);
    ask(stage->witness, act_connect_beside_reader, 0);
    kill(stage->peers[reader].pid, SIGKILL);
    peer_await_end(reader, END_DEAD);
}
