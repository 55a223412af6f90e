/* Signals that come in while the kernel reserves memory.
 *
 * Until Linux 6.17, fallocate(2) on tmpfs undoes all it has done, and fails with EINTR, when any
 * signal comes in. fallocate is wrapped here by a model of that: a signal comes each time that so
 * many bytes have been reserved, and what the interrupted call did is lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 64 << 20, SMALL = 1 << 20, CALLS_MAX = 10000, CALLS_IN_VAIN = 1000000 };

int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);

static off_t between, since; /* bytes from signal to signal, 0: none come; and since the last one */
static unsigned calls, calls_most, interruptions;

int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    if (mode != 0 || between == 0)
        return __real_fallocate(fd, mode, from, len);
    CHECK_LE(++calls, calls_most);
    if (since + len > between) {
        since = 0;
        interruptions++;
        errno = EINTR;
        return -1;
    }
    since += len;
    return __real_fallocate(fd, mode, from, len);
}

static int writes_fail, stats_fail;

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t off);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t off)
{
    if (!writes_fail)
        return __real_pwrite(fd, bytes, len, off);
    errno = EINTR;
    return -1;
}

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    if (!stats_fail)
        return __real_fstat(fd, status);
    errno = EPERM;
    return -1;
}

static void signals_each(off_t bytes, unsigned most)
{
    between = bytes;
    since = 0;
    calls = interruptions = 0;
    calls_most = most;
}

static void signals_end(void)
{
    printf("  %u calls, %u of them interrupted\n", calls, interruptions);
    between = 0;
}

static uint64_t blocks_of(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

/* All of the heap is reserved, however often signals come. */
static void creating(void)
{
    if (!test_shm_has(80))
        return;
    static const off_t pauses[] = {40 << 20, 3 << 20, 100000, 5000};
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        const char *name = test_name();
        signals_each(pauses[i], LEN / 1000);
        shmheap_memory_handle mem = shmheap_create(name, LEN);
        CHECK(shmheap_valid(mem));
        signals_end();
        CHECK(interruptions > 0);
        CHECK(blocks_of(mem) >= test_stat(mem).segment_len);
        CHECK_SOUND(mem);
        shmheap_destroy(name, mem);
    }
}

static void growing(void)
{
    shmheap_memory_handle mem = test_anonymous(SMALL, 2 * LEN, 0);
    signals_each(3 << 20, CALLS_MAX);
    char *object = shmheap_alloc(mem, LEN);
    CHECK(object != NULL);
    signals_end();
    CHECK(interruptions > 0);
    CHECK(blocks_of(mem) >= LEN);
    test_fill(object, LEN, 1);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Where not one page can be had between two signals, the call ends all the same, and undoes all. */
static void never_enough_time(void)
{
    if (!test_shm_has(80))
        return;
    const char *name = test_name();
    struct stat status;
    signals_each(1, CALLS_IN_VAIN);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, LEN)), EINTR);
    signals_end();
    CHECK_REFUSED(stat(test_shm_path(name), &status) == -1, ENOENT);
    shmheap_memory_handle mem = test_anonymous(SMALL, 2 * LEN, 0);
    uint64_t before = blocks_of(mem);
    char *object = shmheap_alloc(mem, SMALL / 2);
    test_fill(object, SMALL / 2, 1);
    signals_each(1, CALLS_IN_VAIN);
    CHECK_REFUSED(shmheap_alloc(mem, LEN) == NULL, ENOMEM);
    signals_end();
    CHECK_EQ(blocks_of(mem), before);
    CHECK(test_filled(object, SMALL / 2, 1));
    CHECK_SOUND(mem);
    CHECK(shmheap_alloc(mem, LEN) != NULL);
    shmheap_disconnect(mem);
}

/* Writes that no byte passes, for whatever reason: the calls end. */
static void writes_that_are_always_interrupted(void)
{
    const char *name = test_name(), *path = test_path();
    shmheap_memory_handle mem = test_anonymous(SMALL, SMALL, 0);
    struct stat status;
    writes_fail = 1;
    CHECK_REFUSED(!shmheap_valid(shmheap_create(name, SMALL)), EINTR);
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EINTR);
    writes_fail = 0;
    CHECK_REFUSED(stat(test_shm_path(name), &status) == -1, ENOENT);
    CHECK_REFUSED(stat(path, &status) == -1, ENOENT);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static int next_descriptor(void)
{
    int fd = dup(STDIN_FILENO);
    CHECK(fd >= 0 && close(fd) == 0);
    return fd;
}

/* A filter of system calls may refuse fstat(2): a file that cannot be told is closed. */
static void files_that_cannot_be_told(void)
{
    const char *name = test_name();
    const shmheap_options anonymous = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mem = shmheap_create(name, SMALL), none;
    int next = next_descriptor();
    CHECK(shmheap_valid(mem));
    stats_fail = 1;
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), EPERM);
    CHECK_REFUSED(!shmheap_valid(shmheap_create(test_name(), SMALL)), EPERM);
    CHECK_REFUSED(shmheap_open(&none, NULL, &anonymous) == -1, EPERM);
    stats_fail = 0;
    CHECK_EQ(next_descriptor(), next);
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {TEST(creating), TEST(growing), TEST(never_enough_time),
                                    TEST(writes_that_are_always_interrupted),
                                    TEST(files_that_cannot_be_told)};
TEST_MAIN(tests)
