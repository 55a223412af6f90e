/* The disk is full after the first part of a growth: the parts that the file got already are freed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/test.h"

enum { LEN = 1 << 16, MAX_LEN = 64 << 20, LARGE = 40 << 20 }; /* a growth in several parts */

static int counts;
static unsigned reserved, refused;

int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    if (!counts || mode != 0 || reserved++ == 0)
        return __real_fallocate(fd, mode, from, len);
    refused++;
    errno = ENOSPC;
    return -1;
}

static long long blocks_of(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return (long long)status.st_blocks;
}

static void a_growth_that_fails_leaves_no_memory(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, MAX_LEN, 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    long long before = blocks_of(mem);
    counts = 1;
    CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL, ENOMEM);
    counts = 0;
    CHECK(reserved > 1 && refused > 0);
    CHECK_EQ(blocks_of(mem), before);
    CHECK_EQ(test_stat(mem).len, LEN);
    CHECK_SOUND(mem);
    CHECK(shmheap_alloc(mem, LARGE) != NULL);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_growth_that_fails_leaves_no_memory)};
TEST_MAIN(tests)
