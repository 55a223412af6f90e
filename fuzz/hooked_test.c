/* hooked_test.c: in a program with the hook, the calls that fuzz/world makes have it too. The
 * linker once took a part of the core, such as handles.c, from the library without the hook.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/world.h"
#include "tests/support/test.h"

void (*shmheap_load_hook)(const void *word);
static unsigned loads;

static void count(const void *word)
{
    (void)word;
    loads++;
}

/* This file calls nothing of the core: a call would bring its file with the hook. A handle is made
 * and resolved twice; each time handles.c alone loads the block's header and its start bit. */
static void handles_are_loaded_by_hooked_code(void)
{
    static struct world world;
    static const uint8_t input[1];
    const struct heap_shape shape = {.len = 4096, .alignment = 16};
    const struct op alloc = {OP_ALLOC, 0, 0, 100, 0}, handle = {OP_HANDLE, 0, 0, 100, 0};
    world_input(input, sizeof input);
    CHECK_EQ(world_begin(&world, &shape), 0);
    world_step(&world, &alloc);
    shmheap_load_hook = count;
    world_step(&world, &handle);
    shmheap_load_hook = NULL;
    CHECK_LE(6, loads);
    world_end(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    return 0;
}

static const struct test tests[] = {TEST(handles_are_loaded_by_hooked_code)};
TEST_MAIN(tests)
