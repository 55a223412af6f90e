/* A heap's permission bits are what its maker asks for, also where they shut the maker out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 65536, MAX_LEN = 1 << 20, NOBODY = 65534 };

static void make_and_use(const char *name, unsigned mode)
{
    const shmheap_options options = {
        .len = LEN, .max_len = MAX_LEN, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE, .mode = mode};
    shmheap_memory_handle mem;
    struct stat status;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_EQ(stat(test_shm_path(name), &status), 0);
    CHECK_EQ(status.st_mode & 07777, mode);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK(shmheap_alloc(mem, 2 * LEN) != NULL); /* it grows */
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    CHECK_EQ(shm_unlink(name), 0);
}

static void as_a_user_without_rights(void *context)
{
    static const unsigned modes[] = {0400, 0440, 0444, 0200, 0060, 0004, 0600, 0644};
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        puts("  skipped: this user reads and writes all files, and cannot become another one");
        return;
    }
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
        make_and_use(context, modes[i]);
}

static void permissions_that_shut_the_maker_out(void)
{
    char name[256];
    snprintf(name, sizeof name, "%s", test_name());
    test_in_child(as_a_user_without_rights, name);
}

static const struct test tests[] = {TEST(permissions_that_shut_the_maker_out)};
TEST_MAIN(tests)
