/* A heap in a file on hugetlbfs, where everything is a multiple of a huge page. Wrapped calls make
 * a memory file behave so. place_test.c has the real thing.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { HUGE_PAGE = 2 << 20, LEN = 5 << 20, MAX_LEN = 40 << 20, OBJECT = 300000, CROWD = 60 };

int __real_fstatfs(int fd, struct statfs *status);
int __wrap_fstatfs(int fd, struct statfs *status);
void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);
int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);

static struct {
    void *base;  /* of the last mapping of a file */
    int refused; /* unmappings of that which the kernel would not do */
    off_t room;  /* huge pages' bytes that are left */
} kernel = {NULL, 0, INT64_MAX};

static size_t whole(size_t bytes) { return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE; }

int __wrap_fstatfs(int fd, struct statfs *status)
{
    int result = __real_fstatfs(fd, status);
    status->f_type = HUGETLBFS_MAGIC;
    status->f_bsize = HUGE_PAGE;
    return result;
}

/* A mapping that can be written makes the file as long as itself. */
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off)
{
    struct stat status;
    if (fd < 0)
        return __real_mmap(at, len, protection, flags, fd, off);
    len = whole(len);
    CHECK_EQ(fstat(fd, &status), 0);
    if (status.st_size < (off_t)len && (protection & PROT_WRITE))
        CHECK_EQ(ftruncate(fd, (off_t)len), 0);
    return kernel.base = __real_mmap(at, len, protection, flags, fd, off);
}

int __wrap_munmap(void *at, size_t len)
{
    if (at == kernel.base && len % HUGE_PAGE != 0) {
        kernel.refused++;
        errno = EINVAL;
        return -1;
    }
    return __real_munmap(at, len);
}

/* Reserves whole pages; punches only those that lie wholly within. */
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    off_t first = from / HUGE_PAGE * HUGE_PAGE, end = (off_t)whole((size_t)(from + len));
    if (mode != 0) {
        first = (off_t)whole((size_t)from);
        end = (from + len) / HUGE_PAGE * HUGE_PAGE;
        return first < end ? __real_fallocate(fd, mode, first, end - first) : 0;
    }
    if (end - first > kernel.room) {
        errno = ENOSPC;
        return -1;
    }
    kernel.room -= end - first;
    return __real_fallocate(fd, 0, first, end - first);
}

static shmheap_memory_handle make(size_t max_len)
{
    shmheap_memory_handle mem = test_anonymous(LEN, max_len, 0);
    CHECK_EQ(mem.heap->map_len % HUGE_PAGE, 0);
    return mem;
}

static struct stat file_of(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return status;
}

static void no_mapping_stays(void)
{
    static const size_t max_lens[] = {0, LEN + 1, MAX_LEN};
    for (size_t i = 0; i < sizeof max_lens / sizeof *max_lens; i++) {
        shmheap_memory_handle mem = make(max_lens[i]);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
        CHECK_EQ(kernel.refused, 0);
    }
}

/* All entries of the table of slots are there at once: they need memory as well. */
static void slots_have_memory(void)
{
    static shmheap_memory_handle crowd[CROWD];
    shmheap_memory_handle mem = make(0);
    CHECK_EQ(file_of(mem).st_blocks * 512, file_of(mem).st_size);
    shmheap_disconnect(mem);
    mem = make(MAX_LEN);
    CHECK(file_of(mem).st_blocks * 512 < file_of(mem).st_size);
    CHECK_EQ(lseek(shmheap_fd(mem), file_of(mem).st_size - HUGE_PAGE, SEEK_DATA),
             file_of(mem).st_size - HUGE_PAGE);
    kernel.room = 0;
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQ(shmheap_open_fd(&crowd[i], shmheap_fd(mem), NULL), 0);
    CHECK_EQ(test_stat(mem).processes, CROWD + 1);
    for (unsigned i = 0; i < CROWD; i++)
        shmheap_disconnect(crowd[i]);
    kernel.room = INT64_MAX;
    shmheap_disconnect(mem);
    CHECK_EQ(kernel.refused, 0);
}

/* Growing comes to the end of the huge pages, and leaves slots, index and objects as they are. */
static void growing(void)
{
    static shmheap_memory_handle crowd[CROWD];
    static void *objects[MAX_LEN / OBJECT + 1];
    size_t count = 0;
    shmheap_memory_handle mem = make(MAX_LEN);
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQ(shmheap_open_fd(&crowd[i], shmheap_fd(mem), NULL), 0);
    for (kernel.room = 2 * HUGE_PAGE; test_stat(mem).len < MAX_LEN - 2 * OBJECT;
         kernel.room = 3 * HUGE_PAGE) {
        size_t before = count;
        while ((objects[count] = shmheap_alloc(mem, OBJECT)) != NULL)
            test_fill(objects[count], OBJECT, count), count++;
        CHECK_EQ(errno, ENOMEM);
        CHECK(count > before);
        for (size_t i = 0; i < count; i++)
            CHECK(test_filled(objects[i], OBJECT, i));
        CHECK_EQ(test_stat(mem).processes, CROWD + 1);
        CHECK_SOUND(mem);
    }
    while (test_stat(mem).len < MAX_LEN)
        CHECK(shmheap_alloc(mem, OBJECT / 100) != NULL);
    CHECK_EQ(file_of(mem).st_blocks * 512, file_of(mem).st_size);
    for (unsigned i = 0; i < CROWD; i++)
        shmheap_disconnect(crowd[i]);
    kernel.room = INT64_MAX;
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(no_mapping_stays), TEST(slots_have_memory), TEST(growing)};
TEST_MAIN(tests)
