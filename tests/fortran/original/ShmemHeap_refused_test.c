/* ShmemHeap.h refuses memory that holds no heap, pointers to no block, and records that a peer
 * damaged.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/mman.h>
#include <string.h>

#include "ShmemHeap.h"
#include "shmheap.h"
#include "tests/fortran/original/ShmemHeap_memory.h"
#include "tests/support/test.h"

static void what_is_no_block_is_refused(void)
{
    shmem_heap *heap = heap_new();
    char *block = ShmemHeap_alloc_block(heap, 256, 1), local = 0;
    heap_element offset = ShmemHeap_offset_from_pointer(heap, block);
    void *wrong[] = {NULL,       &local,    block + 8,          block + 16,
                     block - 16, (void *)1, (void *)UINTPTR_MAX};
    heap_element wrong_offsets[] = {0,          -1,         -offset,   offset + 1, offset + 16,
                                    offset - 8, MEMORY_LEN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_EQ(ShmemHeap_is_block_valid(heap, wrong[i]), -1);
        CHECK_EQ(ShmemHeap_free_block(heap, wrong[i]), -1);
        CHECK_EQ(ShmemHeap_offset_from_pointer(heap, wrong[i]), -1);
        CHECK_EQ(ShmemHeap_block_size_from_pointer(heap, wrong[i]), 0);
        CHECK_EQ(ShmemHeap_set_block_meta(heap, wrong[i], "x", 1), -1);
        CHECK_EQ(ShmemHeap_get_block_meta(heap, wrong[i], &local, 1), -1);
    }
    for (size_t i = 0; i < sizeof wrong_offsets / sizeof *wrong_offsets; i++) {
        CHECK_PTR(ShmemHeap_ptr_from_offset(heap, wrong_offsets[i]), NULL);
        CHECK_EQ(ShmemHeap_block_size_from_offset(heap, wrong_offsets[i]), 0);
    }
    CHECK_PTR(ShmemHeap_alloc_block(heap, SIZE_MAX, 1), NULL);
    CHECK(strstr(shmheap_error_text(), " bytes never fit: the largest object has ") != NULL);
    CHECK_PTR(ShmemHeap_alloc_block(heap, SIZE_MAX - 8, 1), NULL);
    CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    check_empty(heap);
}

static void what_is_no_heap_is_refused(void)
{
    shmem_heap *heap = heap_new();
    check_refused(NULL);
    check_refused((shmem_heap *)((char *)heap + 1));
    check_refused((shmem_heap *)memory_new());
    CHECK_EQ(ShmemHeap_delete(heap), 0);
    check_refused(heap);
}

static void memory_without_a_heap_is_refused(void)
{
    char *memory = memory_new();
    CHECK_PTR(ShmemHeap_init_from_scratch(NULL, MEMORY_LEN), NULL);
    CHECK_PTR(ShmemHeap_init_from_scratch(memory, 0), NULL);
    CHECK_PTR(ShmemHeap_init_from_scratch(memory, 96), NULL);
    CHECK_PTR(ShmemHeap_init_from_scratch(memory, MEMORY_LEN + 1), NULL);
    CHECK_PTR(ShmemHeap_init_from_scratch(memory, SIZE_MAX), NULL);
    CHECK_PTR(ShmemHeap_clone(NULL), NULL);
    CHECK_PTR(ShmemHeap_clone((void *)4096), NULL);
    CHECK_PTR(ShmemHeap_clone_sized(memory, MEMORY_LEN), NULL);
    test_fill(memory, MEMORY_LEN, 1);
    CHECK_PTR(ShmemHeap_clone(memory), NULL);
    CHECK_PTR(ShmemHeap_clone_sized(memory, 8), NULL);
    CHECK(test_filled(memory, MEMORY_LEN, 1));
    CHECK_PTR(ShmemHeap_create("", MEMORY_LEN), NULL);
    CHECK_PTR(ShmemHeap_connect(test_name()), NULL);
}

/* No other process can make a heap in memory that only this process sees. */
static void private_memory_without_a_heap_is_refused(void)
{
    void *memory =
        mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_PTR(ShmemHeap_clone(memory), NULL);
}

/* What comes is no heap. */
static void a_clone_that_came_first_trusts_nothing(void)
{
    char *memory = memory_new();
    shmem_heap *early = ShmemHeap_clone(memory);
    CHECK(early != NULL);
    test_fill(memory, MEMORY_LEN, 1);
    check_calls_refused(early);
    CHECK(test_filled(memory, MEMORY_LEN, 1));
    CHECK_EQ(ShmemHeap_destroy(early), 0);
    check_refused(early);
}

