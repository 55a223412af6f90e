/* Where there is no /proc, as after chroot(), a process knows its PID namespace if it read it
 * before, or if its parent did: a process never leaves its namespace, and one that sees its
 * parent's pid is in the parent's.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/os/process.h"
#include "tests/support/test.h"

static int proc_is_gone;

int __real_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status);
int __wrap_stat(const char *path, struct stat *status)
{
    if (proc_is_gone && strncmp(path, "/proc/", 6) == 0) {
        errno = ENOENT;
        return -1;
    }
    return __real_stat(path, status);
}

static void is_unknown(void *unused)
{
    (void)unused;
    CHECK_EQ(process_namespace(), 0);
}

static void never_read(void)
{
    proc_is_gone = 1;
    test_in_child(is_unknown, NULL);
    proc_is_gone = 0;
}

static void is_known(void *expected)
{
    CHECK_EQ(process_namespace(), *(uint32_t *)expected);
    CHECK_EQ(process_namespace(), *(uint32_t *)expected);
}

static void requests_and_forks(void *expected)
{
    is_known(expected);
    test_in_child(is_known, expected);
}

static void forks(void *expected)
{
    (void)expected;
    test_in_child(is_unknown, NULL);
}

static void read_before(void)
{
    uint32_t expected = process_namespace();
    CHECK(expected != 0);
    proc_is_gone = 1;
    is_known(&expected);
    test_in_child(is_known, &expected);
    test_in_child(requests_and_forks, &expected);
    test_in_child(forks, &expected); /* whose child knows nothing of the pid it sees */
    is_known(&expected);
    proc_is_gone = 0;
    is_known(&expected);
}

static const struct test tests[] = {TEST(never_read), TEST(read_before)};
TEST_MAIN(tests)
