/* op.c: decodes shapes and operations.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/op.h"

struct heap_shape shape_decode(struct input *input)
{
    unsigned flags = input_byte(input), len = input_byte(input);
    struct heap_shape shape = {128 + 40 * (size_t)len, 0,
                               flags & 1 ? 8 : 16,     (flags & 4) != 0,
                               flags >> 3 == 31,       flags >> 3 & 3};
    if (shape.cached) /* the core uses caches in heaps of 64 KiB and more */
        shape.len += SHAPE_CACHED_LEN;
    if (flags & 2)
        shape.max_len = 6 * shape.len;
    return shape;
}

/* The top three bits choose the range, thirteen bits the size in it. Most sizes are small; the
 * largest values give sizes that overflow sums. */
static uint64_t size_decode(unsigned two, unsigned which)
{
    static const unsigned char less[8] = {9, 8, 6, 5, 3, 2, 0, 0};
    uint64_t size = (two & 0x1fff) >> less[two >> 13];
    if (two >= 0xfff0)
        return UINT64_MAX - (two & 15) * 8 - which;
    return two >> 13 == 7 ? size << 3 : size;
}

static enum op_kind kind_decode(unsigned slot)
{
    return slot < OP_KINDS ? (enum op_kind)slot : slot & 1 ? OP_FREE : OP_ALLOC;
}

/* Byte 0: bits 0-5 kind, 6 side, 7 marked. Byte 1: which. Bytes 2-3: size. */
struct op op_decode(struct input *input)
{
    unsigned head = input_byte(input), which = input_byte(input), two = input_two(input);
    struct op op = {kind_decode(head & (OP_SLOTS - 1)), head >> 6 & 1, which,
                    size_decode(two, which), head >> 7 != 0};
    return op;
}
