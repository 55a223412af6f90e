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

/* Memory of six times 96 KiB has a thousand slots, and visiting them took a third of a run. Without
 * a file a heap with caches grows by what heaps without caches grow by; with a file, by all. */
static void grows_less(struct heap_shape *shape)
{
    if (shape->cached && !shape->in_file && shape->max_len != 0)
        shape->max_len = shape->len + 5 * (shape->len - SHAPE_CACHED_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    static struct world world;
    struct heap_shape shape = shape_decode(&input);
    grows_less(&shape);
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
