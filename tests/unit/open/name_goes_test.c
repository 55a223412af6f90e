/* A process that waits for a heap in the making, and finds its name gone, waits no longer: the
 * maker has given up. A maker that gives up removes its own name alone.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LONG_MS = 5000 /* waited for only where the name is not looked at */ };

static const char *name_that_goes; /* right before the next inspection of the file's contents */

ssize_t __real_pread(int fd, void *buffer, size_t count, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t count, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t count, off_t offset)
{
    if (name_that_goes != NULL)
        CHECK_EQ(shm_unlink(name_that_goes), 0);
    name_that_goes = NULL;
    return __real_pread(fd, buffer, count, offset);
}

static const char *name_that_goes_at; /* right before the looks_to_go-th look at the file itself */
static int looks_to_go;

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    if (looks_to_go != 0 && --looks_to_go == 0)
        CHECK_EQ(shm_unlink(name_that_goes_at), 0);
    return __real_fstat(fd, status);
}

static const char *name_of_the_next; /* a file gets it right before the next munmap */

int __real_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len);
int __wrap_munmap(void *at, size_t len)
{
    const char *name = name_of_the_next;
    int before = errno;
    name_of_the_next = NULL;
    if (name != NULL) {
        if (shm_unlink(name) != 0)
            CHECK_EQ(errno, ENOENT); /* its maker has removed it */
        int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
        CHECK(fd >= 0);
        CHECK_EQ(close(fd), 0);
    }
    errno = before;
    return __real_munmap(at, len);
}

/* The file of a heap whose maker has not begun. */
static int file_begin(const char *name)
{
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0);
    name_that_goes = name;
    return fd;
}

static void then_there_is_none(void)
{
    const char *name = test_name();
    const shmheap_options options = {.timeout_ms = LONG_MS},
                          reader = {.timeout_ms = LONG_MS, .flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle mem;
    int fd = file_begin(name);
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ENOENT);
    CHECK_EQ(close(fd), 0);
    fd = file_begin(name);
    CHECK_REFUSED(shmheap_open(&mem, name, &reader) == -1, ENOENT);
    CHECK_EQ(close(fd), 0);
}

static void then_it_is_made(void)
{
    const char *name = test_name();
    const shmheap_options options = {.len = 4096, .timeout_ms = LONG_MS, .flags = SHMHEAP_CREATE};
    shmheap_memory_handle mem;
    int fd = file_begin(name);
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    shmheap_memory_handle other = test_connect(name);
    CHECK_EQ(test_stat(other).id, test_stat(mem).id);
    CHECK_SOUND(mem);
    shmheap_disconnect(other);
    shmheap_destroy(name, mem);
    CHECK_EQ(close(fd), 0);
}

/* At each of the first looks that the call has at the file: before it waits, and while it does. */
static void at_any_moment(void)
{
    const char *name = name_that_goes_at = test_name();
    for (int create = 0; create < 2; create++)
        for (int k = 1; k <= 5; k++) {
            const shmheap_options options = {
                .len = 4096, .timeout_ms = LONG_MS, .flags = create ? SHMHEAP_CREATE : 0};
            shmheap_memory_handle mem;
            int fd = file_begin(name);
            name_that_goes = NULL;
            looks_to_go = k;
            if (create) {
                CHECK_EQ(shmheap_open(&mem, name, &options), 0);
                CHECK_EQ(looks_to_go, 0);
                shmheap_destroy(name, mem);
            } else {
                CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, ENOENT);
                CHECK_EQ(looks_to_go, 0);
            }
            CHECK_EQ(close(fd), 0);
        }
}

/* The file cannot have the heap's length. While the maker gives up its connection, another process
 * makes a file of the name. */
static void the_next_of_that_name_stays(void)
{
    const char *name = test_name();
    const shmheap_options options = {.len = 1 << 20, .flags = SHMHEAP_CREATE};
    struct rlimit before, limit;
    shmheap_memory_handle mem;
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 100000;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    name_of_the_next = name;
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, EFBIG);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK(name_of_the_next == NULL);
    CHECK_EQ(shm_unlink(name), 0);
}

static const struct test tests[] = {TEST(then_there_is_none), TEST(then_it_is_made),
                                    TEST(at_any_moment), TEST(the_next_of_that_name_stays)};
TEST_MAIN(tests)
