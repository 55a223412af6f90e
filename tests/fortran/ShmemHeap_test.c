/* The C calls of IO servers: what they promise, and what they refuse. SPDX-License-Identifier: Apache-2.0 */
#include "ShmemHeap.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { MEMORY_LEN = 1 << 20 };

/* Beyond it nothing is mapped. */
static char *memory_new(void)
{
    long page = sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, MEMORY_LEN + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_EQ(munmap(memory + MEMORY_LEN, page), 0);
    return memory;
}

static shmem_heap *heap_new(void)
{
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory_new(), MEMORY_LEN);
    CHECK(heap != NULL);
    return heap;
}

static void check_empty(shmem_heap *heap)
{
    int32_t free_blocks, used_blocks;
    size_t used_space;
    CHECK_EQ(ShmemHeap_check(heap, &free_blocks, NULL, &used_blocks, &used_space), 0);
    CHECK_EQ(free_blocks, 1);
    CHECK_EQ(used_blocks, 0);
    CHECK_EQ(used_space, 0);
}

static void blocks_come_and_go(void)
{
    shmem_heap *heap = heap_new();
    char *a = ShmemHeap_alloc_block(heap, 1000, 1), *b = ShmemHeap_alloc_block(heap, 1, 0);
    CHECK(a != NULL && b != NULL && (uintptr_t)a % 16 == 0 && (uintptr_t)b % 16 == 0);
    CHECK(ShmemHeap_block_size_from_pointer(heap, a) >= 1000);
    CHECK_EQ(ShmemHeap_is_block_valid(heap, a), 0);
    heap_element offset = ShmemHeap_offset_from_pointer(heap, a);
    CHECK(offset > 0);
    CHECK_PTR(ShmemHeap_ptr_from_offset(heap, offset), a);
    CHECK_EQ(ShmemHeap_block_size_from_offset(heap, offset), ShmemHeap_block_size_from_pointer(heap, a));
    CHECK_EQ(ShmemHeap_free_block(heap, a), 0);
    CHECK_EQ(ShmemHeap_free_block(heap, a), -1);
    CHECK_EQ(ShmemHeap_is_block_valid(heap, a), -1);
    CHECK_EQ(ShmemHeap_free_block(heap, b), 0);
    check_empty(heap);
    CHECK_EQ(ShmemHeap_delete(heap), 0);
}

static void all_but_96_bytes_fit(void)
{
    shmem_heap *heap = heap_new();
    size_t size = (size_t)ShmemHeap_get_size(heap);
    void *all = ShmemHeap_alloc_block(heap, size - 96, 1);
    CHECK(all != NULL);
    CHECK(ShmemHeap_block_size_from_pointer(heap, all) >= size - 96);
    CHECK_REFUSED(ShmemHeap_alloc_block(heap, 100, 1) == NULL, ETIMEDOUT);
    CHECK_REFUSED(ShmemHeap_alloc_block_wait(heap, 100, 1, 1) == NULL, ETIMEDOUT);
    CHECK_REFUSED(ShmemHeap_alloc_block_wait(heap, size, 1, -1) == NULL, ENOMEM);
    CHECK_REFUSED(ShmemHeap_alloc_block(heap, size, 1) == NULL, ENOMEM);
    CHECK_EQ(ShmemHeap_free_block(heap, all), 0);
    check_empty(heap);
}

/* Over the life of the heap, not what is in use. */
static void totals_only_grow(void)
{
    shmem_heap *heap = heap_new();
    int64_t blocks, bytes, most, before = 0;
    for (int64_t i = 1; i <= 10; i++) {
        void *block = ShmemHeap_alloc_block(heap, 1000, 1);
        CHECK_EQ(ShmemHeap_get_info(heap, NULL, &most, &blocks, &bytes), 0);
        CHECK_EQ(blocks, i);
        CHECK(bytes >= before + 1000 && bytes <= before + 1100 && most <= 1100);
        before = bytes;
        CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    }
    check_empty(heap);
}

static void what_is_no_block_is_refused(void)
{
    shmem_heap *heap = heap_new();
    char *block = ShmemHeap_alloc_block(heap, 256, 1), local = 0;
    heap_element offset = ShmemHeap_offset_from_pointer(heap, block);
    void *wrong[] = {NULL, &local, block + 8, block + 16, block - 16, (void *)1, (void *)UINTPTR_MAX};
    heap_element wrong_offsets[] = {0, -1, -offset, offset + 1, offset + 16, offset - 8, MEMORY_LEN, INT64_MAX, INT64_MIN};
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
    CHECK_PTR(ShmemHeap_alloc_block(heap, SIZE_MAX - 8, 1), NULL);
    CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    check_empty(heap);
}

