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

static const struct test tests[] = {TEST(creating), TEST(growing), TEST(never_enough_time)};
TEST_MAIN(tests)
