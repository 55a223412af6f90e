/* mutate.c: mutations of whole operations, beside libFuzzer's own: insert, remove, repeat,
 * exchange, change one field.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/world/op.h"

enum { TOGETHER_MAX = 16 }; /* operations that are copied or removed at a time */

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t len, size_t max_len);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max_len, unsigned seed);

/* struct program is the operations of an input, which follow its shape. */
struct program {
    uint8_t *ops;
    size_t count, room;
    uint64_t random;
};

static size_t below(struct program *program, size_t limit)
{
    program->random =
        program->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)((program->random >> 33) % limit);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static uint8_t *at(struct program *program, size_t index) { return program->ops + OP_LEN * index; }

static void make_room(struct program *program, size_t index, size_t count)
{
    memmove(at(program, index + count), at(program, index), OP_LEN * (program->count - index));
    program->count += count;
}

static void fill_random(struct program *program, uint8_t *op)
{
    op[0] = (uint8_t)(below(program, OP_KINDS) | below(program, 4) << 6);
    for (unsigned i = 1; i < OP_LEN; i++)
        op[i] = (uint8_t)below(program, 256);
}

static void insert_new(struct program *program)
{
    size_t count = 1 + below(program, 4), index = below(program, program->count + 1);
    if (program->count + count > program->room)
        return;
    make_room(program, index, count);
    for (size_t i = 0; i < count; i++)
        fill_random(program, at(program, index + i));
}

/* As many operations are removed as are copied, in the mean: inputs do not become longer by chance.
 * Copies consecutive operations to another place. */
static void insert_copy(struct program *program)
{
    uint8_t copy[OP_LEN * TOGETHER_MAX];
    size_t most = least(least(program->count, program->room - program->count), TOGETHER_MAX);
    if (most == 0)
        return;
    size_t count = 1 + below(program, most), from = below(program, program->count - count + 1),
           to = below(program, program->count + 1);
    memcpy(copy, at(program, from), OP_LEN * count);
    make_room(program, to, count);
    memcpy(at(program, to), copy, OP_LEN * count);
}

/* One operation remains. */
static void remove_some(struct program *program)
{
    size_t most = least(program->count - 1, TOGETHER_MAX);
    if (most == 0)
        return;
    size_t count = 1 + below(program, most), index = below(program, program->count - count + 1);
    memmove(at(program, index), at(program, index + count),
            OP_LEN * (program->count - index - count));
    program->count -= count;
}

static void exchange_two(struct program *program)
{
    uint8_t one[OP_LEN], *a = at(program, below(program, program->count)),
                         *b = at(program, below(program, program->count));
    memcpy(one, a, OP_LEN);
    memmove(a, b, OP_LEN);
    memcpy(b, one, OP_LEN);
}

static void change_field(struct program *program)
{
    uint8_t *op = at(program, below(program, program->count));
    switch (below(program, 4)) {
        case 0:
            op[0] = (uint8_t)((op[0] & ~(OP_SLOTS - 1)) | below(program, OP_KINDS));
            break;
        case 1:
            op[0] ^= (uint8_t)(64u << below(program, 2));
            break;
        case 2:
            op[1] = (uint8_t)below(program, 256);
            break;
        default: /* the low byte plus or minus one or unchanged; the high byte any or unchanged */
            op[2] = (uint8_t)(op[2] + below(program, 3) - 1);
            if (below(program, 2))
                op[3] = (uint8_t)below(program, 256);
    }
}

/* An execution on a heap with a file takes several times as long, and the kept inputs have many:
 * they cover more. Of 8 changed inputs with a file 7 lose it, so most runs explore the heap. */
static void file_seldom(struct program *program, uint8_t *bytes, size_t len)
{
    if (len > 0 && bytes[0] >> 3 == 31 && below(program, 8) != 0)
        bytes[0] &= 0x7f;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t len, size_t max_len, unsigned seed)
{
    static void (*const changes[])(struct program *) = {insert_new, insert_copy, remove_some,
                                                        exchange_two, change_field};
    struct program program = {.random = seed};
    if (len < SHAPE_LEN + OP_LEN || below(&program, 3) == 0) {
        len = LLVMFuzzerMutate(bytes, len, max_len);
        file_seldom(&program, bytes, len);
        return len;
    }
    program.ops = bytes + SHAPE_LEN;
    program.count = (len - SHAPE_LEN) / OP_LEN;
    program.room = (max_len - SHAPE_LEN) / OP_LEN;
    changes[below(&program, sizeof changes / sizeof *changes)](&program);
    file_seldom(&program, bytes, len);
    return SHAPE_LEN + OP_LEN * program.count;
}
