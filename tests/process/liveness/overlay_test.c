/* On overlayfs, as this library sees it: its locks go with descriptors, which a program may close.
 * statfs(2) and mmap(2) are made to behave so.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1 << 16, DESCRIPTORS = 1024 };

int __real_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status)
{
    int result = __real_fstatfs(fd, status);
    status->f_type = OVERLAYFS_SUPER_MAGIC;
    return result;
}

static int anchor_fails;

/* And a mapping keeps no description: one without access rights is of no file. */
void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off)
{
    int is_anchor = fd >= 0 && protection == PROT_NONE;
    if (is_anchor && anchor_fails)
        return errno = ENOMEM, MAP_FAILED;
    return __real_mmap(at, len, protection, is_anchor ? flags | MAP_ANONYMOUS : flags,
                       is_anchor ? -1 : fd, off);
}

struct scene {
    const char *name;
    struct test_barrier step;
};

static void lose_descriptors(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem = shmheap_create(scene->name, LEN);
    CHECK(shmheap_valid(mem) && shmheap_alloc(mem, 100) != NULL);
    for (int fd = 3; fd < DESCRIPTORS; fd++)
        close(fd);
    test_barrier_wait(&scene->step);
    test_barrier_wait(&scene->step);
    for (;;)
        pause();
}

static void a_name_is_not_taken_over_while_a_process_lives(void)
{
    const shmheap_options options = {
        .len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER};
    struct scene *scene = test_shared(sizeof *scene);
    shmheap_memory_handle mem;
    scene->name = test_name();
    test_barrier_begin(&scene->step, 2);
    pid_t pid = test_fork(lose_descriptors, scene);
    test_barrier_wait(&scene->step);
    CHECK_REFUSED(shmheap_unlink_unused(scene->name) == -1, EBUSY);
    CHECK_REFUSED(shmheap_open(&mem, scene->name, &options) == -1, EEXIST);
    test_barrier_wait(&scene->step);
    test_kill(pid);
    CHECK_EQ(shmheap_open(&mem, scene->name, &options), 0);
    shmheap_destroy(scene->name, mem);
    test_unshare(scene, sizeof *scene);
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < DESCRIPTORS; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void check_descriptors(void *context)
{
    const unsigned *expected = context;
    CHECK_EQ(descriptors(), *expected);
}

/* A heap has its own descriptor and two that keep locks. A child keeps no lock of its parent's
 * life. */
static void no_descriptor_stays_open(void)
{
    const char *name = test_name();
    unsigned before = descriptors(), of_a_child = before + 2;
    shmheap_memory_handle mem = shmheap_create(name, LEN);
    CHECK(shmheap_valid(mem));
    CHECK_EQ(descriptors(), before + 3);
    test_in_child(check_descriptors, &of_a_child);
    shmheap_disconnect(mem);
    CHECK_EQ(descriptors(), before);
    anchor_fails = 1;
    CHECK_REFUSED(!shmheap_valid(mem = shmheap_connect(name)), ENOMEM);
    anchor_fails = 0;
    CHECK_EQ(descriptors(), before);
    CHECK_EQ(shmheap_unlink_unused(name), 0);
}

/* The first change of a child needs descriptions of its own. */
static void change_without_mapping(void *context)
{
    shmheap_memory_handle *mem = context;
    unsigned before = descriptors();
    anchor_fails = 1;
    CHECK_REFUSED(shmheap_alloc(*mem, 100) == NULL, ENOMEM);
    anchor_fails = 0;
    CHECK_EQ(descriptors(), before);
    CHECK(shmheap_alloc(*mem, 100) != NULL);
}

static void a_change_that_fails_leaves_no_descriptor(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, LEN);
    CHECK(shmheap_valid(mem));
    test_in_child(change_without_mapping, &mem);
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {TEST(a_name_is_not_taken_over_while_a_process_lives),
                                    TEST(no_descriptor_stays_open),
                                    TEST(a_change_that_fails_leaves_no_descriptor)};
TEST_MAIN(tests)
