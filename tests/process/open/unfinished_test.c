/* Heaps whose making is not finished, since their maker is slow, stopped or dead: those that wait
 * cost nothing, and what a dead maker has left is replaced by the next process that makes the
 * heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "c/src/segment/heap_file.h"
#include "tests/support/test.h"

enum {
    LEN = 1 << 20,
    CROWD = 64,
    WAITERS = 20,
    WAIT_MS = 1000,
    LOOKS = 100,          /* that a waiter may take in WAIT_MS; each 0.2 ms were 5,000 */
    PATIENCE_MS = 120000, /* longer than the test may take */
    DEATHS = 40
};

/* The maker stops, by SIGSTOP or for ever, before a store to the heap that it makes. The hook is
 * called before each. */
void (*shmheap_store_hook)(void);

struct maker {
    const char *name;
    size_t len;
    unsigned flags;
    unsigned stores; /* it stops before this one */
    unsigned seen;
};

static struct maker *making;

static void stop_here(void)
{
    if (++making->seen == making->stores)
        raise(SIGSTOP);
}

static void make(void *context)
{
    struct maker *maker = context;
    const shmheap_options options = {
        .len = maker->len, .flags = SHMHEAP_CREATE | maker->flags, .timeout_ms = PATIENCE_MS};
    shmheap_memory_handle mem;
    making = maker;
    shmheap_store_hook = maker->stores != 0 ? stop_here : NULL;
    CHECK_EQ(shmheap_open(&mem, maker->name, &options), 0);
    shmheap_store_hook = NULL;
    for (;;)
        pause();
}

/* A maker that has stopped before that store, or has made the heap. */
static pid_t maker_start(struct maker *maker)
{
    int status;
    maker->seen = 0;
    pid_t pid = test_fork(make, maker);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status));
    return pid;
}

static shmheap_options options_of(const struct maker *maker, unsigned flags, unsigned timeout_ms)
{
    const shmheap_options options = {
        .len = LEN, .flags = maker->flags | flags, .timeout_ms = timeout_ms};
    return options;
}

static void check_gone(const struct maker *maker)
{
    shmheap_memory_handle mem;
    const shmheap_options options = options_of(maker, 0, 1);
    CHECK_REFUSED(shmheap_open(&mem, maker->name, &options) == -1, ENOENT);
}

/* How many stores it takes to make a heap. Before the first ones, which are to private memory, its
 * file is empty; before the later ones it has a mark. */
static unsigned stores_of(struct maker *maker)
{
    int status;
    maker->stores = 0;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        shmheap_options options = {.len = maker->len, .flags = SHMHEAP_CREATE | maker->flags};
        shmheap_memory_handle mem;
        making = maker;
        maker->seen = 0;
        shmheap_store_hook = stop_here;
        CHECK_EQ(shmheap_open(&mem, maker->name, &options), 0);
        shmheap_store_hook = NULL;
        CHECK_EQ(maker->flags & SHMHEAP_FILE ? unlink(maker->name) : shm_unlink(maker->name), 0);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return maker->seen;
}

/* Waiting --------------------------------------------------------------- */

/* A waiter inspects the file at the end of each sleep. */
static void wait_in_vain(void *context)
{
    const struct maker *maker = context;
    const shmheap_options options = options_of(maker, 0, WAIT_MS);
    shmheap_memory_handle mem;
    struct rusage before, after;
    CHECK_EQ(getrusage(RUSAGE_SELF, &before), 0);
    CHECK_REFUSED(shmheap_open(&mem, maker->name, &options) == -1, ETIMEDOUT);
    CHECK_EQ(getrusage(RUSAGE_SELF, &after), 0);
    CHECK_LE(after.ru_nvcsw - before.ru_nvcsw, LOOKS);
}

static void wait_together(struct maker *maker)
{
    pid_t pids[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++)
        pids[i] = test_fork(wait_in_vain, maker);
    for (unsigned i = 0; i < WAITERS; i++)
        test_join(pids[i]);
}

static void refused(const struct maker *maker, unsigned flags, int error)
{
    const shmheap_options options = options_of(maker, SHMHEAP_CREATE | flags, WAIT_MS);
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_open(&mem, maker->name, &options) == -1, error);
}

static void waiting_for_a_maker_that_has_not_begun(void)
{
    struct maker maker = {.name = test_name()};
    int fd = shm_open(maker.name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && close(fd) == 0);
    wait_together(&maker);
    CHECK_EQ(shm_unlink(maker.name), 0);
}

static void waiting_for_a_maker_that_is_stopped(void)
{
    struct maker *maker = test_shared(sizeof *maker);
    *maker = (struct maker){.name = test_name(), .len = 16 << 20};
    maker->stores = stores_of(maker) / 2;
    pid_t pid = maker_start(maker);
    wait_together(maker);
    /* It is alive: what it has begun counts as a heap that is there. */
    refused(maker, 0, ETIMEDOUT);
    refused(maker, SHMHEAP_EXCLUSIVE, EEXIST);
    refused(maker, SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER, EEXIST);
    test_kill(pid);
    CHECK_EQ(shm_unlink(maker->name), 0);
    test_unshare(maker, sizeof *maker);
}

