/* A heap has the permission bits that its maker gives, also where they shut the maker out.
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

static void with_any_umask(void *context)
{
    static const mode_t masks[] = {0, 022, 077, 0277, 0477, 0777};
    for (unsigned i = 0; i < sizeof masks / sizeof *masks; i++) {
        umask(masks[i]);
        as_a_user_without_rights(context);
    }
}

static void the_umask_does_not_matter(void)
{
    char name[256];
    snprintf(name, sizeof name, "%s", test_name());
    test_in_child(with_any_umask, name);
}

/* A user that owns the name, but may neither read nor write the file. */
static void destroys_what_it_may_not_open(void *context)
{
    const shmheap_options options = {
        .len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE, .mode = 0040};
    shmheap_memory_handle mem;
    if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
        puts("  skipped: this user reads and writes all files, and cannot become another one");
        return;
    }
    CHECK_EQ(shmheap_open(&mem, context, &options), 0);
    shmheap_destroy(context, mem);
    CHECK_EQ(access(test_shm_path(context), F_OK), -1);
}

static void the_owner_destroys_a_heap_that_it_may_not_open(void)
{
    char name[256];
    snprintf(name, sizeof name, "%s", test_name());
    test_in_child(destroys_what_it_may_not_open, name);
}

static const struct test tests[] = {TEST(permissions_that_shut_the_maker_out),
                                    TEST(the_umask_does_not_matter),
                                    TEST(the_owner_destroys_a_heap_that_it_may_not_open)};
TEST_MAIN(tests)
