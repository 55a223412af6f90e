/* Lengths of heaps and of objects, also those that cannot be.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <unistd.h>

#include "tests/support/test.h"

/* A heap of that length under that name, in which an object of len - 80 bytes fits. */
static void check_len(const char *name, size_t len, size_t alignment)
{
    shmheap_options options = {
        .len = len, .alignment = alignment, .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE};
    shmheap_memory_handle mem;
    if (alignment == 0)
        mem = shmheap_create(name, len);
    else
        CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK(shmheap_valid(mem));
    shmheap_stats stats = test_stat(mem);
    CHECK_EQ(stats.len, len);
    CHECK_EQ(stats.alignment, alignment ? alignment : 16);
    CHECK(stats.largest_free >= len - 80);
    unsigned char *ptr = shmheap_alloc(mem, len - 80);
    CHECK(ptr != NULL);
    test_fill(ptr, len - 80, len);
    CHECK_SOUND(mem);
    CHECK(test_filled(ptr, len - 80, len));
    shmheap_free(mem, ptr);
    test_check_empty(mem);
    shmheap_destroy(name, mem);
}

static void an_object_of_len_minus_80_fits(void)
{
    if (!test_shm_has(200))
        return;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const char *name = test_name();
    for (size_t pages = 1; pages <= 64; pages++)
        for (size_t alignment = 0; alignment <= 16; alignment += 8)
            check_len(name, pages * page, alignment);
    for (size_t pages = 100; pages <= 40000; pages = pages * 3 + 1)
        check_len(name, pages * page, 0);
}

static void any_len_from_128_is_accepted(void)
{
    static const size_t lens[] = {3024,  4095,          4097,          65535,
                                  65537, (1 << 20) - 1, (1 << 20) + 3, (1 << 24) + 1};
    const char *name = test_name();
    for (size_t len = 128; len <= 512; len++)
        for (size_t alignment = 0; alignment <= 16; alignment += 8)
            check_len(name, len, alignment);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        for (size_t alignment = 0; alignment <= 16; alignment += 8)
            check_len(name, lens[i], alignment);
}

static void less_than_128_is_refused(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem;
    for (size_t len = 0; len < 128; len++) {
        CHECK_REFUSED(!shmheap_valid(shmheap_create(name, len)), EINVAL);
        shmheap_options options = {.len = len, .flags = SHMHEAP_CREATE};
        if (len > 0)
            CHECK_REFUSED(shmheap_open(&mem, name, &options) == -1, EINVAL);
    }
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
}

static void len_0_in_options_is_a_mebibyte(void)
{
    shmheap_memory_handle mem = test_anonymous(0, 0, 0);
    CHECK_EQ(test_stat(mem).len, 1 << 20);
    CHECK_EQ(test_stat(mem).max_len, 1 << 20);
    CHECK_EQ(test_stat(mem).alignment, 16);
    shmheap_disconnect(mem);
}

static void check_impossible_len(const char *name, size_t len)
{
    errno = 0;
    shmheap_memory_handle mem = shmheap_create(name, len);
    CHECK(!shmheap_valid(mem));
    CHECK(errno == ENOMEM || errno == EFBIG || errno == ENOSPC);
    shmheap_options options = {.len = 4096, .max_len = len, .flags = SHMHEAP_CREATE};
    if (len > SIZE_MAX / 2) {
        errno = 0;
        CHECK_EQ(shmheap_open(&mem, name, &options), -1);
        CHECK(errno == ENOMEM || errno == EFBIG);
    }
    /* Nothing was left under the name. */
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(name)), ENOENT);
}

static void impossible_lens_are_refused(void)
{
    const char *name = test_name();
    for (unsigned i = 0; i < 5000; i += i < 300 ? 1 : 97)
        check_impossible_len(name, SIZE_MAX - i);
    const unsigned bits = 8 * sizeof(size_t);
    for (unsigned bit = bits == 64 ? 46 : bits - 1; bit < bits; bit++)
        check_impossible_len(name, (size_t)1 << bit);
}

static void alloc_of_nothing_is_a_smallest_object(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        shmheap_memory_handle mem = test_anonymous(4096, 0, alignment);
        void *a = shmheap_alloc(mem, 0), *b = shmheap_alloc(mem, 0);
        CHECK(a != NULL && b != NULL && a != b);
        CHECK_EQ(shmheap_usable_size(mem, a), 8);
        CHECK_EQ((char *)b - (char *)a, 16);
        CHECK_EQ(shmheap_try_free(mem, a), 0);
        CHECK_EQ(shmheap_try_free(mem, b), 0);
        test_check_empty(mem);
        shmheap_disconnect(mem);
    }
}

