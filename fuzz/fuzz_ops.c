/* fuzz_ops.c: any calls through two connections. After each n-th call and at the end, the heap is
 * sound and all objects have their contents. The input chooses n.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/world.h"

/* Heaps with caches must be large, and checking them takes long. */
enum { STEPS_MAX = 400, CACHED_FACTOR = 8 };

/* Checks take most of the time of a run. Bits 5 and 6 of the first byte: n is 8, 1, 2 or 32. */
static unsigned checked_every(const uint8_t *bytes, size_t len, const struct heap_shape *shape)
{
    static const unsigned char choices[] = {8, 1, 2, 32};
    return choices[len > 0 ? bytes[0] >> 5 & 3 : 0] * (shape->cached ? CACHED_FACTOR : 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    static struct world world;
    struct heap_shape shape = shape_decode(&input);
    const unsigned every = checked_every(bytes, len, &shape);
    world_input(bytes, len);
    if (world_begin(&world, &shape))
        return 0;
    for (unsigned i = 0; i < STEPS_MAX && input_more(&input); i++) {
        struct op op = op_decode(&input);
        world_step(&world, &op);
        if (i % every == 0)
            world_check(&world);
    }
    world_check(&world);
    world_end(&world);
    return 0;
}
