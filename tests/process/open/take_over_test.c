/* A heap without a live process: SHMHEAP_TAKE_OVER replaces it, shmheap_unlink_unused removes it.
 * Of many processes that do so at the same time one succeeds, and never while a process is
 * connected.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/support/test.h"

enum { LEN = 65536, RACERS = 4, ROUNDS = 500 };

static const shmheap_options take_over = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_TAKE_OVER};
static const shmheap_options take_over_alone = {
    .len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_TAKE_OVER | SHMHEAP_EXCLUSIVE};

static shmheap_memory_handle open_as(const char *name, const shmheap_options *options)
{
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, options), 0);
    return mem;
}

/* struct owner is shared with the child that makes a heap and is killed. */
struct owner {
    const char *name;
    uint64_t id;
    int ready[2];
};

static void live_on_a_heap(void *context)
{
    struct owner *owner = context;
    shmheap_memory_handle mem = open_as(owner->name, &take_over_alone);
    CHECK(shmheap_alloc(mem, 1000) != NULL);
    owner->id = test_stat(mem).id;
    CHECK_EQ(write(owner->ready[1], "r", 1), 1);
    for (;;)
        pause();
}

static pid_t owner_start(struct owner *owner)
{
    char byte;
    pid_t pid = test_fork(live_on_a_heap, owner);
    CHECK_EQ(read(owner->ready[0], &byte, 1), 1);
    return pid;
}

static void what_the_dead_left_is_replaced(void)
{
    struct owner *owner = test_shared(sizeof *owner);
    owner->name = test_name();
    CHECK_EQ(pipe2(owner->ready, O_CLOEXEC), 0);
    for (unsigned death = 0; death < 5; death++) {
        pid_t pid = owner_start(owner);
        shmheap_memory_handle mem;
        CHECK_REFUSED(shmheap_open(&mem, owner->name, &take_over_alone) == -1, EEXIST);
        CHECK_REFUSED(shmheap_unlink_unused(owner->name) == -1, EBUSY);
        mem = open_as(owner->name, &take_over);
        CHECK_EQ(test_stat(mem).id, owner->id); /* of the live process */
        shmheap_disconnect(mem);
        test_kill(pid);
        mem = open_as(owner->name, death % 2 ? &take_over : &take_over_alone);
        CHECK(test_stat(mem).id != owner->id);
        test_check_empty(mem);
        shmheap_disconnect(mem);
    }
    CHECK_EQ(shmheap_unlink_unused(owner->name), 0);
    CHECK_REFUSED(shmheap_unlink_unused(owner->name) == -1, ENOENT);
    CHECK_REFUSED(shmheap_unlink_unused(NULL) == -1, EINVAL);
    close(owner->ready[0]);
    close(owner->ready[1]);
    test_unshare(owner, sizeof *owner);
}

static void readers_live_on_a_heap_too(void)
{
    const char *name = test_name();
    const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle mem = open_as(name, &take_over), reader = open_as(name, &read_only);
    shmheap_disconnect(mem);
    CHECK_REFUSED(shmheap_open(&mem, name, &take_over_alone) == -1, EEXIST);
    CHECK_REFUSED(shmheap_unlink_unused(name) == -1, EBUSY);
    shmheap_disconnect(reader);
    shmheap_destroy(name, open_as(name, &take_over_alone));
}

/* A child that has not changed anything yet lives on the heap as well. */
struct child {
    const char *name;
    shmheap_memory_handle mem;
    int ready[2], go[2];
};

static void wait_and_use(void *context)
{
    struct child *child = context;
    char byte;
    CHECK_EQ(write(child->ready[1], "r", 1), 1);
    CHECK_EQ(read(child->go[0], &byte, 1), 1);
    CHECK(shmheap_alloc(child->mem, 100) != NULL);
    shmheap_disconnect(child->mem);
}

