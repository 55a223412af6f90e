/* fuzz_ops.c: any calls through two connections. After each call, in large heaps after some, the
 * heap is sound and all objects have their contents.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/world.h"

/* Heaps with caches must be large, and checking them takes long. */
enum { STEPS_MAX = 400, CACHED_CHECKED_EVERY = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    static struct world world;
    struct heap_shape shape = shape_decode(&input);
    world_input(bytes, len);
    if (world_begin(&world, &shape))
        return 0;
    for (unsigned i = 0; i < STEPS_MAX && input_more(&input); i++) {
        struct op op = op_decode(&input);
        world_step(&world, &op);
        if (!shape.cached || i % CACHED_CHECKED_EVERY == 0)
            world_check(&world);
    }
    world_check(&world);
    world_end(&world);
    return 0;
}
