/* shmheap_copy where it fails: the disk is full, or the copier dies, at each of its writes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process/copy/copies.h"
#include "tests/support/test.h"

/* Failures of the system, by --wrap: the k-th pwrite from now on fails with this errno, or is the
 * death of its caller; there is no O_TMPFILE. */
static int pwrites_to_go, pwrite_errno, no_tmpfile;
static uint64_t written;

/* Calls of lseek. */
static unsigned seeks;

off_t __real_lseek(int fd, off_t off, int whence);

off_t __wrap_lseek(int fd, off_t off, int whence);

off_t __wrap_lseek(int fd, off_t off, int whence)
{
    seeks++;
    return __real_lseek(fd, off, whence);
}

/* The k-th question whether there is memory, from now on, is answered by no. */
static int questions_to_go;
static uint64_t granted;

int __real_shmheap_memory_suffices(uint64_t bytes);

int __wrap_shmheap_memory_suffices(uint64_t bytes);

int __wrap_shmheap_memory_suffices(uint64_t bytes)
{
    if (questions_to_go != 0 && --questions_to_go == 0) {
        errno = ENOSPC;
        return -1;
    }
    granted += bytes;
    return __real_shmheap_memory_suffices(bytes);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t len, off_t off);

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t off);

/* An object that a peer changes whenever the copier writes; NULL: none. */
static unsigned char *changing;
static size_t changing_len;

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t len, off_t off)
{
    for (size_t i = 0; changing != NULL && i < changing_len; i += 4096)
        changing[i]++;
    if (pwrites_to_go != 0 && --pwrites_to_go == 0) {
        if (pwrite_errno == 0)
            raise(SIGKILL);
        errno = pwrite_errno;
        return -1;
    }
    written += len;
    return __real_pwrite(fd, bytes, len, off);
}

/* The most bytes that the kernel maps without reserving them; 0: any. */
static size_t mapping_most;

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t off)
{
    if (mapping_most == 0 || len <= mapping_most || !(flags & MAP_NORESERVE))
        return __real_mmap(at, len, protection, flags, fd, off);
    errno = ENOMEM;
    return MAP_FAILED;
}

int __real_open(const char *path, int oflags, ...);

int __wrap_open(const char *path, int oflags, ...);

int __wrap_open(const char *path, int oflags, ...)
{
    va_list rest;
    va_start(rest, oflags);
    unsigned mode =
        (oflags & O_CREAT) || (oflags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, unsigned) : 0;
    va_end(rest);
    if (no_tmpfile && (oflags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return __real_open(path, oflags, mode);
}

static void what_is_refused(void)
{
    static unsigned char memory[16384] __attribute__((aligned(16)));
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), none = {NULL}, at;
    const char *path = copy_path();
    kept_make(mem);
    CHECK_REFUSED(shmheap_copy(mem, NULL) == -1, EINVAL);
    CHECK_REFUSED(shmheap_copy(mem, "") == -1, EINVAL);
    CHECK_REFUSED(shmheap_copy(none, path) == -1, EINVAL);
    CHECK_REFUSED(shmheap_copy(mem, "/dev/shm/there is no such folder/copy") == -1, ENOENT);
    CHECK_REFUSED(shmheap_copy(mem, "/dev/shm") == -1, EEXIST);
    CHECK_REFUSED(shmheap_copy(mem, "/dev/null/copy") == -1, ENOTDIR);
    CHECK_EQ(shmheap_create_at(&at, memory, sizeof memory, NULL), 0);
    CHECK_REFUSED(shmheap_copy(at, path) == -1, ENOTSUP);
    shmheap_disconnect(at);
    check_absent(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && write(fd, "a text", 6) == 6 && close(fd) == 0);
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EEXIST);
    struct stat status;
    CHECK(stat(path, &status) == 0 && status.st_size == 6);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(symlink("nowhere", path), 0); /* not followed */
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EEXIST);
    CHECK_EQ(unlink(path), 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void a_full_disk_leaves_nothing_behind(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0), copy;
    const char *path = copy_path();
    kept_make(mem);
    pwrite_errno = ENOSPC;
    for (no_tmpfile = 0; no_tmpfile < 2; no_tmpfile++) {
        unsigned failures = 0;
        for (int k = 1;; k++, failures++) {
            pwrites_to_go = k;
            if (shmheap_copy(mem, path) == 0)
                break;
            CHECK_EQ(errno, ENOSPC);
            check_absent(path);
            CHECK_SOUND(mem);
        }
        pwrites_to_go = 0;
        CHECK_LE(3, failures); /* pages, control, magic at least */
        copy = open_copy(path, 0);
        CHECK_SOUND(copy);
        kept_check(copy);
        shmheap_destroy(path, copy);
    }
    no_tmpfile = 0;
    shmheap_disconnect(mem);
}

/* The library tests for memory before it writes to a file in memory, and before it puts pages
 * aside: the kernel kills a process that takes more than its control group has. */