static void check_calls_refused(shmem_heap *heap)
{
    ShmemHeap_array array = {.type = SHMEM_HEAP_INTEGER, .kind = 4, .rank = 1, .element = 4};
    char block[32];
    int64_t one = 1;
    CHECK_PTR(ShmemHeap_alloc_block(heap, 1, 1), NULL);
    CHECK_PTR(ShmemHeap_alloc_named(heap, "name", 1), NULL);
    CHECK_PTR(ShmemHeap_find(heap, "name", NULL), NULL);
    CHECK_EQ(ShmemHeap_keep(heap, "name"), -1);
    CHECK_EQ(ShmemHeap_remove_name(heap, "name"), -1);
    CHECK_EQ(ShmemHeap_free_block(heap, block), -1);
    CHECK_EQ(ShmemHeap_is_block_valid(heap, block), -1);
    CHECK_PTR(ShmemHeap_ptr_from_offset(heap, 16), NULL);
    CHECK_EQ(ShmemHeap_offset_from_pointer(heap, block), -1);
    CHECK_EQ(ShmemHeap_block_size_from_pointer(heap, block), 0);
    CHECK_EQ(ShmemHeap_set_block_meta(heap, block, "x", 1), -1);
    CHECK_EQ(ShmemHeap_get_block_meta(heap, block, block, 1), -1);
    CHECK_EQ(ShmemHeap_check(heap, NULL, NULL, NULL, NULL), 1);
    CHECK_EQ(ShmemHeap_get_info(heap, NULL, NULL, NULL, NULL), -1);
    CHECK_EQ(ShmemHeap_get_size(heap), -1);
    CHECK_PTR(ShmemHeap_array_alloc(heap, &array, 0, NULL, 1, &one, 1, -1), NULL);
    CHECK_EQ(array.status, SHMEM_HEAP_ALLOC_INVALID);
    CHECK_PTR(ShmemHeap_array_find(heap, 16, &array), NULL);
    CHECK_PTR(ShmemHeap_array_resolve(heap, &array), NULL);
    CHECK_EQ(ShmemHeap_array_free(heap, &array), -1);
    ShmemHeap_dump_info(heap);
}

