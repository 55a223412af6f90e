/* A process with a limit on the length of files (ulimit -f, LimitFSIZE=): the kernel ends a process
 * that makes a file longer by SIGXFSZ, so the library must not try.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1 << 20, LIMIT = 8 << 20, LARGE = 64 << 20, OBJECT = 64 << 10, CONNECTIONS = 40 };

static void limit_to(uint64_t bytes)
{
    struct rlimit limit = {(rlim_t)bytes, RLIM_INFINITY};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static uint64_t file_len(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return (uint64_t)status.st_size;
}

/* Refused, with no name left; then the same with a length that is allowed. */
static void create_one(const char *name, const char *path, unsigned flags)
{
    shmheap_options options = {.len = LARGE, .flags = flags | SHMHEAP_CREATE};
    shmheap_memory_handle mem;
    struct stat status;
    limit_to(LIMIT);
    CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, EFBIG);
    CHECK(path == NULL || stat(path, &status) != 0);
    options.len = LEN;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_SOUND(mem);
    shmheap_destroy(name, mem);
}

static void creates(void *context)
{
    static const unsigned kinds[] = {0, SHMHEAP_SPARSE, SHMHEAP_HUGE_PAGES, SHMHEAP_CACHED};
    (void)context;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const char *name = test_name(), *path = test_path();
        create_one(name, test_shm_path(name), kinds[i]);
        create_one(path, path, kinds[i] | SHMHEAP_FILE);
        create_one(NULL, NULL, kinds[i] | SHMHEAP_ANONYMOUS);
    }
}

static void creating(void) { test_in_child(creates, NULL); }

static void grows(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    void *objects[LARGE / OBJECT];
    size_t count = 0;
    limit_to(LIMIT);
    errno = 0;
    while ((objects[count] = shmheap_alloc(mem, OBJECT)) != NULL)
        test_fill(objects[count], OBJECT, count), count++;
    CHECK_EQ(errno, ENOMEM);
    CHECK(test_stat(mem).grows > 0);
    CHECK(test_stat(mem).len > LIMIT / 2); /* it came near the limit */
    CHECK_LE(file_len(mem), LIMIT);
    CHECK_REFUSED(shmheap_alloc(mem, LARGE / 2) == NULL, ENOMEM);
    CHECK_SOUND(mem);
    for (size_t i = 0; i < count; i++)
        CHECK(test_filled(objects[i], OBJECT, i));
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
}

static void grow_one(unsigned flags)
{
    shmheap_options options = {.len = LEN, .max_len = LARGE, .flags = flags | SHMHEAP_CREATE};
    const char *path = test_path();
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, flags & SHMHEAP_FILE ? path : NULL, &options), 0);
    test_in_child(grows, &mem);
    CHECK(shmheap_alloc(mem, LARGE / 2) != NULL); /* a process without the limit goes on */
    CHECK_SOUND(mem);
    shmheap_destroy(flags & SHMHEAP_FILE ? path : NULL, mem);
}

static void growing(void)
{
    grow_one(SHMHEAP_ANONYMOUS);
    grow_one(SHMHEAP_ANONYMOUS | SHMHEAP_SPARSE);
    grow_one(SHMHEAP_ANONYMOUS | SHMHEAP_HUGE_PAGES);
    grow_one(SHMHEAP_FILE);
}

/* At each limit, also inside a page: the file becomes longer by whole pages. */
static void creates_and_grows_at_limits(void *context)
{
    const shmheap_options options = {
        .len = 5000, .max_len = 200000, .flags = SHMHEAP_CREATE | *(const unsigned *)context};
    for (uint64_t limit = 4000; limit < 200000; limit += 1031) {
        shmheap_memory_handle mem;
        const char *path = *(const unsigned *)context & SHMHEAP_FILE ? test_path() : NULL;
        limit_to(limit);
        if (shmheap_open(&mem, path, &options) != 0) {
            CHECK(errno == EFBIG && limit < 20000);
            continue;
        }
        errno = 0;
        while (shmheap_alloc(mem, 1000) != NULL)
            continue;
        CHECK_EQ(errno, ENOMEM);
        CHECK_LE(file_len(mem), limit);
        CHECK_SOUND(mem);
        limit_to(RLIM_INFINITY);
        shmheap_destroy(path, mem);
    }
}

