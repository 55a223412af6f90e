/* A heap's descriptor: two threads that request it at once both get the same one, and no other
 * stays open; a disconnect closes it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "tests/support/test.h"

static shmheap_memory_handle asked;
static int (*ask)(shmheap_memory_handle mem);
static int of_the_other;

int __real_open(const char *path, int oflags, ...);
int __wrap_open(const char *path, int oflags, ...);
int __wrap_open(const char *path, int oflags, ...)
{
    mode_t mode = 0;
    if (oflags & O_CREAT) {
        va_list list;
        va_start(list, oflags);
        mode = va_arg(list, mode_t);
        va_end(list);
    }
    int fd = __real_open(path, oflags, mode);
    if (ask != NULL) { /* the other thread is quicker */
        int (*other)(shmheap_memory_handle mem) = ask;
        ask = NULL;
        of_the_other = other(asked);
    }
    return fd;
}

static unsigned descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    CHECK_EQ(closedir(folder), 0);
    return count;
}

static void asked_for_by_two_threads(void)
{
    static int (*const calls[])(shmheap_memory_handle mem) = {shmheap_fd, shmheap_fd_writable};
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        asked = test_anonymous(1 << 16, 0, 0);
        unsigned before = descriptors();
        ask = calls[i];
        int fd = calls[i](asked);
        CHECK(ask == NULL);
        CHECK_LE(0, fd);
        CHECK_EQ(fd, of_the_other);
        CHECK_EQ(calls[i](asked), fd);
        CHECK_EQ(descriptors(), before + 1);
        shmheap_disconnect(asked);
    }
}

static void closed_by_the_disconnect(void)
{
    unsigned before = descriptors();
    shmheap_memory_handle mem = test_anonymous(1 << 16, 0, 0);
    CHECK_LE(0, shmheap_fd(mem));
    CHECK_LE(0, shmheap_fd_writable(mem));
    shmheap_disconnect(mem);
    CHECK_EQ(descriptors(), before);
}

/* A peer that gets shmheap_fd's descriptor can read the heap, and cannot write it. */
static void readers_get_one_without_writing(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 16, 0, 0);
    CHECK_EQ(fcntl(shmheap_fd(mem), F_GETFL) & O_ACCMODE, O_RDONLY);
    CHECK_EQ(fcntl(shmheap_fd_writable(mem), F_GETFL) & O_ACCMODE, O_RDWR);
    CHECK_REFUSED(write(shmheap_fd(mem), "x", 1) == -1, EBADF);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(asked_for_by_two_threads), TEST(closed_by_the_disconnect),
                                    TEST(readers_get_one_without_writing)};
TEST_MAIN(tests)
