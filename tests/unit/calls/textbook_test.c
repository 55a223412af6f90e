/* On a heap of alignment 8 offsets can be predicted with pencil and paper.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

static uint64_t offset_of_new(shmheap_memory_handle mem, size_t len)
{
    void *ptr = shmheap_alloc(mem, len);
    CHECK(ptr != NULL);
    return test_offset(mem, ptr);
}

/* 80, 120 and 56 bytes, the second freed, 64, then 72: with a header of 8 bytes before each.
 *   [8:80][8:120][8:56] ...  =>  [8:80][ free 128 ][8:56] ...
 *                            =>  [8:80][8:64][ free 56 ][8:56][8:72] ... */
static void offsets_are_those_of_the_textbook(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 8);
    uint64_t a = offset_of_new(mem, 80);
    CHECK_EQ(a, 16);
    CHECK_LE(a, 80);
    uint64_t b = offset_of_new(mem, 120);
    CHECK_EQ(b, a + 80 + 8);
    uint64_t c = offset_of_new(mem, 56);
    CHECK_EQ(c, b + 120 + 8);
    shmheap_free(mem, (char *)shmheap_underlying(mem) + b);
    CHECK_EQ(offset_of_new(mem, 64), b);
    /* 128 - 72 = 56 bytes remain there, and 72 need 80. */
    CHECK_EQ(offset_of_new(mem, 72), c + 56 + 8);
    /* What remains is exactly enough for 48. */
    CHECK_EQ(offset_of_new(mem, 48), b + 64 + 8);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Each object starts a constant 8 bytes behind the rounded end of the one before. */
static void gaps_are_constant(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 8);
    uint64_t next = 16;
    for (size_t len = 1; len < 500; len++) {
        CHECK_EQ(offset_of_new(mem, len), next);
        next += (len + 7) / 8 * 8 + 8;
    }
    shmheap_disconnect(mem);
}

/* A rest of 8 bytes cannot be a block: it stays with the object, and comes back with it. */
static void a_rest_of_one_granule_stays(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 8);
    uint64_t a = offset_of_new(mem, 32), b = offset_of_new(mem, 8);
    char *region = shmheap_underlying(mem);
    shmheap_free(mem, region + a);
    CHECK_EQ(offset_of_new(mem, 24), a);
    CHECK_EQ(shmheap_usable_size(mem, region + a), 32);
    shmheap_free(mem, region + a);
    CHECK_EQ(offset_of_new(mem, 16), a);
    CHECK_EQ(shmheap_usable_size(mem, region + a), 16);
    CHECK_EQ(offset_of_new(mem, 8), a + 24);
    CHECK_EQ(offset_of_new(mem, 8), b + 16);
    shmheap_disconnect(mem);
}

static void offsets_with_alignment_16(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 16);
    CHECK_EQ(offset_of_new(mem, 80), 16);
    CHECK_EQ(offset_of_new(mem, 120), 16 + 96);
    CHECK_EQ(offset_of_new(mem, 56), 16 + 96 + 128);
    CHECK_EQ(offset_of_new(mem, 8), 16 + 96 + 128 + 64);
    CHECK_EQ(offset_of_new(mem, 9), 16 + 96 + 128 + 64 + 16);
    CHECK_EQ(offset_of_new(mem, 1), 16 + 96 + 128 + 64 + 16 + 32);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(offsets_are_those_of_the_textbook),
                                    TEST(gaps_are_constant), TEST(a_rest_of_one_granule_stays),
                                    TEST(offsets_with_alignment_16)};
TEST_MAIN(tests)
