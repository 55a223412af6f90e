/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/misuse/victim/arena.h"

#include <sys/mman.h>

enum { OBJECTS = 20, PAGE = 4096 };

struct arena *arena_begin(size_t pages)
{
    struct arena *arena = test_shared(sizeof *arena);
    unsigned char *all = test_shared((pages + 2) * PAGE);
    arena->bytes = pages * PAGE;
    arena->memory = all + PAGE;
    CHECK(mprotect(all, PAGE, PROT_NONE) == 0 &&
          mprotect(all + PAGE + arena->bytes, PAGE, PROT_NONE) == 0);
    return arena;
}

void arena_end(struct arena *arena)
{
    printf("  %llu rounds: %llu calls accepted, %llu refused, %llu gave up waiting\n",
           (unsigned long long)arena->victim.round + 1, (unsigned long long)arena->victim.accepted,
           (unsigned long long)arena->victim.refused, (unsigned long long)arena->victim.timed_out);
    CHECK(arena->victim.accepted > 0 && arena->victim.refused > 0);
    test_unshare(arena->memory - PAGE, arena->bytes + 2 * PAGE);
    test_unshare(arena, sizeof *arena);
}

/* Free blocks are all in the free list, all in size bins and the large tree, or in either. */
static void create(struct arena *arena, const shmheap_options *options)
{
    static const unsigned most[] = {64, 0, 4};
    test_choose_list_max(most[arena->victim.round % 3]);
    CHECK_EQ(shmheap_create_at(&arena->mem, arena->memory, arena->bytes, options), 0);
    arena->layout = arena->mem.heap->layout;
}

void arena_build(struct arena *arena, struct test_random *random)
{
    shmheap_options options = {.alignment = 8 << test_random_below(random, 2)};
    void *objects[OBJECTS];
    if (test_random_below(random, 3) == 0) {
        options.len = 4096;
        options.max_len = arena->bytes - 12288;
    } else if (test_random_below(random, 2)) {
        options.flags = SHMHEAP_CACHED;
    }
    create(arena, &options);
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = shmheap_alloc(arena->mem, test_random_below(random, 200));
        CHECK(objects[i] != NULL);
    }
    CHECK(shmheap_alloc_named(arena->mem, "a", 40) != NULL &&
          shmheap_alloc_named(arena->mem, "b", 100) != NULL);
    for (size_t i = 0; i < OBJECTS; i += 2)
        shmheap_free(arena->mem, objects[i]);
}

void arena_build_cached(struct arena *arena)
{
    create(arena, &(shmheap_options){.flags = SHMHEAP_CACHED});
}

size_t arena_place(const struct arena *arena, struct test_random *random)
{
    const struct layout *layout = &arena->layout;
    size_t place = 0, last = arena->bytes - sizeof(uint64_t);
    switch (test_random_below(random, 6)) {
        case 0:
        case 1:
            place = test_random_below(random, sizeof(struct control));
            break;
        case 2:
            place =
                layout->bits_off + test_random_below(random, layout->region_off - layout->bits_off);
            break;
        case 3:
        case 4:
            place = layout->region_off + 8 + 8 * test_random_below(random, 300);
            break;
        default:
            place = test_random_below(random, arena->bytes);
    }
    return place < last ? place & ~(size_t)7 : last;
}

uint64_t arena_word(const struct arena *arena, struct test_random *random, uint64_t old)
{
    uint64_t bits = test_random_next(random);
    switch (bits % 8) {
        case 0:
            return 0;
        case 1:
            return ~UINT64_C(0);
        case 2:
            return old + 1 - (bits >> 8 & 2);
        case 3:
            return old ^ UINT64_C(1) << (bits >> 8 & 63);
        case 4:
            return bits >> 8 & 0x1ff;
        case 5:
            return (UINT64_C(1) << HEADER_STATE_SHIFT) | (bits >> 8 & 0xfff);
        case 6:
            return arena->bytes - (bits >> 8 & 0xff);
        default:
            return bits >> 8 >> (bits & 63);
    }
}

void arena_attach_again(struct arena *arena, struct test_random *random, unsigned calls)
{
    shmheap_memory_handle mem;
    snprintf(arena->victim.call, sizeof arena->victim.call, "attach_at");
    if (shmheap_attach_at(&mem, arena->memory, arena->bytes) != 0)
        return;
    victim_calls(&arena->victim, mem, random, calls);
    snprintf(arena->victim.call, sizeof arena->victim.call, "disconnect");
    shmheap_disconnect(mem);
}
