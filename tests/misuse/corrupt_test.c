/* A hostile peer writes anything anywhere: every call returns, and stays inside the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <sys/mman.h>

#include "c/src/connection.h"
#include "tests/misuse/victim.h"

enum { ROUNDS = 100000, CALLS = 30, SCRIBBLED_ROUNDS = 5000, SCRIBBLED_CALLS = 100, OBJECTS = 20, PAGE = 4096, PAGES = 21 };

/* struct arena is shared: a heap that fills the memory between two pages that nobody may touch. */
struct arena {
    struct victim victim;
    unsigned char *memory;
    size_t bytes;
    volatile uint64_t turn;    /* odd: the peer writes */
    volatile uint64_t seen;    /* the turn that the peer goes by */
    volatile uint64_t writes;
    shmheap_memory_handle mem; /* of the process that built it last */
    struct layout layout;      /* of that heap; the peer reads it, too */
};

static struct arena *arena_begin(size_t pages)
{
    struct arena *arena = test_shared(sizeof *arena);
    unsigned char *all = test_shared((pages + 2) * PAGE);
    arena->bytes = pages * PAGE;
    arena->memory = all + PAGE;
    CHECK(mprotect(all, PAGE, PROT_NONE) == 0 && mprotect(all + PAGE + arena->bytes, PAGE, PROT_NONE) == 0);
    return arena;
}

static void arena_end(struct arena *arena)
{
    printf("  %llu rounds: %llu calls accepted, %llu refused, %llu gave up waiting\n",
           (unsigned long long)arena->victim.round + 1, (unsigned long long)arena->victim.accepted,
           (unsigned long long)arena->victim.refused, (unsigned long long)arena->victim.timed_out);
    CHECK(arena->victim.accepted > 0 && arena->victim.refused > 0);
    test_unshare(arena->memory - PAGE, arena->bytes + 2 * PAGE);
    test_unshare(arena, sizeof *arena);
}

/* A new heap with some objects, two of them with names, of either alignment, growing or not, with caches where it is large enough. */
static void arena_build(struct arena *arena, struct test_random *random)
{
    shmheap_options options = {.alignment = 8 << test_random_below(random, 2)};
    void *objects[OBJECTS];
    if (test_random_below(random, 3) == 0) {
        options.len = 4096;
        options.max_len = arena->bytes - 12288;
    } else if (test_random_below(random, 2)) {
        options.flags = SHMHEAP_CACHED;
    }
    CHECK_EQ(shmheap_create_at(&arena->mem, arena->memory, arena->bytes, &options), 0);
    arena->layout = arena->mem.heap->layout;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = shmheap_alloc(arena->mem, test_random_below(random, 200));
        CHECK(objects[i] != NULL);
    }
    CHECK(shmheap_alloc_named(arena->mem, "a", 40) != NULL && shmheap_alloc_named(arena->mem, "b", 100) != NULL);
    for (size_t i = 0; i < OBJECTS; i += 2)
        shmheap_free(arena->mem, objects[i]);
}

/* Where a byte of what kind lies: control, slots, index, first headers, anything. */
static size_t some_place(const struct arena *arena, struct test_random *random)
{
    const struct layout *layout = &arena->layout;
    switch (test_random_below(random, 6)) {
    case 0:
    case 1:
        return test_random_below(random, sizeof(struct control));
    case 2:
        return layout->bits_off + test_random_below(random, layout->region_off - layout->bits_off);
    case 3:
    case 4:
        return layout->region_off + 8 + 8 * test_random_below(random, 300);
    default:
        return test_random_below(random, arena->bytes);
    }
}

/* Values that are more probable than others to pass a check by mistake. */
static uint64_t some_word(const struct arena *arena, struct test_random *random, uint64_t old)
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

