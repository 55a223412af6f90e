/* A file system that cannot reserve (ext2, ext3, NFS 3 ...): zeros are written instead, and they
 * overwrite nothing.
 *
 * fallocate is wrapped: the file system does not know it. pwrite is wrapped: it writes less than
 * requested, is interrupted, comes to the end of the disk, or never returns.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 256 << 10, MAX_LEN = 16 << 20, OBJECT = 20000, OBJECTS = 300, CROWD = 60 };

ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t off);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t off);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);

/* struct disk: how pwrite goes. */
static struct disk {
    int stutters;  /* it writes less than requested, and is interrupted */
    uint64_t room; /* bytes until the disk is full, */
    int kills;     /* or until the process dies */
    uint64_t written;
    struct test_random random;
} disk;

int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    (void)fd, (void)mode, (void)from, (void)len;
    errno = EOPNOTSUPP;
    return -1;
}

static void check_nothing_there(int fd, size_t count, off_t off)
{
    static unsigned char bytes[1 << 20];
    CHECK_LE(count, sizeof bytes);
    ssize_t got = pread(fd, bytes, count, off);
    for (ssize_t i = 0; i < got; i++)
        CHECK_EQ(bytes[i], 0);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t off)
{
    check_nothing_there(fd, count, off);
    if (disk.stutters && test_random_below(&disk.random, 3) == 0) {
        errno = EINTR;
        return -1;
    }
    if (disk.stutters)
        count = 1 + test_random_below(&disk.random, count);
    if (count > disk.room)
        count = disk.room;
    if (count == 0 && disk.kills)
        raise(SIGKILL);
    if (count == 0) {
        errno = ENOSPC;
        return -1;
    }
    ssize_t put = __real_pwrite(fd, bytes, count, off);
    disk.room -= put > 0 ? (uint64_t)put : 0;
    disk.written += put > 0 ? (uint64_t)put : 0;
    return put;
}

static void disk_begin(void)
{
    memset(&disk, 0, sizeof disk);
    disk.room = UINT64_MAX;
    disk.random = test_random_begin(1);
}

static struct stat file_of(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return status;
}

static shmheap_memory_handle make(const char *path, size_t max_len, unsigned flags)
{
    shmheap_options options = {.len = LEN, .max_len = max_len};
    options.flags = SHMHEAP_FILE | SHMHEAP_CREATE | flags;
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    return mem;
}

static void all_of_it_is_there(void)
{
    for (int stutters = 0; stutters < 2; stutters++) {
        const char *path = test_path();
        disk_begin();
        disk.stutters = stutters;
        shmheap_memory_handle mem = make(path, 0, 0);
        CHECK(file_of(mem).st_blocks * 512 >= (blkcnt_t)test_stat(mem).segment_len);
        CHECK_SOUND(mem);
        shmheap_destroy(path, mem);
    }
}

static void sparse_heaps_write_nothing(void)
{
    const char *path = test_path();
    disk_begin();
    shmheap_memory_handle mem = make(path, MAX_LEN, SHMHEAP_SPARSE);
    disk.written = 0; /* the first bytes are, by which a heap in the making is known */
    CHECK(shmheap_alloc(mem, MAX_LEN / 2) != NULL);
    CHECK_EQ(disk.written, 0);
    shmheap_destroy(path, mem);
}

/* Objects until there are OBJECTS or no more fit: how many. */
static size_t fill(shmheap_memory_handle mem, void **objects)
{
    size_t count = 0;
    while (count < OBJECTS && (objects[count] = shmheap_alloc(mem, OBJECT)) != NULL) {
        test_fill(objects[count], OBJECT, count);
        count++;
    }
    return count;
}

static void check_filled(void **objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        CHECK(test_filled(objects[i], OBJECT, i));
}

