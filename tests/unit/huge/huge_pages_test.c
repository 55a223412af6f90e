/* Huge pages: the flag SHMHEAP_HUGE_PAGES, which is a wish, and large heaps, which have them
 * without it. All calls work on them as on other pages.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { HUGE_PAGE = 2 << 20, LEN = 8 << 20, LARGE = 32 << 20, OBJECTS = 300, OBJECT = 20000 };

static shmheap_memory_handle opened(const char *name, unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = {.len = LEN, .max_len = 2 * LEN, .flags = flags | SHMHEAP_HUGE_PAGES};
    if (!(flags & SHMHEAP_CREATE))
        options = (shmheap_options){.flags = flags | SHMHEAP_HUGE_PAGES};
    errno = 0;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_EQ(errno, 0);
    CHECK_EQ((uintptr_t)mem.heap->base % HUGE_PAGE, 0);
    return mem;
}

/* Objects that one connection writes and the other reads; the heap has to grow for them all. */
static void use(shmheap_memory_handle writer, shmheap_memory_handle reader)
{
    static void *objects[OBJECTS];
    uint64_t grows = test_stat(writer).grows;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = shmheap_alloc(writer, OBJECT);
        CHECK(objects[i] != NULL);
        test_fill(objects[i], OBJECT, i);
    }
    CHECK(shmheap_alloc(writer, test_stat(writer).len) != NULL);
    CHECK(test_stat(writer).grows > grows);
    for (size_t i = 0; i < OBJECTS; i++)
        CHECK(test_filled(shmheap_handle_to_ptr(reader, shmheap_ptr_to_handle(writer, objects[i])),
                          OBJECT, i));
    for (size_t i = 0; i < OBJECTS; i++)
        shmheap_free(writer, objects[i]);
    CHECK_SOUND(writer);
    CHECK_SOUND(reader);
}

static void try_out(const char *name, unsigned kind)
{
    shmheap_memory_handle writer = opened(name, kind | SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    shmheap_memory_handle reader = opened(name, (kind & SHMHEAP_FILE) | SHMHEAP_READ_ONLY);
    use(writer, reader);
    shmheap_disconnect(reader);
    shmheap_destroy(name, writer);
}

static void named_heap(void) { try_out(test_name(), 0); }
static void sparse_heap(void) { try_out(test_name(), SHMHEAP_SPARSE); }
static void heap_with_caches(void) { try_out(test_name(), SHMHEAP_CACHED); }
static void heap_in_a_file(void) { try_out(test_path(), SHMHEAP_FILE); }

static void heap_without_a_name(void)
{
    shmheap_memory_handle writer = opened(NULL, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS), reader;
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES};
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(writer), &options), 0);
    use(writer, reader);
    shmheap_disconnect(reader);
    shmheap_disconnect(writer);
}

/* Of the mapping at base, as the kernel counts them in /proc/self/smaps. */
static long kilobytes_in_huge_pages(const void *base)
{
    char line[512];
    unsigned long from, to;
    long kilobytes = 0, some;
    int inside = 0;
    FILE *smaps = fopen("/proc/self/smaps", "r");
    CHECK(smaps != NULL);
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = from == (uintptr_t)base;
        else if (inside && sscanf(line, "ShmemPmdMapped: %ld", &some) == 1)
            kilobytes += some;
    }
    fclose(smaps);
    return kilobytes;
}

/* Whether the kernel makes a huge page of a memory file on request: qemu-user only says so. */
static int kernel_has_huge_pages(void)
{
    int fd = memfd_create("probe", MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, 2 * HUGE_PAGE) == 0);
    char *room =
        mmap(NULL, 4 * HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(room != MAP_FAILED);
    char *at = room + (HUGE_PAGE - (uintptr_t)room % HUGE_PAGE) % HUGE_PAGE;
    CHECK(mmap(at, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at);
    at[0] = 1;
    int has = madvise(at, HUGE_PAGE, MADV_COLLAPSE) == 0 && kilobytes_in_huge_pages(at) != 0;
    CHECK(munmap(room, 4 * HUGE_PAGE) == 0 && close(fd) == 0);
    return has;
}

static shmheap_memory_handle large(unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = {
        .len = LARGE, .max_len = 4 * LARGE, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK_EQ((uintptr_t)mem.heap->base % HUGE_PAGE, 0);
    return mem;
}

static void a_large_heap_has_some_unasked(void)
{
    int expected = kernel_has_huge_pages();
    shmheap_memory_handle writer = large(0), reader;
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(writer), NULL), 0);
    use(writer, reader);
    if (expected && kernel_has_huge_pages()) { /* still */
        CHECK_LE(HUGE_PAGE / 1024, kilobytes_in_huge_pages(writer.heap->base));
        CHECK_LE(HUGE_PAGE / 1024, kilobytes_in_huge_pages(reader.heap->base));
    } else {
        puts("no huge pages for memory files here");
    }
    shmheap_disconnect(reader);
    shmheap_disconnect(writer);
}