/* As soon as the maker goes on and has made it, all that wait are let in. While another process
 * replaces what a dead maker has left, there is no heap of the name for a moment: a process that
 * does not make one is told so. */
static void wait_and_come_in(void *context)
{
    const struct maker *maker = context;
    int connects = getpid() % 2;
    const shmheap_options options = options_of(maker, connects ? 0 : SHMHEAP_CREATE, PATIENCE_MS);
    shmheap_memory_handle mem;
    errno = 0;
    while (shmheap_open(&mem, maker->name, &options) != 0) {
        CHECK(connects && errno == ENOENT);
        sched_yield();
    }
    CHECK(shmheap_alloc(mem, 100) != NULL);
    shmheap_disconnect(mem);
}

static void a_maker_that_goes_on(void)
{
    struct maker *maker = test_shared(sizeof *maker);
    pid_t pids[CROWD];
    *maker = (struct maker){.name = test_name(), .len = 16 << 20};
    maker->stores = stores_of(maker) / 2;
    pid_t pid = maker_start(maker);
    for (unsigned i = 0; i < CROWD; i++)
        pids[i] = test_fork(wait_and_come_in, maker);
    CHECK_EQ(kill(pid, SIGCONT), 0);
    for (unsigned i = 0; i < CROWD; i++)
        test_join(pids[i]);
    shmheap_memory_handle mem = test_connect(maker->name);
    CHECK_EQ(test_stat(mem).used_blocks, CROWD);
    shmheap_destroy(maker->name, mem);
    test_kill(pid);
    test_unshare(maker, sizeof *maker);
}

/* What a dead maker leaves ---------------------------------------------- */

static void leave_unfinished(struct maker *maker) { test_kill(maker_start(maker)); }

/* A process that only connects is told; each way to make the heap replaces it, an empty file
 * SHMHEAP_TAKE_OVER alone. */
static void check_replaced(struct maker *maker, unsigned flags, unsigned *empty)
{
    shmheap_memory_handle mem;
    struct stat status;
    leave_unfinished(maker);
    shmheap_options options = options_of(maker, 0, 20);
    CHECK_REFUSED(shmheap_open(&mem, maker->name, &options) == -1, ETIMEDOUT);
    options = options_of(maker, SHMHEAP_READ_ONLY, 20);
    CHECK_REFUSED(shmheap_open(&mem, maker->name, &options) == -1, ETIMEDOUT);
    const char *path = maker->flags & SHMHEAP_FILE ? maker->name : test_shm_path(maker->name);
    CHECK_EQ(stat(path, &status), 0);
    flags |= SHMHEAP_CREATE | (status.st_size == 0 ? SHMHEAP_TAKE_OVER : 0);
    options = options_of(maker, flags, PATIENCE_MS);
    CHECK_EQ(shmheap_open(&mem, maker->name, &options), 0);
    CHECK_EQ(test_stat(mem).len, LEN);
    *empty += status.st_size == 0;
    test_check_empty(mem);
    shmheap_disconnect(mem);
    CHECK_EQ(maker->flags & SHMHEAP_FILE ? unlink(maker->name) : shm_unlink(maker->name), 0);
    check_gone(maker);
}

static void killed_before_each_store(unsigned flags)
{
    static const unsigned ways[] = {0, SHMHEAP_EXCLUSIVE, SHMHEAP_TAKE_OVER,
                                    SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER};
    struct maker *maker = test_shared(sizeof *maker);
    const char *name = flags & SHMHEAP_FILE ? test_path() : test_name();
    *maker = (struct maker){.name = name, .len = 16 << 20, .flags = flags};
    unsigned count = stores_of(maker), empty = 0;
    for (unsigned stores = 1; stores <= count; stores++) {
        maker->stores = stores;
        check_replaced(maker, ways[stores % (sizeof ways / sizeof *ways)], &empty);
    }
    printf("  %u deaths, %u of them left an empty file\n", count, empty);
    CHECK_LE(3, count - empty);
    test_unshare(maker, sizeof *maker);
}

static void killed_before_each_store_of_a_name(void) { killed_before_each_store(0); }
static void killed_before_each_store_of_a_file(void) { killed_before_each_store(SHMHEAP_FILE); }

/* A heap may come in the place of the leftover between its inspection and its removal. */
static void only_the_leftover_is_removed(void)
{
    struct maker *maker = test_shared(sizeof *maker);
    *maker = (struct maker){.name = test_name(), .len = 16 << 20};
    maker->stores = stores_of(maker);
    shmheap_disconnect(shmheap_create(maker->name, LEN));
    CHECK_REFUSED(heap_file_remove_unused(maker->name, 0, 1) == -1, EBUSY);
    CHECK_EQ(heap_file_remove_unused(maker->name, 0, 0), 0);
    leave_unfinished(maker);
    CHECK_EQ(heap_file_remove_unused(maker->name, 0, 1), 0);
    check_gone(maker);
    test_unshare(maker, sizeof *maker);
}