static void growing_overwrites_nothing(void)
{
    static void *objects[OBJECTS];
    static shmheap_memory_handle crowd[CROWD];
    const char *path = test_path();
    disk_begin();
    disk.stutters = 1;
    shmheap_memory_handle mem = make(path, MAX_LEN, 0);
    for (unsigned i = 0; i < CROWD; i++) { /* slots behind a region that has not grown yet */
        CHECK_EQ(shmheap_open_fd(&crowd[i], shmheap_fd(mem), NULL), 0);
        CHECK_EQ(test_stat(mem).processes, i + 2);
    }
    CHECK_EQ(fill(mem, objects), OBJECTS);
    CHECK(test_stat(mem).grows > 3);
    CHECK(file_of(mem).st_blocks * 512 >= (blkcnt_t)test_stat(mem).len);
    while (test_stat(mem).len < MAX_LEN)
        CHECK(shmheap_alloc(mem, OBJECT) != NULL);
    CHECK(file_of(mem).st_blocks * 512 >= (blkcnt_t)test_stat(mem).segment_len);
    check_filled(objects, OBJECTS);
    CHECK_EQ(test_stat(mem).processes, CROWD + 1);
    CHECK_SOUND(mem);
    for (unsigned i = 0; i < CROWD; i++)
        shmheap_disconnect(crowd[i]);
    shmheap_destroy(path, mem);
}

/* However early the disk is full, there is an errno, and no file is left. */
static void full_disk_when_making(void)
{
    for (uint64_t room = 0; room < LEN; room = 2 * room + 1000) {
        const char *path = test_path();
        shmheap_options options = {.len = LEN, .flags = SHMHEAP_FILE | SHMHEAP_CREATE};
        shmheap_memory_handle mem;
        struct stat status;
        disk_begin();
        disk.room = room;
        CHECK_REFUSED(shmheap_open(&mem, path, &options) == -1, ENOSPC);
        CHECK_REFUSED(stat(path, &status) == -1, ENOENT);
    }
}

/* The file is as long as before, the heap goes on, and grows when there is room again. */
static void full_disk_when_growing(void)
{
    static void *objects[OBJECTS];
    const char *path = test_path();
    disk_begin();
    shmheap_memory_handle mem = make(path, MAX_LEN, 0);
    disk.room = 2 << 20;
    size_t count = fill(mem, objects);
    CHECK_EQ(errno, ENOMEM);
    CHECK(count > 0 && count < OBJECTS);
    off_t len = file_of(mem).st_size;
    disk.room = 30000;
    CHECK_REFUSED(shmheap_alloc(mem, 1 << 20) == NULL, ENOMEM);
    CHECK_EQ(file_of(mem).st_size, len);
    check_filled(objects, count);
    CHECK_SOUND(mem);
    disk.room = UINT64_MAX;
    CHECK(shmheap_alloc(mem, 1 << 20) != NULL);
    check_filled(objects, count);
    CHECK_SOUND(mem);
    shmheap_destroy(path, mem);
}

/* Writing behind the limit raises SIGXFSZ even where the file is long enough. */
static void limited(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    static void *objects[OBJECTS];
    struct rlimit limit = {LEN, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    size_t count = fill(mem, objects);
    CHECK_EQ(errno, ENOMEM);
    check_filled(objects, count);
    CHECK_SOUND(mem);
}

static void limit_inside_the_file(void)
{
    const char *path = test_path();
    disk_begin();
    shmheap_memory_handle mem = make(path, MAX_LEN, 0), more;
    for (unsigned i = 0; i < CROWD; i++)
        CHECK_EQ(shmheap_open_fd(&more, shmheap_fd(mem), NULL), 0);
    test_in_child(limited, &mem);
    CHECK_SOUND(mem);
    shmheap_destroy(path, mem);
}

/* A process that dies while it writes zeros leaves a heap that others go on with. */
static void dies(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    shmheap_alloc(mem, 1 << 20);
}

static void death_when_growing(void)
{
    static void *objects[OBJECTS];
    unsigned deaths = 0;
    for (uint64_t room = 0; room < 2 << 20; room = 3 * room + 1) {
        const char *path = test_path();
        disk_begin();
        shmheap_memory_handle mem = make(path, MAX_LEN, 0);
        CHECK(shmheap_alloc(mem, LEN / 2) != NULL);
        disk.room = room;
        disk.kills = 1;
        int status = test_wait(test_fork(dies, &mem));
        deaths += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        disk_begin();
        CHECK_EQ(fill(mem, objects), OBJECTS);
        check_filled(objects, OBJECTS);
        CHECK_SOUND(mem);
        shmheap_destroy(path, mem);
    }
    CHECK(deaths > 5);
    printf("  %u deaths\n", deaths);
}

static const struct test tests[] = {
    TEST(all_of_it_is_there),    TEST(sparse_heaps_write_nothing), TEST(growing_overwrites_nothing),
    TEST(full_disk_when_making), TEST(full_disk_when_growing),     TEST(limit_inside_the_file),
    TEST(death_when_growing)};
TEST_MAIN(tests)