static void allow_huge_pages(int allowed)
{
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, !allowed, 0, 0, 0), 0);
}

/* One by one, or all at once. */
static void get(shmheap_memory_handle mem, void **objects, int at_once)
{
    errno = 0;
    if (at_once)
        CHECK_EQ(shmheap_alloc_many(mem, OBJECT, OBJECTS, objects), OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        if (!at_once)
            objects[i] = shmheap_alloc(mem, OBJECT);
        CHECK(objects[i] != NULL);
        test_fill(objects[i], OBJECT, i);
    }
    CHECK_EQ(errno, 0);
}

static void memory_without_gets_them_when_it_is_used(void)
{
    static const struct {
        unsigned flags;
        int at_once;
    } ways[] = {{0, 0}, {0, 1}, {SHMHEAP_CACHED, 0}};
    static void *objects[3][OBJECTS];
    int expected = kernel_has_huge_pages();
    allow_huge_pages(0);
    shmheap_memory_handle maker = large(0), mems[3];
    allow_huge_pages(1);
    CHECK_EQ(kilobytes_in_huge_pages(maker.heap->base), 0);
    for (size_t i = 0; i < 3; i++) {
        shmheap_options options = {.flags = ways[i].flags};
        CHECK_EQ(shmheap_open_fd(&mems[i], shmheap_fd(maker), &options), 0);
        CHECK_EQ(kilobytes_in_huge_pages(mems[i].heap->base), 0);
        get(mems[i], objects[i], ways[i].at_once);
    }
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < OBJECTS; k++)
            CHECK(test_filled(
                shmheap_handle_to_ptr(maker, shmheap_ptr_to_handle(mems[i], objects[i][k])), OBJECT,
                k));
        if (expected && kernel_has_huge_pages())
            CHECK_LE(HUGE_PAGE / 1024, kilobytes_in_huge_pages(mems[i].heap->base));
    }
    CHECK_SOUND(maker);
    for (size_t i = 0; i < 3; i++)
        shmheap_disconnect(mems[i]);
    shmheap_disconnect(maker);
}

static void a_refused_request_is_no_error(void)
{
    static void *objects[OBJECTS];
    allow_huge_pages(0);
    shmheap_memory_handle mem = large(0);
    get(mem, objects, 0);
    CHECK_EQ(kilobytes_in_huge_pages(mem.heap->base), 0);
    allow_huge_pages(1);
    shmheap_disconnect(mem);
}

static long blocks_of(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return (long)status.st_blocks;
}

static void a_sparse_one_is_not_filled(void)
{
    shmheap_memory_handle mem = large(SHMHEAP_SPARSE);
    CHECK(shmheap_alloc(mem, 1) != NULL);
    CHECK_LE(blocks_of(mem), LARGE / 512 / 2);
    shmheap_disconnect(mem);
}

/* The file may become long enough for some of what the heap would have to grow by, not for all. */
static void growth_that_fails_gives_back_what_it_took(void)
{
    shmheap_memory_handle mem = large(0);
    struct rlimit old, limit;
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    limit.rlim_cur = (rlim_t)status.st_size + LARGE;
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR && setrlimit(RLIMIT_FSIZE, &limit) == 0);
    long before = blocks_of(mem);
    CHECK_REFUSED(shmheap_alloc(mem, 3 * LARGE - 200) == NULL, ENOMEM);
    CHECK_LE(blocks_of(mem) - before, 3 * LARGE / 512 / 25); /* of the index */
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK(shmheap_alloc(mem, 3 * LARGE - 200) != NULL);
    CHECK_EQ(test_stat(mem).grows, 1);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(named_heap),
                                    TEST(sparse_heap),
                                    TEST(heap_with_caches),
                                    TEST(heap_in_a_file),
                                    TEST(heap_without_a_name),
                                    TEST(a_large_heap_has_some_unasked),
                                    TEST(memory_without_gets_them_when_it_is_used),
                                    TEST(a_refused_request_is_no_error),
                                    TEST(a_sparse_one_is_not_filled),
                                    TEST(growth_that_fails_gives_back_what_it_took)};
TEST_MAIN(tests)
