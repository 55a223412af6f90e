/* A user that may only read a heap's file sets read locks on all of its bytes: other processes
 * connect and work, and dead processes are recognised.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

/* DEATHS: fewer than the slot table has entries at first. For more entries a process needs a lock
 * that the reader can have. */
enum { STRANGER = 65534, DEATHS = 6 };

/* struct reader is shared with the process that sets the locks. */
struct reader {
    const char *name;
    int skipped;
    struct test_barrier step;
};

/* Read locks on all of [from, end) that no write lock of another process covers. The kernel tells
 * one of those, not the lowest. */
static void lock_from(int fd, off_t from, off_t end)
{
    struct flock lock = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = from, .l_len = end - from};
    if (from >= end || fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return;
    CHECK(fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_len > 0);
    lock_from(fd, from, lock.l_start);
    lock_from(fd, lock.l_start + lock.l_len, end);
}

static void lock_all_bytes(void *context)
{
    struct reader *reader = context;
    if (setgid(STRANGER) == 0 && setuid(STRANGER) == 0) {
        int fd = open(test_shm_path(reader->name), O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        lock_from(fd, 0, (off_t)1 << (8 * sizeof(off_t) - 3));
    } else {
        reader->skipped = 1;
    }
    test_barrier_wait(&reader->step);
    for (;;)
        pause();
}

static void hold_and_die(void *context)
{
    shmheap_memory_handle mem = test_connect(context);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    raise(SIGKILL);
}

static void death(const char *name)
{
    int status = test_wait(test_fork(hold_and_die, (void *)(uintptr_t)name));
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void others_connect_and_the_dead_are_recognised(void)
{
    const shmheap_options options = {.flags = SHMHEAP_CREATE, .mode = 0644};
    struct reader *reader = test_shared(sizeof *reader);
    shmheap_memory_handle mem;
    reader->name = test_name();
    test_barrier_begin(&reader->step, 2);
    CHECK_EQ(shmheap_open(&mem, reader->name, &options), 0);
    pid_t pid = test_fork(lock_all_bytes, reader);
    test_barrier_wait(&reader->step);
    if (reader->skipped)
        printf("  skipped: to become another user is not possible here\n");
    long reaped = 0;
    for (unsigned i = 0; i < DEATHS; i++) {
        death(reader->name);
        shmheap_stats stats = test_stat(mem);
        CHECK_EQ(stats.processes, 1);
        CHECK_LE(1, stats.dead);
        long now = shmheap_reap(mem, 0);
        CHECK_LE(0, now);
        reaped += now;
        shmheap_memory_handle other = test_connect(reader->name);
        CHECK_EQ(test_stat(mem).processes, 2);
        CHECK(shmheap_alloc(other, 100) != NULL);
        shmheap_disconnect(other);
    }
    CHECK_EQ(test_stat(mem).used_blocks + (uint64_t)reaped, 2 * DEATHS);
    printf("  %ld of %d objects of the dead were reaped meanwhile\n", reaped, DEATHS);
    test_kill(pid);
    death(reader->name);
    CHECK_LE(1, shmheap_reap(mem, 0));
    CHECK_SOUND(mem);
    shmheap_destroy(reader->name, mem);
    test_unshare(reader, sizeof *reader);
}

static const struct test tests[] = {TEST(others_connect_and_the_dead_are_recognised)};
TEST_MAIN(tests)
