/* shmheap_create_sealed: a heap that one connection alone can write, whatever other threads do with
 * its file meanwhile.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/connect/register.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { LEN = 65536, GARBAGE = 200000 };

static void (*meanwhile)(int fd); /* what another thread does at the moment when the file is new */
static int kept = -1;
static shmheap_memory_handle second;

/* In place of the C library's. */
int memfd_create(const char *name, unsigned flags)
{
    int fd = (int)syscall(SYS_memfd_create, name, flags);
    if (fd >= 0 && meanwhile != NULL)
        meanwhile(fd);
    return fd;
}

static int opened_again(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

static void write_garbage(int fd)
{
    static unsigned char garbage[GARBAGE];
    memset(garbage, 0xff, sizeof garbage);
    kept = opened_again(fd);
    CHECK_LE(0, kept);
    CHECK_EQ(pwrite(kept, garbage, sizeof garbage, 0), GARBAGE);
}

/* Makes a heap of it, and connects to that. */
static void write_a_heap(int fd)
{
    static unsigned char image[1 << 20];
    meanwhile = NULL;
    shmheap_memory_handle other = test_anonymous(LEN, 0, 16);
    ssize_t len = pread(shmheap_fd(other), image, sizeof image, 0);
    CHECK_LE(LEN, len);
    kept = opened_again(fd);
    CHECK_EQ(pwrite(kept, image, (size_t)len, 0), len);
    CHECK_EQ(fcntl(kept, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    CHECK_EQ(shmheap_open_fd(&second, kept, NULL), 0);
    shmheap_disconnect(other);
}

/* A peer may give a memfd away that it can truncate later. */
static void a_memfd_that_can_be_cut_is_refused(void)
{
    static unsigned char image[1 << 20];
    static const unsigned flags[] = {0, MFD_ALLOW_SEALING};
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 16), other;
    ssize_t len = pread(shmheap_fd(mem), image, sizeof image, 0);
    for (unsigned i = 0; i < 2; i++) {
        int fd = memfd_create("a peer's", flags[i]);
        CHECK_EQ(pwrite(fd, image, (size_t)len, 0), len);
        CHECK_REFUSED(shmheap_open_fd(&other, fd, NULL) == -1, EPERM);
        CHECK(strstr(shmheap_error_text(), "a process can make the memfd shorter") != NULL);
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
            CHECK_EQ(shmheap_open_fd(&other, fd, NULL), 0);
            shmheap_disconnect(other);
        } else {
            CHECK_EQ(flags[i], 0);
        }
        close(fd);
    }
    shmheap_disconnect(mem);
}

static int create(shmheap_memory_handle *mem, void (*what)(int fd))
{
    const shmheap_options options = {.len = LEN, .max_len = 4 * LEN};
    meanwhile = what;
    int result = shmheap_create_sealed(mem, &options);
    meanwhile = NULL;
    return result;
}

/* It is used, grows, is read by others and is written by none. */
static void check_used(shmheap_memory_handle mem)
{
    shmheap_memory_handle there;
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    void *ptr = shmheap_alloc(mem, 2 * LEN);
    CHECK(ptr != NULL);
    test_fill(ptr, 2 * LEN, 5);
    CHECK_SOUND(mem);
    CHECK_EQ(shmheap_open_fd(&there, shmheap_fd(mem), &options), 0);
    CHECK_SOUND(there);
    shmheap_disconnect(there);
    CHECK_REFUSED(shmheap_open_fd(&there, shmheap_fd(mem), NULL) == -1, EPERM);
    CHECK(strstr(shmheap_error_text(), "the heap is sealed: ") != NULL);
    CHECK(strstr(shmheap_error_text(), "open it with SHMHEAP_READ_ONLY") != NULL);
    CHECK(test_filled(ptr, 2 * LEN, 5));
    shmheap_free(mem, ptr);
}

static void others_cannot_write(void)
{
    shmheap_memory_handle mem;
    CHECK_EQ(create(&mem, NULL), 0);
    check_used(mem);
    CHECK_REFUSED(pwrite(shmheap_fd_writable(mem), "", 1, 0) == -1, EPERM);
    const int fd = shmheap_fd_writable(mem);
    CHECK_REFUSED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED, EPERM);
    shmheap_disconnect(mem);
}

