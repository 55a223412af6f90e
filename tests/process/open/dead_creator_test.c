/* A process that makes a heap dies before it has written to the file. SHMHEAP_TAKE_OVER replaces an
 * empty file, also when the call began while that process lived.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "c/src/base/layout.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { PATIENCE_MS = 60000 /* longer than the test may take */ };

static struct shared {
    int found_in_use; /* the second process has found the file, used by the first */
} * shared;

static const char *name;
static int made; /* the descriptor that the first process has of the file */

/* In the second process: its attempt to lock the file against users fails. */
static int notice_user(int fd, int command, void *argument)
{
    int result = wrap_fcntl_real(fd, command, argument);
    const struct flock *lock = argument;
    if (command == F_OFD_SETLK && result != 0 && lock->l_type == F_WRLCK && lock->l_start == 0)
        __atomic_store_n(&shared->found_in_use, 1, __ATOMIC_RELEASE);
    return result;
}

static void takes_over(void *context)
{
    const shmheap_options *options = context;
    shmheap_memory_handle mem;
    CHECK_EQ(close(made), 0); /* else this process would share its lock */
    wrap_fcntl = notice_user;
    CHECK_EQ(shmheap_open(&mem, name, options), 0);
    wrap_fcntl = NULL;
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK_SOUND(mem);
    shmheap_destroy(name, mem);
}

/* The descriptor of an empty file that is locked as a maker locks it. */
static int made_file(unsigned flags)
{
    const char *path = flags & SHMHEAP_FILE ? name : test_shm_path(name);
    struct flock use = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = USERS_BYTE, .l_len = 1};
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(fcntl(fd, F_OFD_SETLK, &use), 0);
    return fd;
}

static void replaced(unsigned flags)
{
    shmheap_options options = {.len = 4096,
                               .flags = SHMHEAP_CREATE | SHMHEAP_TAKE_OVER | flags,
                               .timeout_ms = PATIENCE_MS};
    shared = test_shared(sizeof *shared);
    name = flags & SHMHEAP_FILE ? test_path() : test_name();
    made = made_file(flags);
    pid_t second = test_fork(takes_over, &options);
    while (!__atomic_load_n(&shared->found_in_use, __ATOMIC_ACQUIRE))
        sched_yield();
    CHECK_EQ(close(made), 0); /* the lock goes, as by a death */
    test_join(second);
    test_unshare(shared, sizeof *shared);
}

static void an_empty_file_is_replaced(void)
{
    replaced(0);
    replaced(SHMHEAP_FILE);
}

static const struct test tests[] = {TEST(an_empty_file_is_replaced)};
TEST_MAIN(tests)