static void limits_inside_a_page(void)
{
    static const unsigned kinds[] = {SHMHEAP_ANONYMOUS, SHMHEAP_ANONYMOUS | SHMHEAP_SPARSE,
                                     SHMHEAP_ANONYMOUS | SHMHEAP_HUGE_PAGES, SHMHEAP_FILE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        test_in_child(creates_and_grows_at_limits, (void *)(uintptr_t)(kinds + i));
}

/* The table of slots lies behind the region, and becomes longer. */
static void connects(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context, more;
    unsigned count = 0;
    CHECK(shmheap_alloc(mem, 100) != NULL); /* takes a slot */
    limit_to(file_len(mem));
    while (count < CONNECTIONS && shmheap_open_fd(&more, shmheap_fd(mem), NULL) == 0)
        count++;
    CHECK_EQ(errno, EAGAIN);
    CHECK(count > 0 && count < CONNECTIONS);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK_SOUND(mem);
}

static void connecting(void)
{
    static const unsigned kinds[] = {0, SHMHEAP_SPARSE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        shmheap_options options = {.len = OBJECT, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
        options.flags |= kinds[i];
        shmheap_memory_handle mem;
        CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
        test_in_child(connects, &mem);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* The copy of a heap that may grow is as long as the heap is, not as it may become. */
static void copies(void *context)
{
    const shmheap_options options = {
        .len = 1 << 20, .max_len = 64 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mem, copy;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    limit_to(file_len(mem));
    CHECK_EQ(shmheap_copy(mem, context), 0);
    limit_to(file_len(mem) / 2);
    CHECK_REFUSED(shmheap_copy(mem, "elsewhere") == -1, EFBIG);
    limit_to(RLIM_INFINITY);
    CHECK_EQ(access("elsewhere", F_OK), -1);
    const shmheap_options connect = {.flags = SHMHEAP_FILE};
    CHECK_EQ(shmheap_open(&copy, context, &connect), 0);
    CHECK_EQ(test_stat(copy).used_blocks, 1);
    CHECK_SOUND(copy);
    shmheap_destroy(context, copy);
    shmheap_disconnect(mem);
}

static void copying(void)
{
    const char *path = test_path();
    test_in_child(copies, (void *)(uintptr_t)path);
}

/* Returns the bytes that the text of the last failure says the file needs. */
static uint64_t bytes_needed(void)
{
    unsigned long long bytes = 0;
    const char *at = strstr(shmheap_error_text(), "the file needs ");
    CHECK(at != NULL && sscanf(at, "the file needs %llu bytes", &bytes) == 1);
    return bytes;
}

/* struct copied is a heap, filled, with this many connections, and where its copy goes. */
struct copied {
    size_t len, max_len;
    unsigned connections;
    const char *path;
};

/* Whatever the limit, the text has the length of the whole copy. The copy fits under that limit,
 * and not under a lower one. */
static void copies_at_the_limit_named(void *context)
{
    const struct copied *copied = context;
    const shmheap_options options = {.len = copied->len,
                                     .max_len = copied->max_len,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    shmheap_memory_handle mem, more;
    struct stat status;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    for (unsigned i = 0; i < copied->connections; i++)
        CHECK_EQ(shmheap_open_fd(&more, shmheap_fd(mem), NULL), 0);
    size_t largest = copied->len - 80;
    char *object = shmheap_alloc(mem, largest);
    CHECK(object != NULL);
    test_fill(object, largest, 3);
    limit_to(100);
    CHECK_REFUSED(shmheap_copy(mem, copied->path) == -1, EFBIG);
    uint64_t needed = bytes_needed();
    const uint64_t limits[] = {4096, copied->len / 2, copied->len, needed - 1};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        limit_to(limits[i]);
        CHECK_REFUSED(shmheap_copy(mem, copied->path) == -1, EFBIG);
        CHECK_EQ(bytes_needed(), needed);
    }
    limit_to(needed);
    CHECK_EQ(shmheap_copy(mem, copied->path), 0);
    CHECK_EQ(stat(copied->path, &status), 0);
    CHECK_EQ((uint64_t)status.st_size, needed);
    const shmheap_options connect = {.flags = SHMHEAP_FILE | SHMHEAP_READ_ONLY};
    CHECK_EQ(shmheap_open(&more, copied->path, &connect), 0);
    CHECK_SOUND(more);
    CHECK(test_filled((char *)shmheap_underlying(more) + test_offset(mem, object), largest, 3));
}

static void copying_names_the_whole_length(void)
{
    struct copied kinds[] = {
        {8 << 20, 0, 0, NULL},
        {100001, 0, 0, NULL}, /* ends inside a page */
        {100001, 1 << 20, 0, NULL},
        {OBJECT, 0, CONNECTIONS, NULL}, /* the table of slots has become longer */
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        kinds[i].path = test_path();
        test_in_child(copies_at_the_limit_named, &kinds[i]);
    }
}

static const struct test tests[] = {
    TEST(creating),   TEST(growing), TEST(limits_inside_a_page),
    TEST(connecting), TEST(copying), TEST(copying_names_the_whole_length)};
TEST_MAIN(tests)