static void too_little_memory_is_an_error_and_no_death(void)
{
    enum { LARGE = 1 << 20, SMALL_PARTS = 64 << 10 }; /* control and slots */
    shmheap_memory_handle mem = test_anonymous(LEN + 2 * LARGE, 0, 0), copy;
    const char *path = test_shm_path(test_name());
    kept_make(mem);
    test_fill(shmheap_alloc(mem, LARGE), LARGE, 1);
    int failures = 0;
    for (;; failures++) {
        questions_to_go = failures + 1;
        granted = written = 0;
        if (shmheap_copy(mem, path) == 0)
            break;
        CHECK(errno == ENOSPC || errno == ENOMEM);
        check_absent(path);
        CHECK_SOUND(mem);
    }
    questions_to_go = 0;
    CHECK_LE(2, failures);
    CHECK_LE(written, granted + SMALL_PARTS);
    copy = open_copy(path, 0);
    CHECK_SOUND(copy);
    kept_check(copy);
    shmheap_destroy(path, copy);
    shmheap_disconnect(mem);
}

static void limit_and_copy(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    const struct rlimit limit = {LEN / 2, LEN / 2};
    const char *path = copy_path();
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EFBIG);
    check_absent(path);
}

static void a_limit_of_file_sizes_is_an_error_and_no_signal(void)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    kept_make(mem);
    test_in_child(limit_and_copy, &mem);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* struct copier is what a child is to do. */
struct copier {
    shmheap_memory_handle mem;
    const char *path;
    int deadly, finished;
};

static void copy_and_die(void *context)
{
    struct copier *copier = context;
    pwrite_errno = 0;
    pwrites_to_go = copier->deadly;
    CHECK_EQ(shmheap_copy(copier->mem, copier->path), 0);
    copier->finished = 1;
    raise(SIGKILL);
}

/* At each of its writes: no file, or where there is no O_TMPFILE one that is no heap, and is
 * replaced. */
static void the_copier_is_killed(void)
{
    struct copier *copier = test_shared(sizeof *copier);
    copier->mem = test_anonymous(LEN, 0, 0);
    copier->path = copy_path();
    kept_make(copier->mem);
    const shmheap_options replace = {.len = 4096,
                                     .flags = SHMHEAP_FILE | SHMHEAP_CREATE | SHMHEAP_TAKE_OVER |
                                              SHMHEAP_EXCLUSIVE};
    for (no_tmpfile = 0; no_tmpfile < 2; no_tmpfile++) {
        copier->finished = 0;
        for (copier->deadly = 1;; copier->deadly++) {
            shmheap_memory_handle other;
            int status = test_wait(test_fork(copy_and_die, copier));
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
            CHECK_SOUND(copier->mem);
            if (copier->finished)
                break;
            if (!no_tmpfile) {
                check_absent(copier->path);
                continue;
            }
            CHECK_EQ(shmheap_open(&other, copier->path, &replace), 0);
            shmheap_destroy(copier->path, other);
        }
        CHECK_LE(4, copier->deadly);
        shmheap_memory_handle copy = open_copy(copier->path, 0);
        CHECK_SOUND(copy);
        kept_check(copy);
        shmheap_destroy(copier->path, copy);
    }
    no_tmpfile = 0;
    shmheap_disconnect(copier->mem);
    test_unshare(copier, sizeof *copier);
}

/* The copier searches a hole once in each pass over the heap, not once for each of its pages: in
 * the last pass it holds the lock. */
static void an_object_without_memory_costs_little(void)
{
    enum { HOLE = 1 << 30 };
    const char *path = copy_path();
    shmheap_memory_handle mem = test_anonymous_with(HOLE + LEN, 0, SHMHEAP_SPARSE);
    CHECK(shmheap_alloc(mem, HOLE) != NULL);
    seeks = 0;
    CHECK_EQ(shmheap_copy(mem, path), 0);
    CHECK(seeks > 0);
    CHECK_LE(seeks, 200);
    shmheap_disconnect(mem);
}

/* All of a large object changes whenever the copier writes: more pages, each time, than it has room
 * for while it holds the lock, where the kernel refuses it more addresses. */
static void a_heap_that_changes_too_fast(void)
{
    const char *path = test_path();
    shmheap_memory_handle mem = test_anonymous(32 << 20, 0, 0);
    changing_len = 24 << 20;
    changing = shmheap_alloc(mem, changing_len);
    CHECK(changing != NULL);
    mapping_most = 4 << 20;
    CHECK_REFUSED(shmheap_copy(mem, path) == -1, EAGAIN);
    CHECK_REFUSED(access(path, F_OK) == -1, ENOENT);
    mapping_most = 0;
    CHECK_EQ(shmheap_copy(mem, path), 0);
    changing = NULL;
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(what_is_refused),
                                    TEST(a_full_disk_leaves_nothing_behind),
                                    TEST(too_little_memory_is_an_error_and_no_death),
                                    TEST(a_limit_of_file_sizes_is_an_error_and_no_signal),
                                    TEST(the_copier_is_killed),
                                    TEST(an_object_without_memory_costs_little),
                                    TEST(a_heap_that_changes_too_fast)};
TEST_MAIN(tests)
