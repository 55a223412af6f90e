/* fuzz_image.c: arbitrary and damaged segments.
 *
 * The library refuses a segment that cannot be a heap. Every call returns, and no returned pointer
 * or length leads outside the heap. The memory lies between guard pages.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "fuzz/hostile/hostile.h"
#include "fuzz/world/world.h"

enum { STEPS_MAX = 200, IMAGE_FLAG = 64, IMAGE_PAGES_MAX = 4, PAGE = 4096 };

static struct world world;
static struct hostile hostile;

/* Makes the operations before the first marked one on a sound heap, which is damaged afterwards. */
static void take_over(struct input *input)
{
    for (unsigned i = 0; i < STEPS_MAX && input_more(input) && !(*input->at & 128); i++) {
        struct op op = op_decode(input);
        world_step(&world, &op);
    }
    hostile_begin(&hostile, world.bytes, world.mem);
    for (unsigned i = 0; i < world.count && i < HOSTILE_KEPT; i++)
        hostile.kept[i] = world.objects[i].offset;
}

static void print_image(const uint8_t *bytes, size_t len)
{
    if (!world_printing)
        return;
    world_print_memory(hostile.bytes);
    printf("    static const unsigned char image[] = {");
    for (size_t i = 0; i < len; i++)
        printf("%u,", bytes[i]);
    printf("0};\n    memcpy(memory[0], image, %zu);\n", len);
}

/* The input has a length and that many bytes of the memory; the other bytes are zeros. */
static void take_image(struct input *input)
{
    size_t pages = 1 + input_byte(input) % IMAGE_PAGES_MAX, len = input_two(input),
           room = (size_t)(input->end - input->at);
    len = len < room ? len : room;
    len = len < pages * PAGE ? len : pages * PAGE;
    hostile_begin(&hostile, pages * PAGE, NULL);
    memset(hostile.memory[0], 0, hostile.bytes);
    memcpy(hostile.memory[0], input->at, len);
    print_image(input->at, len);
    input->at += len;
    for (unsigned side = 0; side < 2; side++)
        hostile_step(&hostile, &(struct op){OP_RECONNECT, side, 0, 0, 0});
}

/* A marked operation is an edit: its four bytes and the next eight. */
static void attack(struct input *input)
{
    for (unsigned i = 0; i < STEPS_MAX && input_more(input) && !hostile.gave_up; i++)
        if (*input->at & 128)
            edit_do(&hostile, input);
        else {
            struct op op = op_decode(input);
            hostile_step(&hostile, &op);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    int image = len > 0 && (bytes[0] & IMAGE_FLAG);
    struct heap_shape shape = shape_decode(&input);
    shape.in_file = 0;
    world_input(bytes, len);
    if (image)
        take_image(&input);
    else if (world_begin(&world, &shape) == 0)
        take_over(&input);
    else
        return 0;
    attack(&input);
    shmheap_disconnect(hostile.mem[0]);
    shmheap_disconnect(hostile.mem[1]);
    world_print_end();
    return 0;
}
