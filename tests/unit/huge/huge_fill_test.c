/* New memory of a large heap is filled with huge pages: which ones, for how long, and what ends it.
 * The kernel's part is the model of huge_kernel.h; huge_pages_test has the real one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "c/src/segment/connection.h"
#include "c/src/segment/huge.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"
#include "tests/unit/huge/huge_kernel.h"

enum { LEN = 32 << 20, TRIES = 100, MAKE_NS = 1000000, GROW_NS = 250000 };

static shmheap_memory_handle made_of(size_t len, size_t max_len, unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = {
        .len = len, .max_len = max_len, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    wrap_clock_stop();
    errno = 0;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK_EQ(errno, 0);
    CHECK(kernel.filled == 0 || (unsigned char *)kernel.base == mem.heap->base);
    return mem;
}

static shmheap_memory_handle made(size_t len, unsigned flags)
{
    return made_of(len, 2 * len, flags);
}

/* The heap works, whatever the kernel said. */
static void end(shmheap_memory_handle mem)
{
    size_t len = test_stat(mem).len / 2;
    char *object = shmheap_alloc(mem, len);
    CHECK(object != NULL);
    test_fill(object, len, 1);
    CHECK(test_filled(object, len, 1));
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    memset(&kernel, 0, sizeof kernel);
}