static void check_refused(shmem_heap *heap)
{
    check_calls_refused(heap);
    CHECK_EQ(ShmemHeap_delete(heap), -1);
    CHECK_EQ(ShmemHeap_destroy(heap), -1);
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

/* Nobody else can make a heap in memory that only this process sees. */
static void private_memory_without_a_heap_is_refused(void)
{
    void *memory = mmap(NULL, MEMORY_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_PTR(ShmemHeap_clone(memory), NULL);
}

static void heap_make(void *memory)
{
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory, MEMORY_LEN - 4);
    CHECK(ShmemHeap_alloc_block(heap, 100, 1) != NULL);
}

/* Servers clone while another of their processes makes the heap. */
static void a_clone_may_come_first(void)
{
    char *memory = memory_new();
    shmem_heap *early = ShmemHeap_clone(memory + 4), *unused = ShmemHeap_clone(memory + 4);
    CHECK(early != NULL && unused != NULL && unused != early);
    check_calls_refused(early);
    CHECK_EQ(ShmemHeap_get_size(early), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(ShmemHeap_delete(unused), 0);
    check_refused(unused);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(memory[4 + i], 0);
    test_in_child(heap_make, memory + 4);
    int32_t used_blocks;
    CHECK_EQ(ShmemHeap_check(early, NULL, NULL, &used_blocks, NULL), 0);
    CHECK_EQ(used_blocks, 1);
    CHECK(ShmemHeap_alloc_block(early, 100, 1) != NULL);
    CHECK_EQ(ShmemHeap_delete(early), 0);
    check_refused(early);
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

static void clones_share(void)
{
    char *memory = memory_new();
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory + 4, MEMORY_LEN - 4), *clone = ShmemHeap_clone(memory + 4);
    CHECK(heap != NULL && clone != NULL && clone != heap);
    char *block = ShmemHeap_alloc_block(heap, 100, 1);
    heap_element offset = ShmemHeap_offset_from_pointer(heap, block);
    CHECK_PTR(ShmemHeap_ptr_from_offset(clone, offset), block);
    CHECK_EQ(ShmemHeap_delete(heap), 0);
    CHECK_EQ(ShmemHeap_free_block(clone, block), 0);
    check_empty(clone);
}

static void names(void)
{
    const char *name = test_name();
    shmem_heap *heap = ShmemHeap_create(name, MEMORY_LEN), *other = ShmemHeap_connect(name);
    CHECK(heap != NULL && other != NULL);
    CHECK_EQ(ShmemHeap_get_size(other), MEMORY_LEN);
    CHECK_PTR(ShmemHeap_create(name, MEMORY_LEN), NULL);
    CHECK_EQ(ShmemHeap_destroy(other), 0);
    CHECK_PTR(ShmemHeap_connect(name), NULL);
    CHECK(ShmemHeap_alloc_block(heap, 100, 1) != NULL);
    CHECK_EQ(ShmemHeap_destroy(heap), -1);
    CHECK_EQ(ShmemHeap_delete(heap), -1);
}

static void meta_is_kept_in_the_block(void)
{
    shmem_heap *heap = heap_new();
    char meta[24] = "kept in the block", back[24] = "";
    char *block = ShmemHeap_alloc_block(heap, 1000 + sizeof meta, 1);
    CHECK_EQ(ShmemHeap_get_block_meta(heap, block, back, sizeof back), -1);
    CHECK_EQ(ShmemHeap_set_block_meta(heap, block, meta, -1), -1);
    CHECK_EQ(ShmemHeap_set_block_meta(heap, block, NULL, 4), -1);
    CHECK_EQ(ShmemHeap_set_block_meta(heap, block, meta, INT_MAX), -1);
    CHECK_EQ(ShmemHeap_set_block_meta(heap, block, meta, sizeof meta), 0);
    size_t size = ShmemHeap_block_size_from_pointer(heap, block);
    CHECK(size >= 1000);
    test_fill(block, size, 1); /* all that is the caller's */
    CHECK_EQ(ShmemHeap_get_block_meta(heap, block, back, sizeof back - 1), -1);
    CHECK_EQ(ShmemHeap_get_block_meta(heap, block, back, sizeof back), 0);
    CHECK_EQ(memcmp(meta, back, sizeof meta), 0);

    /* The next block at this place has none. */
    CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    CHECK_PTR(ShmemHeap_alloc_block(heap, 1000 + sizeof meta, 1), block);
    CHECK_EQ(ShmemHeap_get_block_meta(heap, block, back, sizeof back), -1);
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

/* The name was removed, and another job has made a heap of that name. */
static void destroys_its_own_name_only(void)
{
    const char *name = test_name();
    shmem_heap *heap = ShmemHeap_create(name, 4096);
    CHECK(heap != NULL);
    CHECK_EQ(shmheap_unlink(name), 0);
    shmheap_memory_handle other = shmheap_create(name, 4096);
    CHECK(shmheap_valid(other));
    CHECK_REFUSED(ShmemHeap_destroy(heap) == -1, ESTALE);
    CHECK_EQ(ShmemHeap_delete(heap), -1); /* the connection has ended all the same */
    heap = ShmemHeap_connect(name);
    CHECK(heap != NULL);
    errno = 77;
    CHECK_EQ(ShmemHeap_destroy(heap), 0);
    CHECK_EQ(errno, 77);
    CHECK_REFUSED(ShmemHeap_connect(name) == NULL, ENOENT);
    shmheap_disconnect(other);
}

static int32_t status_of(shmem_heap *heap, int32_t rank, int32_t lower_count, const int64_t *lower, int32_t upper_count,
                         const int64_t *upper)
{
    ShmemHeap_array array = {.type = SHMEM_HEAP_COMPLEX, .kind = 4, .rank = rank, .element = 8};
    void *ptr = ShmemHeap_array_alloc(heap, &array, lower_count, lower, upper_count, upper, 1, -1);
    CHECK_EQ(ptr != NULL, array.status == SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK(ptr == NULL || ShmemHeap_array_free(heap, &array) == 0);
    return array.status;
}

static void bounds(void)
{
    shmem_heap *heap = heap_new();
    int64_t one = 1, zero = 0, min = INT64_MIN, max = INT64_MAX, big = 1LL << 62;
    int64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1}, negatives[] = {-3, -3}, huges[] = {1LL << 40, 1LL << 40};
    CHECK_EQ(status_of(heap, 1, 0, NULL, 1, &one), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 7, 0, NULL, 1, &one), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 2, 8, ones, 8, ones), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 1, 1, &max, 1, &max), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 1, 1, &min, 1, &min), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 1, 0, NULL, 1, &zero), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 2, 0, NULL, 2, negatives), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 1, 1, &one, 1, negatives), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 1, 1, &min, 1, &max), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 1, 1, &zero, 1, &max), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 2, 1, &one, 2, ones), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 1, 0, NULL, 2, huges), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 0, 0, NULL, 1, &one), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 8, 0, NULL, 1, &one), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 1, 0, NULL, -1, &one), SHMEM_HEAP_INVALID_BOUNDS);
    CHECK_EQ(status_of(heap, 1, 0, NULL, 1, &big), SHMEM_HEAP_ALLOC_FAILED);
    CHECK_EQ(status_of(heap, 2, 0, NULL, 2, huges), SHMEM_HEAP_ALLOC_FAILED);
    CHECK_EQ(status_of(heap, 1, 0, NULL, 1, huges), SHMEM_HEAP_ALLOC_FAILED);
    check_empty(heap);
}