/* Every call that takes a size refuses this one, and the heap is as it was. */
static void check_impossible_size(shmheap_memory_handle mem, void *object, size_t size)
{
    struct test_snapshot before = test_snapshot_take(mem);
    CHECK_REFUSED(shmheap_alloc(mem, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_realloc(mem, object, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_realloc(mem, NULL, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, 1, size) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, size, 1) == NULL, ENOMEM);
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2)
        CHECK_REFUSED(shmheap_aligned_alloc(mem, alignment, size) == NULL, ENOMEM);
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    CHECK(test_filled(object, 100, 1));
}

static void impossible_sizes_are_refused(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        shmheap_memory_handle mem = test_anonymous(4096, alignment == 8 ? 0 : 65536, alignment);
        void *object = shmheap_alloc(mem, 100);
        CHECK(object != NULL);
        test_fill(object, 100, 1);
        for (size_t i = 0; i < 5000; i += i < 64 ? 1 : 61)
            check_impossible_size(mem, object, SIZE_MAX - i);
        for (unsigned bit = 17; bit < 8 * sizeof(size_t); bit++)
            for (size_t i = 0; i < 33; i += 8)
                check_impossible_size(mem, object, ((size_t)1 << bit) - i);
        uint64_t failed = test_stat(mem).failed_allocs;
        CHECK_REFUSED(shmheap_alloc(mem, 65536) == NULL, ENOMEM);
        CHECK_EQ(test_stat(mem).failed_allocs, failed + 1);
        shmheap_free(mem, object);
        test_check_empty(mem);
        shmheap_disconnect(mem);
    }
}

static void calloc_zeroes_and_checks_its_product(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    size_t half = SIZE_MAX / 2 + 1, root = (size_t)1 << (sizeof(size_t) * 4);
    CHECK_REFUSED(shmheap_calloc(mem, half, 2) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, 2, half) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, root, root) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, root + 1, root) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, SIZE_MAX, SIZE_MAX) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_calloc(mem, SIZE_MAX, 3) == NULL, ENOMEM);
    CHECK(shmheap_calloc(mem, 0, 5) != NULL);
    CHECK(shmheap_calloc(mem, SIZE_MAX, 0) != NULL);
    unsigned char *used = shmheap_alloc(mem, 30000);
    CHECK(used != NULL);
    memset(used, 0xff, 30000);
    shmheap_free(mem, used);
    for (size_t size = 1; size < 300; size += 7) {
        unsigned char *zero = shmheap_calloc(mem, size, 3);
        CHECK(zero != NULL && zero < used + 30000);
        for (size_t i = 0; i < 3 * size; i++)
            CHECK_EQ(zero[i], 0);
    }
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void usable_size_is_at_least_what_was_asked(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        shmheap_memory_handle mem = test_anonymous(1 << 20, 0, alignment);
        for (size_t size = 0; size < 1000; size++) {
            char *ptr = shmheap_alloc(mem, size);
            size_t usable = shmheap_usable_size(mem, ptr);
            CHECK(ptr != NULL && usable >= size && usable >= 8);
            CHECK_LE(usable, (size < 8 ? 8 : size) + alignment - 1);
            CHECK_EQ((uintptr_t)ptr % alignment, 0);
            test_fill(ptr, usable, size);
        }
        errno = 0;
        CHECK_EQ(shmheap_usable_size(mem, NULL), 0);
        CHECK_EQ(errno, 0);
        CHECK_REFUSED(shmheap_usable_size(mem, &mem) == 0, EINVAL);
        CHECK_REFUSED(shmheap_usable_size(mem, (char *)shmheap_underlying(mem) + 17) == 0, EINVAL);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Filled to the last smallest block, whatever the length: less than a block remains. */
static void a_heap_can_be_filled_completely(void)
{
    for (size_t len = 128; len < 2000; len += 13)
        for (size_t alignment = 8; alignment <= 16; alignment += 8) {
            shmheap_memory_handle mem = test_anonymous(len, 0, alignment);
            while (shmheap_alloc(mem, 8) != NULL)
                continue;
            shmheap_stats stats = test_stat(mem);
            CHECK_EQ(stats.free_blocks, 0);
            CHECK_EQ(stats.free_bytes, 0);
            CHECK_EQ(stats.largest_free, 0);
            CHECK(stats.used_bytes + 8 + alignment > len);
            CHECK_EQ(stats.used_blocks, (len - 8) / 16);
            CHECK_SOUND(mem);
            shmheap_disconnect(mem);
        }
}

static const struct test tests[] = {TEST(an_object_of_len_minus_80_fits),
                                    TEST(any_len_from_128_is_accepted),
                                    TEST(less_than_128_is_refused),
                                    TEST(len_0_in_options_is_a_mebibyte),
                                    TEST(impossible_lens_are_refused),
                                    TEST(alloc_of_nothing_is_a_smallest_object),
                                    TEST(impossible_sizes_are_refused),
                                    TEST(calloc_zeroes_and_checks_its_product),
                                    TEST(usable_size_is_at_least_what_was_asked),
                                    TEST(a_heap_can_be_filled_completely)};
TEST_MAIN(tests)