static void children_live_on_a_heap_before_their_first_change(void)
{
    struct child child = {.name = test_name()};
    shmheap_memory_handle other;
    char byte;
    CHECK(pipe2(child.ready, O_CLOEXEC) == 0 && pipe2(child.go, O_CLOEXEC) == 0);
    child.mem = open_as(child.name, &take_over);
    pid_t pid = test_fork(wait_and_use, &child);
    CHECK_EQ(read(child.ready[0], &byte, 1), 1);
    shmheap_disconnect(child.mem);
    CHECK_REFUSED(shmheap_open(&other, child.name, &take_over_alone) == -1, EEXIST);
    CHECK_REFUSED(shmheap_unlink_unused(child.name) == -1, EBUSY);
    CHECK_EQ(write(child.go[1], "g", 1), 1);
    test_join(pid);
    CHECK_EQ(shmheap_unlink_unused(child.name), 0);
    for (unsigned end = 0; end < 2; end++)
        CHECK(close(child.ready[end]) == 0 && close(child.go[end]) == 0);
}

/* Files. */
static void make_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len && close(fd) == 0);
}

static int file_is(const char *path, const void *bytes, size_t len)
{
    char found[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, found, sizeof found) : -1;
    return fd >= 0 && close(fd) == 0 && got == (ssize_t)len && memcmp(found, bytes, len) == 0;
}

static void check_kept(const char *name, const void *bytes, size_t len, int error)
{
    shmheap_memory_handle mem;
    make_file(test_shm_path(name), bytes, len);
    CHECK_REFUSED(shmheap_open(&mem, name, &take_over) == -1, error);
    CHECK_REFUSED(shmheap_open(&mem, name, &take_over_alone) == -1, error);
    CHECK_REFUSED(shmheap_unlink_unused(name) == -1, error);
    CHECK(file_is(test_shm_path(name), bytes, len));
    CHECK_EQ(shm_unlink(name), 0);
}

static void check_replaced(const char *name, const void *bytes, size_t len)
{
    make_file(test_shm_path(name), bytes, len);
    shmheap_memory_handle mem = open_as(name, &take_over_alone);
    test_check_empty(mem);
    shmheap_destroy(name, mem);
    make_file(test_shm_path(name), bytes, len);
    CHECK_EQ(shmheap_unlink_unused(name), 0);
}

static void what_is_no_heap_stays(void)
{
    const char *name = test_name();
    char bytes[2048];
    struct control control;
    memset(bytes, 'x', sizeof bytes);
    check_kept(name, bytes, sizeof bytes, EBADMSG);
    check_kept(name, bytes, 3, EBADMSG);
    memset(bytes, 0, 16); /* where a heap's magic would be */
    check_kept(name, bytes, sizeof bytes, EBADMSG);
    memset(&control, 0, sizeof control);
    control.magic = FORMAT_MAGIC;
    control.version = FORMAT_VERSION + 1;
    check_kept(name, &control, sizeof control, EPROTONOSUPPORT);
    check_kept(name, &control, 8, EBADMSG);
    CHECK_EQ(mkdir(test_shm_path(name), 0700), 0);
    shmheap_memory_handle mem;
    CHECK(shmheap_open(&mem, name, &take_over) == -1 && shmheap_unlink_unused(name) == -1);
    CHECK_EQ(rmdir(test_shm_path(name)), 0);
}

/* A disk image, for example: zeros at its begin, and what matters behind them. */
static void a_file_that_begins_with_zeros_stays(void)
{
    const char *name = test_name();
    static const off_t ends[] = {2048, 4096, 4097, 65536, (1 << 20) - 1, 1 << 20, 3 << 20};
    for (unsigned i = 0; i < sizeof ends / sizeof *ends; i++) {
        shmheap_memory_handle mem;
        char last = 0;
        make_file(test_shm_path(name), "", 0);
        int fd = open(test_shm_path(name), O_RDWR | O_CLOEXEC);
        CHECK(fd >= 0 && pwrite(fd, "x", 1, ends[i]) == 1);
        CHECK_REFUSED(shmheap_open(&mem, name, &take_over) == -1, EBADMSG);
        CHECK_REFUSED(shmheap_open(&mem, name, &take_over_alone) == -1, EBADMSG);
        CHECK_REFUSED(shmheap_unlink_unused(name) == -1, EBADMSG);
        CHECK(close(fd) == 0 && (fd = open(test_shm_path(name), O_RDONLY | O_CLOEXEC)) >= 0);
        CHECK(pread(fd, &last, 1, ends[i]) == 1 && last == 'x' && close(fd) == 0);
        CHECK_EQ(shm_unlink(name), 0);
    }
}

