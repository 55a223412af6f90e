/* fuzz_fortran_c.c: the C calls of fortran/c/ShmemHeap.h, through two connections to one memory.
 *
 * After each n-th call the heap is sound, and all blocks have their contents. A marked operation is
 * a write of a peer into a block. Afterwards the library vouches for the place of that block and
 * for nothing in it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/fortran/calls.h"
#include "fuzz/world/arena.h"
#include "fuzz/world/contents.h"

enum { STEPS_MAX = 300, LEN_LEAST = 4096 };

/* A peer writes a word near the end of a block, where its note and its record lie. */
static void peer_writes(const struct op *op, struct block *block)
{
    unsigned char *ptr = block_at(op->side, block);
    size_t words = (block->len + 7) / 8, back = op->which % (2 + sizeof(ShmemHeap_array) / 8 + 2);
    uint64_t word = op->size & 1 ? op->size : op->size << (op->size & 63);
    size_t at_word = words + 2 + (block->is_array ? sizeof(ShmemHeap_array) / 8 : 0);
    if (back > at_word)
        back = at_word;
    SAY("/* a peer writes word %zu of block %lld */", at_word - back, (long long)block->offset);
    block->meta = -1;
    block->is_array = 0;
    if (back > 0)
        memcpy(ptr + 8 * (at_word - back), &word, op->size & 2 ? 4 : sizeof word);
}

static void step_block(const struct op *op, enum step step, struct block *block)
{
    switch (step) {
        case STEP_FREE:
            fortran_free(op, block);
            break;
        case STEP_ARRAY_FREE:
            fortran_array_free(op, block);
            break;
        case STEP_ARRAY_FIND:
            fortran_array_find(op, block);
            break;
        case STEP_META_SET:
            fortran_meta_set(op, block);
            break;
        case STEP_META_GET:
            fortran_meta_get(op, block);
            break;
        default:
            fortran_place(op, block);
    }
}

static void step_make(const struct op *op, enum step step)
{
    struct block *block = block_pick(op);
    switch (step) {
        case STEP_ALLOC:
            fortran_alloc(op);
            break;
        case STEP_ARRAY:
            fortran_array(op);
            break;
        case STEP_BAD_FREE:
            fortran_bad_free(op);
            break;
        case STEP_NAME:
        case STEP_NAME_KEEP:
        case STEP_NAME_REMOVE:
            fortran_names(op, step);
            break;
        case STEP_LOCK:
            fortran_lock(op);
            break;
        case STEP_RECONNECT:
            fortran_reconnect(op);
            break;
        case STEP_INSPECT:
            fortran_inspect(op);
            break;
        default:
            if (block)
                step_block(op, step, block);
    }
}

static void check_all(void)
{
    FUZZ_CHECK(ShmemHeap_check(fortran.heap[0], NULL, NULL, NULL, NULL) == 0);
    for (unsigned i = 0; i < fortran.count; i++) {
        const struct block *block = &fortran.blocks[i];
        unsigned char *ptr = block_at(i & 1, block);
        FUZZ_CHECK(block->meta < 0 || contents_same(ptr, block->len, block->mark, block->len));
    }
}

/* The first byte gives the length of the memory, the second how often all is checked. */
static int begin(struct input *input, unsigned *every)
{
    static const unsigned char intervals[] = {8, 1, 4, 32};
    memset(&fortran, 0, sizeof fortran);
    fortran.bytes = LEN_LEAST + 128 * (size_t)input_byte(input);
    *every = intervals[input_byte(input) & 3];
    fortran.bytes = fortran.bytes / 4096 * 4096 + 4096;
    memset(arena_memory(0, fortran.bytes), 0xa5,
           fortran.bytes); /* else the last input's contents */
    fortran.heap[0] = ShmemHeap_init_from_scratch(arena_memory(0, fortran.bytes), fortran.bytes);
    if (!fortran.heap[0])
        return -1;
    fortran.heap[1] = ShmemHeap_clone_sized(arena_memory(1, fortran.bytes), fortran.bytes);
    FUZZ_CHECK(fortran.heap[1] != NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    unsigned every;
    world_input(bytes, len);
    if (begin(&input, &every) != 0)
        return 0;
    for (unsigned i = 0; i < STEPS_MAX && input_more(&input); i++) {
        unsigned head = *input.at & (OP_SLOTS - 1);
        struct op op = op_decode(&input);
        if (op.marked && fortran.count)
            peer_writes(&op, block_pick(&op));
        else
            step_make(&op, (enum step)(head % STEPS));
        if (i % every == 0)
            check_all();
    }
    check_all();
    FUZZ_CHECK(ShmemHeap_delete(fortran.heap[0]) == 0 && ShmemHeap_delete(fortran.heap[1]) == 0);
    return 0;
}
