/* Arrays: the record of each is kept in its block. Any process can write there, so a record that is
 * read back is checked.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "shmheap.h"
#include "table.h"

static void *array_none(ShmemHeap_array *array, int32_t status)
{
    memset(array, 0, sizeof *array);
    array->status = status;
    return NULL;
}

/* Whether type, kind, rank and the size of an element are those of a Fortran array. */
static int array_known(const ShmemHeap_array *array)
{
    int32_t kind = array->kind;
    if (array->rank < 1 || array->rank > SHMEM_HEAP_MAX_RANK)
        return 0;
    switch (array->type) {
        case SHMEM_HEAP_INTEGER:
        case SHMEM_HEAP_LOGICAL:
            return (kind == 1 || kind == 2 || kind == 4 || kind == 8) && array->element == kind;
        case SHMEM_HEAP_REAL:
            return (kind == 4 || kind == 8) && array->element == kind;
        case SHMEM_HEAP_COMPLEX:
            return (kind == 4 || kind == 8) && array->element == 2 * kind;
        case SHMEM_HEAP_CHARACTER:
            return kind == 1 && array->element >= 1;
        default:
            return 0;
    }
}

/* 0, or -1: the extents other than 0 give more bytes than any memory has. */
static int array_bytes(const ShmemHeap_array *array, int64_t *bytes)
{
    int64_t product = array->element;
    int empty = 0;
    for (int i = 0; i < array->rank; i++) {
        empty |= array->extents[i] == 0;
        if (array->extents[i] != 0 && __builtin_mul_overflow(product, array->extents[i], &product))
            return -1;
    }
    *bytes = empty ? 0 : product;
    return 0;
}

/* 0, or -1: the bounds of a dimension give it fewer than least elements. */
static int bound_set(ShmemHeap_array *array, int i, int64_t lower, int64_t upper, int64_t least)
{
    int64_t span;
    if (__builtin_sub_overflow(upper, lower, &span) || span < least - 1 || span == INT64_MAX)
        return -1;
    if (i >= array->rank)
        return span == 0 ? 0 : -1;
    array->lower[i] = lower;
    array->extents[i] = span + 1;
    return 0;
}

static int bounds_set(ShmemHeap_array *array, int32_t lower_count, const int64_t *lower,
                      int32_t upper_count, const int64_t *upper)
{
    for (int i = 0; i < SHMEM_HEAP_MAX_RANK; i++)
        array->lower[i] = array->extents[i] = 1;
    if (upper_count < 0 || (upper_count > 0 && upper == NULL) ||
        (lower != NULL && lower_count != upper_count))
        return -1;
    for (int i = 0; i < upper_count; i++)
        if (bound_set(array, i, lower != NULL ? lower[i] : 1, upper[i], lower != NULL) != 0)
            return -1;
    return 0;
}

static int32_t status_of_failure(int reason)
{
    switch (reason) {
        case ETIMEDOUT:
            return SHMEM_HEAP_ALLOC_TIMEOUT;
        case EINVAL:
            return SHMEM_HEAP_ALLOC_INVALID;
        default:
            return SHMEM_HEAP_ALLOC_FAILED;
    }
}

/* Fills in the members that only the block knows, and keeps the record in it. */
static void *array_place(shmem_heap *heap, ShmemHeap_array *array, void *ptr)
{
    array->offset = (const char *)ptr - (const char *)shmheap_underlying(mem_of(heap));
    array->handle = shmheap_ptr_to_handle(mem_of(heap), ptr).bits;
    array->status = SHMEM_HEAP_ALLOC_SUCCESS;
    if (array->handle != 0 && block_keep(heap, ptr, array, sizeof *array, array->handle) == 0)
        return ptr;
    ShmemHeap_free_block(heap, ptr);
    return array_none(array, SHMEM_HEAP_ALLOC_FAILED);
}

/* A heap that polls in short sleeps waits longer than requested, and programs written for such a
 * heap rely on it: they free within timeout_ms, by the clock of another process. */
