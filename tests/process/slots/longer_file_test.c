/* The table of slots becomes longer, and with it the file. Linux shows the new length first, and
 * then zeroes the rest of the page that contained the old end (seen with Linux 6.18 and ext4). A
 * process that connects in between must not lose its slot to these zeros.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { LEN = 64 << 10, FIRST = 15 /* slots of so small a heap before its file becomes longer */ };

/* What the second process has done. */
enum { WAITS = 1, HAS_A_SLOT, MAY_END };

static struct shared {
    int step;
    unsigned extended; /* how often the file became longer */
} * shared;

static shmheap_memory_handle first;
static pid_t second;

static int step_load(void) { return __atomic_load_n(&shared->step, __ATOMIC_ACQUIRE); }
static void step_store(int step) { __atomic_store_n(&shared->step, step, __ATOMIC_RELEASE); }

/* In the second process: it waits for the one that makes the file longer. */
static int notice_waiting(int fd, int command, void *argument)
{
    int result = wrap_fcntl_real(fd, command, argument);
    if (command == F_OFD_SETLK && result != 0 &&
        ((const struct flock *)argument)->l_start == COLLECTOR_BYTE)
        step_store(WAITS);
    return result;
}

static void second_connects(void *context)
{
    CHECK(context == NULL);
    wrap_fcntl = notice_waiting;
    shmheap_memory_handle mem = test_connect_again(first, 0);
    step_store(HAS_A_SLOT);
    void *ptr = shmheap_alloc(mem, 100);
    CHECK(ptr != NULL);
    while (step_load() != MAY_END)
        sched_yield();
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    shmheap_disconnect(mem);
}

int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);

/* Makes the file longer, lets another process connect, then zeroes the rest of the page as Linux
 * does. */
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    static const char zeros[1 << 16];
    struct stat before, after;
    off_t page = sysconf(_SC_PAGESIZE);
    CHECK_EQ(fstat(fd, &before), 0);
    int result = __real_fallocate(fd, mode, from, len);
    CHECK_EQ(fstat(fd, &after), 0);
    if (result != 0 || second != 0 || !shmheap_valid(first) || after.st_size <= before.st_size)
        return result;
    shared->extended++;
    CHECK(before.st_size % page != 0);
    second = test_fork(second_connects, NULL);
    while (step_load() == 0)
        sched_yield();
    off_t end = (before.st_size / page + 1) * page;
    end = end < after.st_size ? end : after.st_size;
    CHECK_EQ(pwrite(fd, zeros, (size_t)(end - before.st_size), before.st_size),
             end - before.st_size);
    return result;
}

static void a_slot_taken_while_the_file_becomes_longer_stays(void)
{
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mems[FIRST + 1];
    shared = test_shared(sizeof *shared);
    CHECK_EQ(shmheap_open(&first, NULL, &options), 0);
    for (unsigned i = 1; i <= FIRST; i++) /* the last finds all slots taken */
        mems[i] = test_connect_again(first, 0);
    CHECK_EQ(shared->extended, 1);
    while (step_load() != HAS_A_SLOT)
        sched_yield();
    CHECK_EQ(test_stat(first).processes, FIRST + 2);
    CHECK_SOUND(first);
    step_store(MAY_END);
    test_join(second);
    CHECK_EQ(test_stat(first).processes, FIRST + 1);
    for (unsigned i = 1; i <= FIRST; i++)
        shmheap_disconnect(mems[i]);
    test_check_empty(first);
    shmheap_disconnect(first);
    test_unshare(shared, sizeof *shared);
}

static const struct test tests[] = {TEST(a_slot_taken_while_the_file_becomes_longer_stays)};
TEST_MAIN(tests)
