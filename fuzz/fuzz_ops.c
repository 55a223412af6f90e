/* Any calls through two connections: after each the heap is sound and every object's bytes are as written.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world.h"

enum { STEPS_MAX = 400 };

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
        world_check(&world);
    }
    world_end(&world);
    return 0;
}
