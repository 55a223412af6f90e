/* New memory of a large heap is filled with huge pages: which ones, for how long, and what ends it.
 * The kernel's part is a model here; huge_pages_test has the real one.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>

#include "c/src/base/kernel.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { HUGE_PAGE = 2 << 20, LEN = 32 << 20, TRIES = 100, MAKE_NS = 1000000, GROW_NS = 250000 };

static struct {
    int bytes_error, pages_error; /* errno of each call; 0: it succeeds */
    unsigned interrupted;         /* EINTR, so many times before each byte is reserved */
    long page_ns;                 /* what one huge page takes; nothing else takes time */
    unsigned bytes;               /* calls that reserve one byte, to collapse from */
    unsigned in_row;              /* how many such calls failed since one succeeded */
    int has_byte;                 /* one succeeded since the last huge page */
    uint64_t byte_at;             /* its offset */
    unsigned filled, touched;     /* huge pages requested with a byte before, and without */
    uint64_t first, next;         /* offsets of the first filled one, and behind the last */
    char *base;                   /* where offset 0 of the filled ones is mapped */
} kernel;

int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    if (mode != 0 || len != 1)
        return __real_fallocate(fd, mode, from, len);
    kernel.bytes++;
    if (kernel.bytes_error != 0 || kernel.in_row < kernel.interrupted) {
        kernel.in_row++;
        errno = kernel.bytes_error != 0 ? kernel.bytes_error : EINTR;
        return -1;
    }
    kernel.in_row = 0;
    kernel.has_byte = 1;
    kernel.byte_at = (uint64_t)from;
    return __real_fallocate(fd, mode, from, len);
}

int __real_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice);
int __wrap_madvise(void *at, size_t len, int advice)
{
    if (advice != MADV_COLLAPSE)
        return __real_madvise(at, len, advice);
    int result = kernel.pages_error != 0 ? -1 : 0;
    errno = kernel.pages_error;
    if (len != HUGE_PAGE)
        return result; /* the whole segment, once it is mapped: huge_request */
    wrap_clock.tv_nsec += kernel.page_ns;
    wrap_clock.tv_sec += wrap_clock.tv_nsec / 1000000000;
    wrap_clock.tv_nsec %= 1000000000;
    CHECK_EQ((uintptr_t)at % HUGE_PAGE, 0);
    if (!kernel.has_byte) {
        kernel.touched++;
        return result;
    }
    if (kernel.filled++ == 0) {
        kernel.first = kernel.next = kernel.byte_at;
        kernel.base = (char *)at - kernel.byte_at;
    }
    CHECK_EQ(kernel.byte_at, kernel.next);
    CHECK_PTR(at, kernel.base + kernel.byte_at);
    kernel.has_byte = 0;
    kernel.next += HUGE_PAGE;
    return result;
}

static shmheap_memory_handle made(size_t len, unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = {
        .len = len, .max_len = 2 * len, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    wrap_clock_stop();
    errno = 0;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK_EQ(errno, 0);
    CHECK(kernel.filled == 0 || (unsigned char *)kernel.base == mem.heap->base);
    return mem;
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

static void as_long_as_the_limit_says(void)
{
    kernel.page_ns = 2 * MAKE_NS;
    shmheap_memory_handle mem = made(LEN, 0);
    CHECK_EQ(kernel.filled, (pages_of(mem) + 1) / 2);
    end(mem);
    kernel.page_ns = 100 * MAKE_NS;
    mem = made(LEN, 0);
    CHECK_EQ(kernel.filled, 1);
    end(mem);
    kernel.page_ns = 100 * MAKE_NS;
    mem = made(LEN, SHMHEAP_HUGE_PAGES);
    CHECK_EQ(kernel.filled, pages_of(mem));
    end(mem);
}

static void growth_has_a_shorter_limit(void)
{
    shmheap_memory_handle mem = made(LEN, 0);
    uint64_t from = end_of_pages(mem);
    memset(&kernel, 0, sizeof kernel);
    kernel.page_ns = 2 * GROW_NS;
    void *object = shmheap_alloc(mem, LEN + LEN / 2);
    CHECK(object != NULL);
    CHECK_EQ(test_stat(mem).grows, 1);
    CHECK((unsigned char *)kernel.base == mem.heap->base);
    CHECK_LE(kernel.first - from, HUGE_PAGE);
    unsigned pages = (unsigned)((end_of_pages(mem) - kernel.first) / HUGE_PAGE);
    CHECK_LE(LEN / HUGE_PAGE / 4, pages);
    CHECK_EQ(kernel.filled, (pages + 1) / 2);
    shmheap_free(mem, object);
    end(mem);
}

/* Large is what has 16 MiB, with what it may grow to. */
static void a_small_heap_gets_none_unasked(void)
{
    shmheap_memory_handle mem = made(LEN / 8, 0);
    CHECK_EQ(kernel.bytes, 0);
    end(mem);
    mem = made(LEN / 8, SHMHEAP_HUGE_PAGES);
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

/* Allocations request what the filling left out, each huge page once, until the kernel cannot. */
static void allocations_request_the_rest(void)
{
    enum { OBJECT = HUGE_PAGE / 8 };
    for (int cannot = 0; cannot < 2; cannot++) {
        kernel.page_ns = 2 * MAKE_NS;
        shmheap_memory_handle mem = made(LEN, 0);
        unsigned rest = pages_of(mem) - kernel.filled;
        memset(&kernel, 0, sizeof kernel);
        kernel.pages_error = cannot ? EINVAL : EAGAIN;
        for (uint64_t bytes = 0; bytes + 2 * OBJECT < test_stat(mem).len; bytes += OBJECT)
            CHECK(shmheap_alloc(mem, OBJECT - 100) != NULL);
        CHECK_EQ(test_stat(mem).grows, 0);
        CHECK_EQ(kernel.touched, cannot ? 1 : rest);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
        memset(&kernel, 0, sizeof kernel);
    }
}

static const struct test tests[] = {TEST(each_whole_page_of_the_region_once),
                                    TEST(as_long_as_the_limit_says),
                                    TEST(growth_has_a_shorter_limit),
                                    TEST(a_small_heap_gets_none_unasked),
                                    TEST(a_sparse_heap_gets_none),
                                    TEST(what_the_kernel_refuses_ends_it),
                                    TEST(allocations_request_the_rest)};
TEST_MAIN(tests)