/* Offsets of the region's first whole huge page, and behind its last. */
static uint64_t first_page(shmheap_memory_handle mem)
{
    return (mem.heap->layout.region_off + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

static uint64_t end_of_pages(shmheap_memory_handle mem)
{
    return (mem.heap->layout.region_off + test_stat(mem).len) / HUGE_PAGE * HUGE_PAGE;
}

static unsigned pages_of(shmheap_memory_handle mem)
{
    return (unsigned)((end_of_pages(mem) - first_page(mem)) / HUGE_PAGE);
}

static void each_whole_page_of_the_region_once(void)
{
    for (unsigned signals = 0; signals < TRIES; signals += TRIES - 1) {
        kernel.interrupted = signals;
        shmheap_memory_handle mem = made(LEN, 0);
        CHECK_EQ(kernel.filled, pages_of(mem));
        CHECK_EQ(kernel.bytes, pages_of(mem) * (signals + 1));
        CHECK_EQ(kernel.first, first_page(mem));
        CHECK_EQ(kernel.next, end_of_pages(mem));
        end(mem);
    }
}

/* What the heap needs is reserved, the part in huge pages too, and nothing twice. */
static void each_byte_is_reserved_once(void)
{
    shmheap_memory_handle mem = made_of(LEN, LEN, 0);
    CHECK_EQ(kernel.first, 0); /* one range, from the file's first byte on */
    CHECK_EQ(kernel.next, end_of_pages(mem));
    CHECK_EQ(kernel.reserved, mem.heap->layout.segment_len);
    end(mem);
    struct stat file;
    mem = made(LEN, 0); /* several ranges */
    CHECK_EQ(fstat(shmheap_fd(mem), &file), 0);
    CHECK_EQ(kernel.reserved, (uint64_t)file.st_blocks * 512);
    end(mem);
}

/* Bytes of a region that ends where a huge page ends, in a heap that grows to max_len. */
static size_t exact_len(size_t len, size_t max_len)
{
    shmheap_memory_handle mem = made_of(len, max_len, 0);
    size_t exact = (size_t)(end_of_pages(mem) - mem.heap->layout.region_off);
    end(mem);
    return exact;
}

static void a_page_that_ends_with_the_region(void)
{
    size_t len = exact_len(LEN, 2 * LEN);
    shmheap_memory_handle mem = made_of(len, 2 * LEN, 0);
    CHECK_EQ(test_stat(mem).len, len);
    CHECK_EQ(end_of_pages(mem), mem.heap->layout.region_off + len);
    CHECK_EQ(kernel.next, end_of_pages(mem));
    end(mem);
    len = exact_len(2 * HUGE_PAGE, 4 * HUGE_PAGE);
    mem = made_of(len, 4 * HUGE_PAGE, SHMHEAP_HUGE_PAGES);
    CHECK_EQ(pages_of(mem), 1);
    CHECK_EQ(kernel.filled, 1);
    end(mem);
}

/* The limit is a time for each page: where a page takes two, half of them get filled, of an odd
 * number one more. A page that begins within the limit may end after it. */
static void as_long_as_the_limit_says(void)
{
    for (size_t len = LEN; len <= LEN + HUGE_PAGE; len += HUGE_PAGE) {
        kernel.page_ns = 2 * MAKE_NS;
        shmheap_memory_handle mem = made_of(len, 3 * LEN, 0);
        CHECK_EQ(kernel.filled, (pages_of(mem) + 1) / 2);
        end(mem);
        kernel.page_ns = 2 * MAKE_NS - 2;
        mem = made_of(len, 3 * LEN, 0);
        CHECK_EQ(kernel.filled, pages_of(mem) / 2 + 1);
        end(mem);
    }
    kernel.page_ns = 100 * MAKE_NS;
    shmheap_memory_handle mem = made(LEN, 0);
    CHECK_EQ(kernel.filled, 1);
    end(mem);
    kernel.page_ns = 100 * MAKE_NS;
    mem = made(LEN, SHMHEAP_HUGE_PAGES);
    CHECK_EQ(kernel.filled, pages_of(mem));
    end(mem);
}

/* Makes the heap grow by an object of len bytes that does not stay. What the kernel noted before is
 * forgotten. Returns the number of whole huge pages in the memory that the heap has in addition. */
static unsigned grown(shmheap_memory_handle mem, size_t len, long page_ns)
{
    uint64_t from = mem.heap->layout.region_off + test_stat(mem).len;
    memset(&kernel, 0, sizeof kernel);
    kernel.page_ns = page_ns;
    void *object = shmheap_alloc(mem, len);
    CHECK(object != NULL);
    CHECK_EQ(test_stat(mem).grows, 1);
    CHECK(kernel.filled == 0 || (unsigned char *)kernel.base == mem.heap->base);
    shmheap_free(mem, object);
    return (unsigned)((end_of_pages(mem) - (from + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE) /
                      HUGE_PAGE);
}

static void growth_has_a_shorter_limit(void)
{
    for (size_t len = 3 * LEN / 2; len <= 3 * LEN / 2 + HUGE_PAGE; len += HUGE_PAGE) {
        shmheap_memory_handle mem = made(LEN, 0);
        uint64_t from = end_of_pages(mem);
        unsigned pages = grown(mem, len, 2 * GROW_NS);
        CHECK_LE(LEN / HUGE_PAGE / 4, pages);
        CHECK_LE(kernel.first - from, HUGE_PAGE);
        CHECK_EQ(kernel.filled, (pages + 1) / 2);
        end(mem);
        mem = made(LEN, 0);
        pages = grown(mem, len, 2 * GROW_NS - 2);
        CHECK_EQ(kernel.filled, pages / 2 + 1);
        end(mem);
    }
}

/* Large is what has 16 MiB, with what it may grow to and the index. */
static void a_small_heap_gets_none_unasked(void)
{
    static const size_t small[] = {LEN / 8, 15 * LEN / 64};
    for (size_t i = 0; i < 2; i++) {
        shmheap_memory_handle mem = made(small[i], 0), other;
        CHECK_LE(mem.heap->layout.segment_len, LEN / 2);
        CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
        CHECK(shmheap_alloc(other, small[i] / 2) != NULL);
        CHECK(shmheap_alloc(mem, small[i] / 4) != NULL);
        CHECK_EQ(kernel.bytes, 0);
        CHECK_EQ(kernel.touched, 0);
        shmheap_disconnect(other);
        shmheap_disconnect(mem);
    }
    shmheap_memory_handle mem = made(LEN / 8, SHMHEAP_HUGE_PAGES);
    CHECK_EQ(kernel.filled, pages_of(mem));
    end(mem);
    mem = made(LEN / 4, 0);
    CHECK_EQ(kernel.filled, pages_of(mem));
    end(mem);
}

static void a_sparse_heap_gets_none(void)
{
    shmheap_memory_handle mem = made(LEN, SHMHEAP_SPARSE), other;
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    CHECK(shmheap_alloc(other, LEN / 2) != NULL);
    CHECK_EQ(kernel.bytes, 0);
    CHECK_EQ(kernel.touched, 0);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

/* The first refusal ends it. Interruptions are tried again, but not without end. */
static void what_the_kernel_refuses_ends_it(void)
{
    kernel.bytes_error = EINTR;
    shmheap_memory_handle mem = made(LEN, 0);
    CHECK_EQ(kernel.bytes, TRIES);
    CHECK_EQ(kernel.filled, 0);
    end(mem);
    kernel.bytes_error = ENOSPC;
    mem = made(LEN, 0);
    CHECK_EQ(kernel.bytes, 1);
    CHECK_EQ(kernel.filled, 0);
    end(mem);
    for (int flags = 0; flags <= (int)SHMHEAP_HUGE_PAGES; flags += SHMHEAP_HUGE_PAGES) {
        kernel.pages_error = EAGAIN;
        mem = made(LEN, (unsigned)flags);
        CHECK_EQ(kernel.bytes, 1);
        CHECK_EQ(kernel.filled, 1);
        end(mem);
    }
}

/* Makes objects until the empty heap is nearly full. */
static void use_all(shmheap_memory_handle mem)
{
    enum { OBJECT = HUGE_PAGE / 8 };
    uint64_t grows = test_stat(mem).grows;
    for (uint64_t bytes = 0; bytes + 2 * OBJECT < test_stat(mem).len; bytes += OBJECT)
        CHECK(shmheap_alloc(mem, OBJECT - 100) != NULL);
    CHECK_EQ(test_stat(mem).grows, grows);
    CHECK_SOUND(mem);
}

/* Allocations request what the filling left out, each huge page once, until the kernel cannot. */
static void allocations_request_the_rest(void)
{
    static const struct {
        int pages_error, before; /* errno of the requests, and before */
        int once;                /* no request after the first one */
    } cases[] = {{EAGAIN, 0, 0}, {0, EINVAL, 0}, {EINVAL, 0, 1}};
    size_t exact = exact_len(LEN, 2 * LEN);
    for (size_t i = 0; i < 3; i++) {
        kernel.page_ns = 2 * MAKE_NS;
        shmheap_memory_handle mem = made_of(exact, 2 * LEN, 0);
        unsigned rest = pages_of(mem) - kernel.filled;
        memset(&kernel, 0, sizeof kernel);
        kernel.pages_error = cases[i].pages_error;
        errno = cases[i].before;
        use_all(mem);
        CHECK_EQ(errno, cases[i].before);
        CHECK_EQ(kernel.touched, cases[i].once ? 1 : rest);
        shmheap_disconnect(mem);
        memset(&kernel, 0, sizeof kernel);
    }
}

/* A heap so large that its index has huge pages too: nothing of the region is left out. */
static void allocations_request_nothing_that_is_filled(void)
{
    kernel.is_vast = 1;
    shmheap_memory_handle mem = made(16 * LEN, 0);
    CHECK_LE(pages_of(mem) + 1, kernel.filled);
    CHECK(shmheap_alloc(mem, LEN) != NULL);
    CHECK(shmheap_alloc(mem, LEN) != NULL);
    CHECK_EQ(kernel.touched, 0);
    shmheap_disconnect(mem);
    memset(&kernel, 0, sizeof kernel);
}

/* What was left out before is still requested once the heap has grown. */
static void growth_forgets_no_rest(void)
{
    kernel.page_ns = 100 * MAKE_NS;
    shmheap_memory_handle mem = made(LEN, 0);
    CHECK_EQ(kernel.filled, 1);
    unsigned pages = grown(mem, 3 * LEN / 2, 0);
    CHECK_EQ(kernel.filled, pages);
    CHECK_EQ(kernel.touched, 0);
    use_all(mem);
    CHECK_EQ(kernel.touched, pages_of(mem) - 1);
    shmheap_disconnect(mem);
    memset(&kernel, 0, sizeof kernel);
}

/* A kernel that could not may be able to when the heap grows: its policy may have changed. */
static void growth_requests_anew(void)
{
    kernel.pages_error = EINVAL;
    shmheap_memory_handle mem = made(LEN, 0);
    void *first = shmheap_alloc(mem, LEN / 2), *second = shmheap_alloc(mem, LEN / 4);
    CHECK(first != NULL && second != NULL);
    CHECK_EQ(kernel.touched, 1);
    shmheap_free(mem, first);
    shmheap_free(mem, second);
    unsigned pages = grown(mem, 3 * LEN / 2, 100 * GROW_NS);
    CHECK_EQ(kernel.filled, 1);
    use_all(mem);
    CHECK_EQ(kernel.touched, pages - 1);
    shmheap_disconnect(mem);
    memset(&kernel, 0, sizeof kernel);
}

/* SHMHEAP_HUGE_PAGES requests huge pages for the whole heap as well, except where this would fill
 * holes: in a sparse heap, and in a file on a disk that is shorter than its heap may grow. */
static void a_request_is_for_the_whole_heap(void)
{
    static const struct {
        unsigned flags;
        int on_disk;
        size_t max_len;
        unsigned advised;
        int collapsed;
    } cases[] = {
        {SHMHEAP_HUGE_PAGES, 0, LEN, 1, 1},
        {SHMHEAP_HUGE_PAGES, 0, 2 * LEN, 1, 1},
        {SHMHEAP_HUGE_PAGES, 1, LEN, 1, 1},
        {SHMHEAP_HUGE_PAGES, 1, 2 * LEN, 0, 0},
        {SHMHEAP_HUGE_PAGES | SHMHEAP_SPARSE, 0, LEN, 1, 0},
        {SHMHEAP_HUGE_PAGES | SHMHEAP_SPARSE, 1, LEN, 0, 0},
        {0, 0, LEN, 0, 0},
        {0, 1, LEN, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kernel.on_disk = cases[i].on_disk;
        shmheap_memory_handle mem = made_of(LEN, cases[i].max_len, cases[i].flags);
        uint64_t pages = end_of_pages(mem);
        CHECK_EQ(kernel.advised, cases[i].advised);
        CHECK_EQ(kernel.collapsed, cases[i].collapsed ? pages : 0);
        kernel.pages_error = EAGAIN;
        errno = ENOENT;
        huge_request(mem.heap, mem.heap->layout.region_off + LEN);
        CHECK_EQ(errno, ENOENT);
        CHECK_EQ(kernel.collapsed, cases[i].collapsed ? 2 * pages : 0);
        shmheap_disconnect(mem);
        memset(&kernel, 0, sizeof kernel);
    }
}

static const struct test tests[] = {TEST(each_whole_page_of_the_region_once),
                                    TEST(each_byte_is_reserved_once),
                                    TEST(a_page_that_ends_with_the_region),
                                    TEST(as_long_as_the_limit_says),
                                    TEST(growth_has_a_shorter_limit),
                                    TEST(a_small_heap_gets_none_unasked),
                                    TEST(a_sparse_heap_gets_none),
                                    TEST(what_the_kernel_refuses_ends_it),
                                    TEST(allocations_request_the_rest),
                                    TEST(allocations_request_nothing_that_is_filled),
                                    TEST(growth_forgets_no_rest),
                                    TEST(growth_requests_anew),
                                    TEST(a_request_is_for_the_whole_heap)};
TEST_MAIN(tests)