/* All processes of a job find the leftover at once; half of them only connect. */
static void a_crowd_that_finds_it(void)
{
    struct maker *maker = test_shared(sizeof *maker);
    *maker = (struct maker){.name = test_name(), .len = 16 << 20};
    unsigned count = stores_of(maker);
    for (unsigned third = (count + 2) / 3, stores = third; stores <= count; stores += third) {
        maker->stores = stores;
        pid_t pids[CROWD];
        leave_unfinished(maker);
        for (unsigned i = 0; i < CROWD; i++)
            pids[i] = test_fork(wait_and_come_in, maker);
        for (unsigned i = 0; i < CROWD; i++)
            test_join(pids[i]);
        shmheap_memory_handle mem = test_connect(maker->name);
        CHECK_EQ(test_stat(mem).used_blocks, CROWD);
        CHECK_EQ(test_stat(mem).processes, 1);
        CHECK_EQ(test_stat(mem).dead, 0);
        shmheap_destroy(maker->name, mem);
        check_gone(maker);
    }
    test_unshare(maker, sizeof *maker);
}

/* Killed at any moment, in a system call too. An empty file may be what another program has just
 * made, so SHMHEAP_CREATE alone leaves it. */
static void killed_at_random(void)
{
    struct maker *maker = test_shared(sizeof *maker);
    struct test_random random = test_random_begin(1);
    unsigned nothing = 0, empty = 0, begun = 0, made = 0;
    *maker = (struct maker){.name = test_name(), .len = 32 << 20};
    for (size_t death = 0, deaths = test_rounds(DEATHS); death < deaths; death++) {
        shmheap_memory_handle mem;
        struct stat status;
        pid_t pid = test_fork(make, maker);
        const struct timespec when = {0, (long)test_random_below(&random, 20000000)};
        nanosleep(&when, NULL);
        test_kill(pid);
        int there = stat(test_shm_path(maker->name), &status) == 0;
        shmheap_options options = options_of(maker, 0, 20);
        int connected = shmheap_open(&mem, maker->name, &options) == 0;
        CHECK(connected || errno == (there ? ETIMEDOUT : ENOENT));
        nothing += !there;
        empty += there && status.st_size == 0;
        begun += there && status.st_size != 0 && !connected;
        made += connected != 0;
        if (connected)
            shmheap_disconnect(mem);
        int is_empty = there && status.st_size == 0;
        options = options_of(maker,
                             SHMHEAP_CREATE | (connected ? 0 : SHMHEAP_EXCLUSIVE) |
                                 (is_empty ? SHMHEAP_TAKE_OVER : 0),
                             PATIENCE_MS);
        CHECK_EQ(shmheap_open(&mem, maker->name, &options), 0);
        CHECK_EQ(test_stat(mem).len, connected ? maker->len : LEN);
        test_check_empty(mem);
        shmheap_destroy(maker->name, mem);
        check_gone(maker);
    }
    printf(
        "  deaths that left nothing: %u, an empty file: %u, a heap in the making: %u, a heap: %u\n",
        nothing, empty, begun, made);
    test_unshare(maker, sizeof *maker);
}

static void an_empty_file_stays_unless_taken_over(void)
{
    struct maker maker = {.name = test_name()};
    shmheap_memory_handle mem;
    struct stat status;
    int fd = shm_open(maker.name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    shmheap_options options = options_of(&maker, SHMHEAP_CREATE, 20);
    CHECK_REFUSED(shmheap_open(&mem, maker.name, &options) == -1, ETIMEDOUT);
    options.flags |= SHMHEAP_EXCLUSIVE;
    CHECK_REFUSED(shmheap_open(&mem, maker.name, &options) == -1, EEXIST);
    CHECK(fstat(fd, &status) == 0 && status.st_nlink == 1 && status.st_size == 0);
    options.flags |= SHMHEAP_TAKE_OVER;
    CHECK_EQ(shmheap_open(&mem, maker.name, &options), 0);
    CHECK(fstat(fd, &status) == 0 && status.st_nlink == 0 && status.st_size == 0 && close(fd) == 0);
    shmheap_destroy(maker.name, mem);
    check_gone(&maker);
}

static const struct test tests[] = {TEST(waiting_for_a_maker_that_has_not_begun),
                                    TEST(waiting_for_a_maker_that_is_stopped),
                                    TEST(a_maker_that_goes_on),
                                    TEST(killed_before_each_store_of_a_name),
                                    TEST(killed_before_each_store_of_a_file),
                                    TEST(only_the_leftover_is_removed),
                                    TEST(a_crowd_that_finds_it),
                                    TEST(killed_at_random),
                                    TEST(an_empty_file_stays_unless_taken_over)};
TEST_MAIN(tests)
