/* A process that locks its memory (mlockall) and may lock little (RLIMIT_MEMLOCK).
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LIMIT = 4 << 20, LEN = 64 << 10, TOO_MUCH = 64 << 20 };

/* Without CAP_IPC_LOCK, for which there is no limit. */
static void lock_little(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    const struct rlimit limit = {LIMIT, LIMIT};
    CHECK_EQ(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    CHECK_EQ(syscall(SYS_capset, &header, data), 0);
    CHECK_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    CHECK_EQ(mlockall(MCL_FUTURE), 0);
}

/* The heap is small, but its mapping is as long as it may grow. */
static void check_too_much(const char *name, unsigned flags)
{
    shmheap_options options = {.len = LEN, .max_len = TOO_MUCH, .flags = SHMHEAP_CREATE | flags};
    shmheap_memory_handle mem;
    struct stat status;
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ENOMEM);
    CHECK(stat(test_shm_path(name), &status) != 0);
    options.max_len = 0;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK_SOUND(mem);
    shmheap_destroy(name, mem);
}

/* A heap of one more page, under no name. */
static shmheap_memory_handle one_more(void)
{
    const shmheap_options options = {.len = 4096, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mem;
    shmheap_open(&mem, NULL, &options);
    return mem;
}

static void locks_little(void *context)
{
    shmheap_memory_handle mem;
    const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    const char *large = context;
    lock_little();
    check_too_much(test_name(), 0);
    check_too_much(test_name(), SHMHEAP_SPARSE);
    check_too_much(test_name(), SHMHEAP_ANONYMOUS);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(large)), ENOMEM);
    CHECK_REFUSED(shmheap_open(&mem, large, &read_only) == -1, ENOMEM);
    /* Until not even the pages of a connection can be had. */
    errno = 0;
    while (shmheap_valid(one_more()))
        continue;
    CHECK_EQ(errno, ENOMEM);
}

static void too_little_may_be_locked(void)
{
    const char *name = test_name();
    const shmheap_options options = {.len = LEN, .max_len = TOO_MUCH, .flags = SHMHEAP_CREATE};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    test_in_child(locks_little, (void *)(uintptr_t)name);
    CHECK_EQ(test_stat(mem).processes, 1);
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {TEST(too_little_may_be_locked)};
TEST_MAIN(tests)
