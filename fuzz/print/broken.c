/* broken.c: a target that breaks its heap, for print_test.sh: its program must show the fault.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/world/world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct world world;
    const struct heap_shape shape = {.len = 4096, .alignment = 16};
    const struct op alloc = {OP_ALLOC, 0, 0, 100, 0};
    world_input(bytes, len);
    FUZZ_CHECK(world_begin(&world, &shape) == 0);
    world_step(&world, &alloc);
    SAY("memset(ptr(0, at[0] - 8), 255, 8); /* the block's header */");
    memset(world_ptr(&world, 0, world.objects[0].offset - 8), 255, 8);
    world_check(&world);
    world_end(&world);
    return 0;
}
