/* The functions of ShmemHeap.h do what the original library documents.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>

#include "ShmemHeap.h"
#include "tests/fortran/original/ShmemHeap_memory.h"
#include "tests/support/test.h"

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
    CHECK_EQ(ShmemHeap_block_size_from_offset(heap, offset),
             ShmemHeap_block_size_from_pointer(heap, a));
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
    size_t size = (size_t)ShmemHeap_get_capacity(heap);
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

static void clones_share(void)
{
    char *memory = memory_new();
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory + 4, MEMORY_LEN - 4),
               *clone = ShmemHeap_clone(memory + 4);
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

/* A block of this name, where a large block lay that held notes from byte skip on. */
static void reuse_noted_place(shmem_heap *heap, const char *name, size_t bytes, size_t skip)
{
    const uint64_t note[2] = {0x45544f4e, 0}; /* nothing kept, no handle */
    char *block = ShmemHeap_alloc_block(heap, 16 * bytes, 1);
    CHECK(block != NULL);
    size_t size = ShmemHeap_block_size_from_pointer(heap, block);
    for (size_t at = skip; at + sizeof note <= size; at += sizeof note)
        memcpy(block + at, note, sizeof note);
    CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    char *object = ShmemHeap_alloc_named(heap, name, bytes);
    CHECK(object >= block && object + bytes <= block + size);
    CHECK_LE(bytes, ShmemHeap_block_size_from_pointer(heap, object));
    CHECK_EQ(ShmemHeap_set_block_meta(heap, object, "x", 1), -1);
    CHECK_EQ(ShmemHeap_get_block_meta(heap, object, object, 1), -1);
}

/* Objects with a name, and those that C allocates, have no note. Their old contents are no note,
 * whatever they are: the last bytes are the object's. */
static void old_contents_are_no_note(void)
{
    shmem_heap *heap = heap_new();
    char name[16];
    for (size_t bytes = 1000; bytes < 1016; bytes++) {
        snprintf(name, sizeof name, "%zu", bytes);
        reuse_noted_place(heap, name, bytes, 0);
        snprintf(name, sizeof name, "%zu, 8", bytes);
        reuse_noted_place(heap, name, bytes, 8);
    }
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

static int32_t status_of(shmem_heap *heap, int32_t rank, int32_t lower_count, const int64_t *lower,
                         int32_t upper_count, const int64_t *upper)
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
    int64_t ones[] = {1, 1, 1, 1, 1, 1, 1, 1}, negatives[] = {-3, -3},
            huges[] = {1LL << 40, 1LL << 40};
    CHECK_EQ(status_of(heap, 1, 0, NULL, 1, &one), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 7, 0, NULL, 1, &one), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 2, 8, ones, 8, ones), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 1, 1, &max, 1, &max), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 1, 1, &min, 1, &min), SHMEM_HEAP_ALLOC_SUCCESS);
    CHECK_EQ(status_of(heap, 1, 1, &one, 1, &zero), SHMEM_HEAP_INVALID_BOUNDS);
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

static const struct test tests[] = {TEST(destroys_its_own_name_only),
                                    TEST(blocks_come_and_go),
                                    TEST(all_but_96_bytes_fit),
                                    TEST(totals_only_grow),
                                    TEST(a_clone_may_come_first),
                                    TEST(clones_share),
                                    TEST(names),
                                    TEST(meta_is_kept_in_the_block),
                                    TEST(old_contents_are_no_note),
                                    TEST(bounds),
                                    TEST(a_free_ends_the_waiting)};
TEST_MAIN(tests)