/* A heap that says it is longer than its memory. */
static void a_clone_does_not_trust_lengths(void)
{
    char *memory = memory_new();
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory, MEMORY_LEN);
    CHECK_EQ(ShmemHeap_delete(heap), 0);
    CHECK_EQ(munmap(memory + MEMORY_LEN / 2, MEMORY_LEN / 2), 0);
    CHECK_PTR(ShmemHeap_clone(memory), NULL);
}

/* A block of another interface may lie where an array was, with its record still there. */
static void an_old_record_is_no_array(void)
{
    const char *name = test_name();
    shmem_heap *heap = ShmemHeap_create(name, MEMORY_LEN);
    shmheap_memory_handle mem = test_connect(name);
    ShmemHeap_array array = {.type = SHMEM_HEAP_REAL, .kind = 8, .rank = 2, .element = 8}, found;
    int64_t upper[] = {10, 20};
    char *ptr = ShmemHeap_array_alloc(heap, &array, 0, NULL, 2, upper, 1, 0);
    CHECK(ptr != NULL);
    CHECK_PTR(ShmemHeap_array_find(heap, array.offset, &found), ptr);
    CHECK_PTR(ShmemHeap_array_resolve(heap, &array), ptr);
    CHECK_EQ(ShmemHeap_array_free(heap, &array), 0);
    char *again = shmheap_alloc(mem, 10 * 20 * 8 + sizeof array + 16);
    CHECK_EQ(test_offset(mem, again), (uint64_t)array.offset);
    CHECK_PTR(ShmemHeap_array_find(heap, array.offset, &found), NULL);
    CHECK_EQ(found.status, SHMEM_HEAP_ALLOC_INVALID);
    CHECK_PTR(ShmemHeap_array_resolve(heap, &array), NULL);
    CHECK_EQ(ShmemHeap_array_free(heap, &array), -1);
    CHECK_EQ(ShmemHeap_is_block_valid(heap, ptr), 0);
    CHECK_EQ(ShmemHeap_destroy(heap), 0);
    shmheap_disconnect(mem);
}

/* Whatever a peer writes over the record and the note, only an array that lies in its block comes
 * out. */
static void hostile_records(void)
{
    shmem_heap *heap = heap_new();
    struct test_random random = test_random_begin(1);
    size_t accepted = 0;
    for (size_t round = 0; round < test_rounds(200000); round++) {
        ShmemHeap_array array = {.type = SHMEM_HEAP_INTEGER, .kind = 2, .rank = 3, .element = 2},
                        found;
        int64_t upper[] = {3, 4, 5};
        char *ptr = ShmemHeap_array_alloc(heap, &array, 0, NULL, 3, upper, 1, 0);
        size_t all = ShmemHeap_block_size_from_pointer(heap, ptr) + sizeof array + 16,
               kept = sizeof array + 16;
        for (uint64_t i = test_random_below(&random, 4); i < 4; i++) {
            static const uint64_t words[] = {0,          1,          2,          7,          8,
                                             1ull << 31, 1ull << 32, 1ull << 61, 1ull << 63, ~0ull};
            size_t at = all - 8 - 8 * test_random_below(&random, kept / 8);
            uint64_t word = test_random_below(&random, 2) ? words[test_random_below(&random, 10)]
                                                          : test_random_next(&random);
            memcpy(ptr + at, &word, sizeof word);
        }
        if (ShmemHeap_array_find(heap, array.offset, &found) != NULL) {
            __int128 bytes = found.element;
            CHECK(found.rank >= 1 && found.rank <= SHMEM_HEAP_MAX_RANK);
            for (int i = 0; i < found.rank; i++)
                CHECK(found.extents[i] >= 0 && (bytes *= found.extents[i]) <= INT64_MAX);
            CHECK(bytes <= (int64_t)all);
            accepted++;
        }
        CHECK(ShmemHeap_block_size_from_pointer(heap, ptr) <= all);
        CHECK_EQ(ShmemHeap_array_free(heap, &array), 0);
    }
    printf("%zu records were still sound\n", accepted);
    CHECK(accepted > 0);
    check_empty(heap);
}

static const struct test tests[] = {TEST(what_is_no_block_is_refused),
                                    TEST(what_is_no_heap_is_refused),
                                    TEST(memory_without_a_heap_is_refused),
                                    TEST(private_memory_without_a_heap_is_refused),
                                    TEST(a_clone_that_came_first_trusts_nothing),
                                    TEST(a_clone_does_not_trust_lengths),
                                    TEST(an_old_record_is_no_array),
                                    TEST(hostile_records)};
TEST_MAIN(tests)
