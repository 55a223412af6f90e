/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/op.h"

struct heap_shape shape_decode(struct input *input)
{
    unsigned flags = input_byte(input), len = input_byte(input);
    struct heap_shape shape = {128 + 40 * (size_t)len, 0, flags & 1 ? 8 : 16, (flags & 4) != 0};
    if (shape.cached) /* the core caches in heaps of 64 KiB and more */
        shape.len += 96 << 10;
    if (flags & 2)
        shape.max_len = 6 * shape.len;
    return shape;
}

/* Mostly small sizes; at the top those that overflow sums. */
static uint64_t size_decode(unsigned two, unsigned shift, unsigned which)
{
    if (two >= 0xfff0)
        return UINT64_MAX - (two & 15) * 8 - which;
    return two >> shift;
}

struct op op_decode(struct input *input)
{
    unsigned head = input_byte(input), which = input_byte(input), two = input_two(input);
    struct op op = {(enum op_kind)((head & 15) % OP_KINDS), head >> 4 & 1, which, 0};
    op.size = size_decode(two, head >> 5 << 1, which);
    return op;
}