/* Whatever a peer writes over the record and the note, only an array that lies in its block comes out. */
static void hostile_records(void)
{
    shmem_heap *heap = heap_new();
    struct test_random random = test_random_begin(1);
    size_t accepted = 0;
    for (size_t round = 0; round < test_rounds(200000); round++) {
        ShmemHeap_array array = {.type = SHMEM_HEAP_INTEGER, .kind = 2, .rank = 3, .element = 2}, found;
        int64_t upper[] = {3, 4, 5};
        char *ptr = ShmemHeap_array_alloc(heap, &array, 0, NULL, 3, upper, 1, 0);
        size_t all = ShmemHeap_block_size_from_pointer(heap, ptr) + sizeof array + 16, kept = sizeof array + 16;
        for (uint64_t i = test_random_below(&random, 4); i < 4; i++) {
            static const uint64_t words[] = {0, 1, 2, 7, 8, 1ull << 31, 1ull << 32, 1ull << 61, 1ull << 63, ~0ull};
            size_t at = all - 8 - 8 * test_random_below(&random, kept / 8);
            uint64_t word = test_random_below(&random, 2) ? words[test_random_below(&random, 10)] : test_random_next(&random);
            memcpy(ptr + at, &word, sizeof word);
        }
        if (ShmemHeap_array_find(heap, array.offset, &found) != NULL) {
            __int128 bytes = found.element;
            CHECK(found.rank >= 1 && found.rank <= SHMEM_HEAP_MAX_RANK);
            for (int i = 0; i < found.rank; i++)
                CHECK(found.extents[i] >= 1 && (bytes *= found.extents[i]) <= (int64_t)all);
            accepted++;
        }
        CHECK(ShmemHeap_block_size_from_pointer(heap, ptr) <= all);
        CHECK_EQ(ShmemHeap_array_free(heap, &array), 0);
    }
    printf("%zu records were still sound\n", accepted);
    CHECK(accepted > 0);
    check_empty(heap);
}

struct waiting {
    shmem_heap *heap;
    int done;
};

static void *wait_for_space(void *context)
{
    struct waiting *waiting = context;
    void *block = ShmemHeap_alloc_block_wait(waiting->heap, MEMORY_LEN / 2, 1, -1);
    CHECK(block != NULL);
    CHECK_EQ(__atomic_load_n(&waiting->done, __ATOMIC_ACQUIRE), 1);
    CHECK_EQ(ShmemHeap_free_block(waiting->heap, block), 0);
    return NULL;
}

static void a_free_ends_the_waiting(void)
{
    struct waiting waiting = {heap_new(), 0};
    pthread_t thread;
    void *most = ShmemHeap_alloc_block(waiting.heap, MEMORY_LEN / 2, 1);
    CHECK(most != NULL);
    CHECK_EQ(pthread_create(&thread, NULL, wait_for_space, &waiting), 0);
    __atomic_store_n(&waiting.done, 1, __ATOMIC_RELEASE);
    CHECK_EQ(ShmemHeap_free_block(waiting.heap, most), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    check_empty(waiting.heap);
}

static const struct test tests[] = {
    TEST(destroys_its_own_name_only),
    TEST(blocks_come_and_go),
    TEST(all_but_96_bytes_fit),
    TEST(totals_only_grow), TEST(what_is_no_block_is_refused),
    TEST(what_is_no_heap_is_refused),
    TEST(memory_without_a_heap_is_refused),
    TEST(private_memory_without_a_heap_is_refused),
    TEST(a_clone_may_come_first),
    TEST(a_clone_that_came_first_trusts_nothing),
    TEST(a_clone_does_not_trust_lengths),
    TEST(clones_share),
    TEST(names),
    TEST(meta_is_kept_in_the_block),
    TEST(an_old_record_is_no_array),
    TEST(bounds),
    TEST(hostile_records),
    TEST(a_free_ends_the_waiting),
};
TEST_MAIN(tests)
