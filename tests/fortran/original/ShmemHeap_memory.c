/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fortran/original/ShmemHeap_memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

char *memory_new(void)
{
    long page = sysconf(_SC_PAGESIZE);
    char *memory =
        mmap(NULL, MEMORY_LEN + page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK_EQ(munmap(memory + MEMORY_LEN, page), 0);
    return memory;
}

shmem_heap *heap_new(void)
{
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory_new(), MEMORY_LEN);
    CHECK(heap != NULL);
    return heap;
}

void check_empty(shmem_heap *heap)
{
    int32_t free_blocks, used_blocks;
    size_t used_space;
    CHECK_EQ(ShmemHeap_check(heap, &free_blocks, NULL, &used_blocks, &used_space), 0);
    CHECK_EQ(free_blocks, 1);
    CHECK_EQ(used_blocks, 0);
    CHECK_EQ(used_space, 0);
}

void check_calls_refused(shmem_heap *heap)
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
    CHECK_EQ(ShmemHeap_get_capacity(heap), -1);
    CHECK_PTR(ShmemHeap_array_alloc(heap, &array, 0, NULL, 1, &one, 1, -1), NULL);
    CHECK_EQ(array.status, SHMEM_HEAP_ALLOC_INVALID);
    CHECK_PTR(ShmemHeap_array_find(heap, 16, &array), NULL);
    CHECK_PTR(ShmemHeap_array_resolve(heap, &array), NULL);
    CHECK_EQ(ShmemHeap_array_free(heap, &array), -1);
    ShmemHeap_dump_info(heap);
}

void check_refused(shmem_heap *heap)
{
    check_calls_refused(heap);
    CHECK_EQ(ShmemHeap_delete(heap), -1);
    CHECK_EQ(ShmemHeap_destroy(heap), -1);
}
