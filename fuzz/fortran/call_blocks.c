/* call_blocks.c: blocks, and the bytes kept in them.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "fuzz/fortran/calls.h"
#include "fuzz/world/contents.h"

struct fortran fortran;

unsigned char *block_at(unsigned side, const struct block *block)
{
    void *ptr = ShmemHeap_ptr_from_offset(fortran.heap[side], block->offset);
    FUZZ_CHECK(ptr != NULL);
    return ptr;
}

struct block *block_pick(const struct op *op)
{
    return fortran.count ? &fortran.blocks[op->which % fortran.count] : NULL;
}

void block_forget(struct block *block) { *block = fortran.blocks[--fortran.count]; }

struct block *block_remember(unsigned side, void *ptr, uint64_t len)
{
    struct block *block = &fortran.blocks[fortran.count++];
    memset(block, 0, sizeof *block);
    block->offset = ShmemHeap_offset_from_pointer(fortran.heap[side], ptr);
    block->len = len;
    block->mark = ++fortran.marks;
    FUZZ_CHECK(block->offset > 0 && ((uintptr_t)ptr & 15) == 0);
    FUZZ_CHECK(ShmemHeap_block_size_from_pointer(fortran.heap[side], ptr) >= len);
    contents_fill(ptr, len, block->mark);
    return block;
}

void fortran_alloc(const struct op *op)
{
    if (fortran.count == FORTRAN_BLOCKS)
        return;
    SAY("ShmemHeap_alloc_block(heap[%u], %llu, 0);", op->side, (unsigned long long)op->size);
    void *ptr = ShmemHeap_alloc_block_wait(fortran.heap[op->side], op->size, 0, 0);
    FUZZ_CHECK(ptr || errno == ENOMEM || errno == ETIMEDOUT);
    if (ptr)
        block_remember(op->side, ptr, op->size);
}

void fortran_free(const struct op *op, struct block *block)
{
    SAY("ShmemHeap_free_block(heap[%u], at(%lld));", op->side, (long long)block->offset);
    unsigned char *ptr = block_at(op->side, block);
    FUZZ_CHECK(ShmemHeap_free_block(fortran.heap[op->side], ptr) == 0);
    FUZZ_CHECK(ShmemHeap_is_block_valid(fortran.heap[!op->side], ptr) == -1);
    FUZZ_CHECK(ShmemHeap_ptr_from_offset(fortran.heap[!op->side], block->offset) == NULL);
    block_forget(block);
}

void fortran_meta_set(const struct op *op, struct block *block)
{
    unsigned char bytes[FORTRAN_META_MAX];
    int len = (int)(op->size % (FORTRAN_META_MAX + 2)) - 1;
    if (block->is_array)
        return;
    memset(bytes, (int)(op->which + op->size), sizeof bytes);
    SAY("ShmemHeap_set_block_meta(heap[%u], at(%lld), bytes, %d);", op->side,
        (long long)block->offset, len);
    int32_t result =
        ShmemHeap_set_block_meta(fortran.heap[op->side], block_at(op->side, block), bytes, len);
    FUZZ_CHECK(result == 0 || result == -1);
    FUZZ_CHECK(len >= 0 || result == -1);
    if (result != 0 || block->meta < 0)
        return;
    uint64_t room = ShmemHeap_block_size_from_offset(fortran.heap[op->side], block->offset);
    block->meta = len;
    block->len = block->len < room ? block->len : room;
    memcpy(block->kept, bytes, (size_t)len);
    contents_fill(block_at(op->side, block), block->len, block->mark);
}

void fortran_meta_get(const struct op *op, const struct block *block)
{
    unsigned char bytes[FORTRAN_META_MAX + 1];
    int len = op->which & 1 || block->is_array ? (int)(op->size % FORTRAN_META_MAX) : block->meta;
    SAY("ShmemHeap_get_block_meta(heap[%u], at(%lld), bytes, %d);", op->side,
        (long long)block->offset, len);
    int32_t result =
        ShmemHeap_get_block_meta(fortran.heap[op->side], block_at(op->side, block), bytes, len);
    if (block->meta < 0)
        return;
    FUZZ_CHECK((result == 0) == (len > 0 && len == block->meta));
    if (result == 0 && !block->is_array)
        FUZZ_CHECK(memcmp(bytes, block->kept, (size_t)len) == 0);
}

void fortran_place(const struct op *op, const struct block *block)
{
    unsigned char *ptr = block_at(op->side, block);
    SAY("ShmemHeap_offset_from_pointer(heap[%u], at(%lld));", op->side, (long long)block->offset);
    FUZZ_CHECK(ShmemHeap_offset_from_pointer(fortran.heap[op->side], ptr) == block->offset);
    FUZZ_CHECK(ShmemHeap_is_block_valid(fortran.heap[op->side], ptr) == 0);
    size_t size = ShmemHeap_block_size_from_pointer(fortran.heap[op->side], ptr);
    FUZZ_CHECK(size < fortran.bytes && (block->meta < 0 || size >= block->len));
    FUZZ_CHECK(Pointer_offset(ptr, Pointer_add_offset(ptr, (intptr_t)op->which, 8), 8) ==
               (intptr_t)op->which);
}

/* Addresses and offsets that no block has. */
void fortran_bad_free(const struct op *op)
{
    shmem_heap *heap = fortran.heap[op->side];
    heap_element offset = (heap_element)(op->size & ~UINT64_C(15)) + 8; /* blocks lie at 16 n */
    SAY("ShmemHeap_block_size_from_offset(heap[%u], %lld);", op->side, (long long)offset);
    FUZZ_CHECK(ShmemHeap_ptr_from_offset(heap, offset) == NULL);
    FUZZ_CHECK(ShmemHeap_block_size_from_offset(heap, -offset) == 0);
    FUZZ_CHECK(ShmemHeap_free_block(heap, &fortran) == -1);
    FUZZ_CHECK(ShmemHeap_alloc_block(NULL, op->size, 0) == NULL);
    FUZZ_CHECK(ShmemHeap_check((shmem_heap *)(void *)&fortran, NULL, NULL, NULL, NULL) == 1);
    if (fortran.count)
        FUZZ_CHECK(ShmemHeap_free_block(heap, block_at(op->side, block_pick(op)) + 8) == -1);
}