static void a_making_that_was_never_finished_is_replaced(void)
{
    const char *name = test_name();
    static const char nothing[2048];
    struct control control;
    check_replaced(name, nothing, 0);
    check_replaced(name, nothing, sizeof nothing);
    memset(&control, 0, sizeof control);
    control.version = FORMAT_VERSION;
    control.shift = 4;
    check_replaced(name, &control, sizeof control);
}

/* Races. Each round begins with a heap without a live process; all processes that open it get the
 * same new heap. */
struct race {
    const char *name;
    struct test_barrier barrier;
    unsigned next, removed;
    uint64_t old, ids[RACERS];
};

static void race_to_take_over(void *context)
{
    struct race *race = context;
    unsigned self = __atomic_fetch_add(&race->next, 1, __ATOMIC_RELAXED);
    size_t rounds = test_rounds(ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        test_barrier_wait(&race->barrier);
        shmheap_memory_handle mem = open_as(race->name, &take_over);
        void *ptr = shmheap_alloc(mem, 100);
        CHECK(ptr != NULL);
        race->ids[self] = test_stat(mem).id;
        test_barrier_wait(&race->barrier);
        for (unsigned i = 0; i < RACERS; i++)
            CHECK_EQ(race->ids[i], race->ids[self]);
        CHECK(race->ids[self] != race->old);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
        test_barrier_wait(&race->barrier);
        race->old = race->ids[self];
        /* In every second round all leave and then remove it at once: one does. */
        shmheap_disconnect(mem);
        test_barrier_wait(&race->barrier);
        if (round % 2 && shmheap_unlink_unused(race->name) == 0)
            __atomic_fetch_add(&race->removed, 1, __ATOMIC_RELAXED);
    }
}

static void all_take_over_and_get_the_same(void)
{
    struct race *race = test_shared(sizeof *race);
    pid_t pids[RACERS];
    race->name = test_name();
    test_barrier_begin(&race->barrier, RACERS);
    for (unsigned i = 0; i < RACERS; i++)
        pids[i] = test_fork(race_to_take_over, race);
    for (unsigned i = 0; i < RACERS; i++)
        test_join(pids[i]);
    CHECK_EQ(race->removed, test_rounds(ROUNDS) / 2);
    CHECK(shmheap_unlink_unused(race->name) == 0 || errno == ENOENT);
    test_unshare(race, sizeof *race);
}

/* Without barriers: open, use, leave, remove. Whatever other processes do meanwhile, the heap of a
 * connected process keeps its name. */
static void come_and_go(void *context)
{
    struct race *race = context;
    size_t rounds = test_rounds(4 * ROUNDS);
    for (size_t round = 0; round < rounds; round++) {
        shmheap_memory_handle mem = open_as(race->name, &take_over), same;
        CHECK_EQ(shmheap_open(&same, race->name, NULL), 0);
        CHECK_EQ(test_stat(same).id, test_stat(mem).id);
        void *ptr = shmheap_alloc(mem, 100);
        CHECK_EQ(shmheap_try_free(same, (char *)shmheap_underlying(same) + test_offset(mem, ptr)),
                 0);
        shmheap_disconnect(mem);
        shmheap_disconnect(same);
        CHECK(shmheap_unlink_unused(race->name) == 0 || errno == EBUSY || errno == ENOENT);
    }
}

static void a_connected_process_keeps_the_name(void)
{
    struct race race = {.name = test_name()};
    pid_t pids[RACERS];
    for (unsigned i = 0; i < RACERS; i++)
        pids[i] = test_fork(come_and_go, &race);
    for (unsigned i = 0; i < RACERS; i++)
        test_join(pids[i]);
    CHECK_REFUSED(shmheap_unlink_unused(race.name) == -1, ENOENT);
}

static const struct test tests[] = {TEST(what_the_dead_left_is_replaced),
                                    TEST(readers_live_on_a_heap_too),
                                    TEST(children_live_on_a_heap_before_their_first_change),
                                    TEST(what_is_no_heap_stays),
                                    TEST(a_file_that_begins_with_zeros_stays),
                                    TEST(a_making_that_was_never_finished_is_replaced),
                                    TEST(all_take_over_and_get_the_same),
                                    TEST(a_connected_process_keeps_the_name)};
TEST_MAIN(tests)