static void damage(struct arena *arena, struct test_random *random, uint64_t round)
{
    uint64_t places = 1 + test_random_below(random, 3), word = 0;
    size_t place = 0;
    for (uint64_t i = 0; i < places; i++) {
        place = some_place(arena, random) & ~(size_t)7;
        if (place > arena->bytes - 8)
            place = arena->bytes - 8;
        /* A lock that a dead one seems to have is waited for: a tenth of a second each time. */
        if (place == offsetof(struct control, lock) && test_random_below(random, 10) != 0)
            place += 8;
        memcpy(&word, arena->memory + place, 8);
        word = some_word(arena, random, word);
        memcpy(arena->memory + place, &word, 8);
    }
    victim_round(&arena->victim, round, "%llu changes, the last of byte %zu to %#llx (region at %llu)",
                 (unsigned long long)places, place, (unsigned long long)word,
                 (unsigned long long)arena->layout.region_off);
}

/* A second connection to what is there now. */
static void attach_again(struct arena *arena, struct test_random *random)
{
    shmheap_memory_handle mem;
    snprintf(arena->victim.call, sizeof arena->victim.call, "attach_at");
    if (shmheap_attach_at(&mem, arena->memory, arena->bytes) != 0)
        return;
    victim_calls(&arena->victim, mem, random, CALLS);
    snprintf(arena->victim.call, sizeof arena->victim.call, "disconnect");
    shmheap_disconnect(mem);
}

static void damaged_rounds(void *context)
{
    struct arena *arena = context;
    size_t rounds = test_rounds(ROUNDS);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_random random = test_random_begin(round);
        arena_build(arena, &random);
        damage(arena, &random, round);
        if (round % 2)
            attach_again(arena, &random);
        victim_calls(&arena->victim, arena->mem, &random, CALLS);
        shmheap_disconnect(arena->mem);
    }
}

static void damage_before_the_calls(void)
{
    struct arena *arena = arena_begin(PAGES);
    victim_run(&arena->victim, damaged_rounds, arena);
    arena_end(arena);
}

/* Not the lock: the victim would only wait for it. Often back again, so that what was right a moment ago is right a
 * moment later; in every other round always, or the heap would soon be such a ruin that all calls are refused at the door. */
static void scribble_once(struct arena *arena, struct test_random *random)
{
    size_t place = some_place(arena, random) & ~(size_t)7;
    if (place > arena->bytes - 8 || place == offsetof(struct control, lock))
        return;
    volatile uint64_t *word = (volatile uint64_t *)(void *)(arena->memory + place);
    uint64_t old = *word;
    *word = some_word(arena, random, old);
    if ((arena->seen & 2) || test_random_below(random, 4))
        *word = old;
    arena->writes++;
}

/* The peer: knows the heap, and rests only while it is built. */
static void scribble(void *context)
{
    struct arena *arena = context;
    struct test_random random = test_random_begin(777);
    for (;;) {
        arena->seen = arena->turn;
        if (arena->seen % 2)
            scribble_once(arena, &random);
    }
}

static void scribbled_round(struct arena *arena, struct test_random *random)
{
    uint64_t before = arena->writes;
    arena->turn++;
    while (arena->writes == before)
        sched_yield();
    victim_calls(&arena->victim, arena->mem, random, SCRIBBLED_CALLS);
    arena->turn++;
    while (arena->seen != arena->turn)
        sched_yield();
}

static void scribbled_rounds(void *context)
{
    struct arena *arena = context;
    size_t rounds = test_rounds(SCRIBBLED_ROUNDS);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_random random = test_random_begin(100000 + round);
        arena_build(arena, &random);
        victim_round(&arena->victim, round, "a peer that goes on writing");
        scribbled_round(arena, &random);
        shmheap_disconnect(arena->mem);
    }
}

/* What the victim has just checked may have changed before it looks again. The peer is a process, since in a thread of
 * the victim's its writes would be the program's own races. */
static void damage_during_the_calls(void)
{
    struct arena *arena = arena_begin(PAGES);
    struct test_random random = test_random_begin(1);
    arena_build(arena, &random); /* gives the peer the layout */
    pid_t peer = test_fork(scribble, arena);
    victim_run(&arena->victim, scribbled_rounds, arena);
    test_kill(peer);
    printf("  the peer wrote %llu times\n", (unsigned long long)arena->writes);
    arena_end(arena);
}

static const struct test tests[] = {TEST(damage_before_the_calls), TEST(damage_during_the_calls)};
TEST_MAIN(tests)