static int32_t patience(int32_t timeout_ms)
{
    return timeout_ms <= 0 || timeout_ms > INT32_MAX / 2 ? timeout_ms
                                                         : timeout_ms + timeout_ms / 64 + 1;
}

void *ShmemHeap_array_alloc(shmem_heap *heap, ShmemHeap_array *array, int32_t lower_count,
                            const int64_t *lower, int32_t upper_count, const int64_t *upper,
                            int32_t safe, int32_t timeout_ms)
{
    int64_t bytes;
    if (!table_valid(heap))
        return array_none(array, SHMEM_HEAP_ALLOC_INVALID);
    if (!array_known(array) || bounds_set(array, lower_count, lower, upper_count, upper) != 0)
        return array_none(array, SHMEM_HEAP_INVALID_BOUNDS);
    if (array_bytes(array, &bytes) != 0)
        return array_none(array, SHMEM_HEAP_ALLOC_FAILED);
    (void)safe;
    void *ptr = block_alloc(heap, (size_t)bytes + sizeof *array, patience(timeout_ms));
    return ptr != NULL ? array_place(heap, array, ptr)
                       : array_none(array, status_of_failure(errno));
}

/* Whether the record can be that of the block at ptr, of which the caller may use size bytes. */
static int array_sound(shmem_heap *heap, const void *ptr, heap_element offset, size_t size,
                       const ShmemHeap_array *array)
{
    int64_t bytes, top;
    if (!array_known(array) || array->status != SHMEM_HEAP_ALLOC_SUCCESS ||
        array->offset != offset ||
        array->handle != shmheap_ptr_to_handle(mem_of(heap), (void *)(uintptr_t)ptr).bits)
        return 0;
    for (int i = 0; i < SHMEM_HEAP_MAX_RANK; i++)
        if (array->extents[i] < 0 ||
            __builtin_add_overflow(array->lower[i], array->extents[i] - 1, &top) ||
            (i >= array->rank && (array->extents[i] != 1 || array->lower[i] != 1)))
            return 0;
    return array_bytes(array, &bytes) == 0 && (uint64_t)bytes <= size;
}

void *ShmemHeap_array_find(shmem_heap *heap, heap_element offset, ShmemHeap_array *array)
{
    void *ptr = ShmemHeap_ptr_from_offset(heap, offset);
    if (ptr == NULL || ShmemHeap_get_block_meta(heap, ptr, array, sizeof *array) != 0 ||
        !array_sound(heap, ptr, offset, ShmemHeap_block_size_from_pointer(heap, ptr), array))
        return array_none(array, SHMEM_HEAP_ALLOC_INVALID);
    return ptr;
}

shmem_heap *ShmemHeap_array_at(const void *address, ShmemHeap_array *array)
{
    for (shmem_heap *heap = table_next(NULL); heap != NULL; heap = table_next(heap)) {
        heap_element offset = ShmemHeap_offset_from_pointer(heap, address);
        if (offset >= 0)
            return ShmemHeap_array_find(heap, offset, array) != NULL ? heap : NULL;
    }
    array_none(array, SHMEM_HEAP_ALLOC_INVALID);
    return NULL;
}

void *ShmemHeap_array_resolve(shmem_heap *heap, const ShmemHeap_array *array)
{
    ShmemHeap_array kept;
    void *ptr = ShmemHeap_array_find(heap, array->offset, &kept);
    return ptr != NULL && memcmp(&kept, array, sizeof kept) == 0 ? ptr : NULL;
}

int32_t ShmemHeap_array_free(shmem_heap *heap, const ShmemHeap_array *array)
{
    if (!table_valid(heap) || array->status != SHMEM_HEAP_ALLOC_SUCCESS)
        return -1;
    shmheap_object_handle handle = {array->handle};
    char *ptr = shmheap_handle_to_ptr(mem_of(heap), handle);
    if (ptr == NULL || ptr - (char *)shmheap_underlying(mem_of(heap)) != array->offset)
        return -1;
    return shmheap_try_free(mem_of(heap), ptr) == 0 ? 0 : -1;
}