static void what_was_written_before_the_seal_is_gone(void)
{
    shmheap_memory_handle mem;
    shmheap_stats stats;
    CHECK_EQ(create(&mem, write_garbage), 0);
    CHECK_SOUND(mem);
    CHECK_EQ(shmheap_stat(mem, &stats), 0);
    CHECK_EQ(stats.used_blocks, 0);
    CHECK_EQ(stats.processes, 1);
    unsigned char *ptr = shmheap_alloc(mem, LEN / 2);
    CHECK(ptr != NULL);
    for (size_t i = 0; i < LEN / 2; i++)
        CHECK_EQ(ptr[i], 0);
    shmheap_free(mem, ptr);
    check_used(mem);
    CHECK_REFUSED(pwrite(kept, "", 1, 0) == -1, EPERM);
    CHECK_REFUSED(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kept, 0) == MAP_FAILED,
                  EPERM);
    close(kept);
    shmheap_disconnect(mem);
}

static void a_connection_made_before_the_seal_is_found(void)
{
    shmheap_memory_handle mem;
    CHECK_REFUSED(create(&mem, write_a_heap) == -1, EBUSY);
    CHECK(strstr(shmheap_error_text(), "another thread connected to the heap before") != NULL);
    CHECK(!shmheap_valid(mem));
    shmheap_disconnect(second);
    close(kept);
    CHECK_EQ(create(&mem, NULL), 0);
    check_used(mem);
    shmheap_disconnect(mem);
}

static struct shmheap *opening;

/* As a thread that is about to map the file: its connection is not open yet. */
static void note_the_file(int fd)
{
    static const shmheap_options options;
    struct stat status;
    CHECK_EQ(fstat(fd, &status), 0);
    opening = register_take(&options);
    CHECK(opening != NULL);
    register_note_file(opening, status.st_dev, status.st_ino);
}

static void a_connection_that_is_being_opened_is_found(void)
{
    shmheap_memory_handle mem;
    CHECK_REFUSED(create(&mem, note_the_file) == -1, EBUSY);
    register_failed(opening);
    CHECK_EQ(create(&mem, NULL), 0);
    check_used(mem);
    shmheap_disconnect(mem);
}

/* Connections that were closed keep their files' numbers in their entries, of which the next
 * connection uses one again. A later file may have such a number. */
static shmheap_memory_handle closed[2];

static void number_as_of_the_closed(int fd)
{
    struct stat status;
    CHECK_EQ(fstat(fd, &status), 0);
    for (unsigned i = 0; i < 2; i++) {
        closed[i].heap->device = status.st_dev;
        closed[i].heap->inode = status.st_ino;
    }
}

static void a_closed_connection_is_none(void)
{
    shmheap_memory_handle mem;
    for (unsigned i = 0; i < 2; i++)
        closed[i] = test_anonymous(LEN, 0, 16);
    for (unsigned i = 0; i < 2; i++)
        shmheap_disconnect(closed[i]);
    CHECK_EQ(create(&mem, number_as_of_the_closed), 0);
    check_used(mem);
    shmheap_disconnect(mem);
}

static void wrong_options(void)
{
    shmheap_memory_handle mem;
    const shmheap_options wrong = {.flags = SHMHEAP_READ_ONLY}, file = {.flags = SHMHEAP_FILE};
    CHECK_REFUSED(shmheap_create_sealed(NULL, NULL) == -1, EINVAL);
    CHECK_REFUSED(shmheap_create_sealed(&mem, &wrong) == -1, EINVAL);
    CHECK_REFUSED(shmheap_create_sealed(&mem, &file) == -1, EINVAL);
    CHECK_EQ(shmheap_create_sealed(&mem, NULL), 0);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_memfd_that_can_be_cut_is_refused),
                                    TEST(others_cannot_write),
                                    TEST(what_was_written_before_the_seal_is_gone),
                                    TEST(a_connection_made_before_the_seal_is_found),
                                    TEST(a_connection_that_is_being_opened_is_found),
                                    TEST(a_closed_connection_is_none),
                                    TEST(wrong_options)};
TEST_MAIN(tests)
