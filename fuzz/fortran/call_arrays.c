/* call_arrays.c: arrays.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/fortran/calls.h"

/* The bits of which choose type and kind, those of size rank and bounds: some are refused. */
static void array_decode(const struct op *op, ShmemHeap_array *array, int64_t *lower,
                         int64_t *upper)
{
    memset(array, 0, sizeof *array);
    array->type = (int32_t)(op->which & 7);
    array->kind = 1 << (op->which >> 3 & 3);
    array->rank = (int32_t)(op->size % 9);
    array->element = array->type == SHMEM_HEAP_COMPLEX ? 2 * array->kind : array->kind;
    if (op->which & 32 && array->type == SHMEM_HEAP_CHARACTER)
        array->element = (int64_t)(op->size >> 5 & 31);
    for (int i = 0; i < SHMEM_HEAP_MAX_RANK; i++) {
        lower[i] = i < array->rank ? (int64_t)(op->size >> i & 15) - 7 : 1;
        upper[i] = i < array->rank ? lower[i] + (int64_t)(op->size >> (i + 3) & 3) - 1 : 1;
    }
    if (op->which >= 0xf0) /* extents whose product overflows, or bounds that contradict */
        upper[0] = INT64_MAX - (int64_t)(op->size & 3);
}

static uint64_t array_bytes(const ShmemHeap_array *array)
{
    uint64_t bytes = (uint64_t)array->element;
    for (int i = 0; i < array->rank; i++)
        bytes *= (uint64_t)array->extents[i];
    return bytes;
}

void fortran_array(const struct op *op)
{
    int64_t lower[SHMEM_HEAP_MAX_RANK], upper[SHMEM_HEAP_MAX_RANK];
    ShmemHeap_array array;
    array_decode(op, &array, lower, upper);
    if (fortran.count == FORTRAN_BLOCKS)
        return;
    SAY("ShmemHeap_array_alloc(heap[%u]): type %d, kind %d, rank %d, lower[0] %lld, upper[0] %lld",
        op->side, array.type, array.kind, array.rank, (long long)lower[0], (long long)upper[0]);
    void *ptr =
        ShmemHeap_array_alloc(fortran.heap[op->side], &array, SHMEM_HEAP_MAX_RANK,
                              op->which & 64 ? NULL : lower, SHMEM_HEAP_MAX_RANK, upper, 0, 0);
    FUZZ_CHECK((ptr != NULL) == (array.status == SHMEM_HEAP_ALLOC_SUCCESS && array.rank != 0));
    if (!ptr)
        return;
    struct block *block = block_remember(op->side, ptr, array_bytes(&array));
    FUZZ_CHECK(block->offset == array.offset);
    block->is_array = 1;
    block->meta = (int)sizeof array;
    block->array = array;
}

static int array_in_block(unsigned side, const ShmemHeap_array *array, const struct block *block)
{
    return array->offset == block->offset && array->rank >= 1 &&
           array->rank <= SHMEM_HEAP_MAX_RANK &&
           array_bytes(array) <=
               ShmemHeap_block_size_from_offset(fortran.heap[side], block->offset);
}

void fortran_array_find(const struct op *op, const struct block *block)
{
    ShmemHeap_array found, seen;
    shmem_heap *heap = fortran.heap[op->side];
    SAY("ShmemHeap_array_find(heap[%u], %lld);", op->side, (long long)block->offset);
    unsigned char *ptr = ShmemHeap_array_find(heap, block->offset, &found);
    FUZZ_CHECK(ShmemHeap_array_at(block_at(op->side, block), &seen) == (ptr ? heap : NULL));
    if (ptr)
        FUZZ_CHECK(memcmp(&found, &seen, sizeof seen) == 0 && ptr == block_at(op->side, block) &&
                   array_in_block(op->side, &found, block));
    if (block->meta < 0)
        return;
    FUZZ_CHECK((ptr != NULL) == (block->is_array != 0));
    if (!ptr)
        return;
    FUZZ_CHECK(memcmp(&found, &block->array, sizeof found) == 0);
    FUZZ_CHECK(ShmemHeap_array_resolve(heap, &block->array) == ptr);
}

void fortran_array_free(const struct op *op, struct block *block)
{
    if (!block->is_array)
        return;
    ShmemHeap_array gone = block->array;
    SAY("ShmemHeap_array_free(heap[%u]): offset %lld", op->side, (long long)gone.offset);
    FUZZ_CHECK(ShmemHeap_array_free(fortran.heap[op->side], &gone) == 0);
    FUZZ_CHECK(ShmemHeap_array_free(fortran.heap[!op->side], &gone) == -1);
    FUZZ_CHECK(ShmemHeap_array_resolve(fortran.heap[!op->side], &gone) == NULL);
    block_forget(block);
}
