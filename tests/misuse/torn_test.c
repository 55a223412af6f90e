/* A hostile peer writes between any two loads of a call: what was checked is another value when it
 * is looked at again.
 * SPDX-License-Identifier: Apache-2.0
 *
 * corrupt_test has a peer that really runs beside; two loads with nothing but a few instructions
 * between them it seldom parts. Here the library calls shmheap_load_hook before each of its loads,
 * and the hook is the peer. */
#include "c/src/block/block.h"
#include "tests/misuse/victim/arena.h"

enum {
    ROUNDS = 60000,
    CALLS = 60,
    RATES = 11,
    CACHED_PAGES = 300,
    CACHED_ROUNDS = 4000,
    CACHED_CALLS = 500
};

void (*shmheap_load_hook)(const void *word);

/* struct peer is private: how often it writes, and what it puts back. */
struct peer {
    struct arena *arena;
    struct test_random random;
    uint64_t rate;  /* a write at one load in rate */
    int puts_back;  /* whether it undoes most of its writes */
    int of_caches;  /* whether it writes headers of cached blocks alone */
    uint64_t *word; /* what it will put back; NULL: nothing */
    uint64_t old, loads;
};

static struct peer peer;

static void peer_puts_back(void)
{
    if (peer.word != NULL)
        *peer.word = peer.old;
    peer.word = NULL;
}

/* Most often what is about to be read. Not the lock: the victim would only wait for it. */
static void peer_writes(const void *about)
{
    struct arena *arena = peer.arena;
    size_t place = (size_t)((uintptr_t)about - (uintptr_t)arena->memory) & ~(size_t)7;
    if (!peer.of_caches && place != offsetof(struct control, lock) &&
        test_random_below(&peer.random, 4) == 0)
        place = arena_place(arena, &peer.random);
    if (place == offsetof(struct control, lock))
        return;
    uint64_t *word = (uint64_t *)(void *)(arena->memory + place), old = *word;
    *word = arena_word(arena, &peer.random, old);
    arena->writes++;
    if (peer.puts_back && test_random_below(&peer.random, 8) != 0) {
        peer.word = word;
        peer.old = old;
        peer.loads =
            1 + test_random_below(&peer.random, test_random_below(&peer.random, 2) ? 2 : 20);
    }
}

static void peer_hook(const void *word)
{
    if ((uintptr_t)word - (uintptr_t)peer.arena->memory >= peer.arena->bytes)
        return;
    if (peer.word != NULL && peer.loads-- == 0)
        peer_puts_back();
    if (peer.of_caches && ((uintptr_t)word % sizeof(uint64_t) != 0 ||
                           header_state(*(const uint64_t *)word) != SHMHEAP_STATE_CACHED))
        return;
    if (peer.word == NULL && test_random_below(&peer.random, peer.rate) == 0)
        peer_writes(word);
}

/* The hook is on from here until peer_ends. */
static void peer_begins(struct arena *arena, uint64_t round, struct test_random *random)
{
    peer.arena = arena;
    peer.random = test_random_begin(~round);
    peer.rate = UINT64_C(2) << test_random_below(random, RATES);
    peer.puts_back = test_random_below(random, 8) != 0;
    victim_round(&arena->victim, round, "a write at one load in %llu",
                 (unsigned long long)peer.rate);
    shmheap_load_hook = peer_hook;
}

static void peer_ends(void)
{
    shmheap_load_hook = NULL;
    peer_puts_back();
}

static void torn_rounds(void *context)
{
    struct arena *arena = context;
    size_t rounds = test_rounds(ROUNDS);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_random random = test_random_begin(round);
        arena_build(arena, &random);
        peer_begins(arena, round, &random);
        if (round % 4 == 0)
            arena_attach_again(arena, &random, CALLS);
        else
            victim_calls(&arena->victim, arena->mem, &random, CALLS);
        peer_ends();
        shmheap_disconnect(arena->mem);
    }
}

/* A larger heap, where caches fetch and flush many at a time. */
static void torn_rounds_of_caches(void *context)
{
    struct arena *arena = context;
    size_t rounds = test_rounds(CACHED_ROUNDS);
    peer.of_caches = 1;
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_random random = test_random_begin(round);
        arena_build_cached(arena);
        peer_begins(arena, round, &random);
        victim_calls(&arena->victim, arena->mem, &random, CACHED_CALLS);
        peer_ends();
        shmheap_disconnect(arena->mem);
    }
}

static void check_survives(void (*rounds)(void *context), size_t pages)
{
    struct arena *arena = arena_begin(pages);
    victim_run(&arena->victim, rounds, arena);
    printf("  the peer wrote %llu times\n", (unsigned long long)arena->writes);
    CHECK(arena->writes > 0);
    arena_end(arena);
}

static void a_peer_writes_between_any_two_loads(void) { check_survives(torn_rounds, ARENA_PAGES); }
static void a_peer_writes_headers_of_cached_blocks(void)
{
    check_survives(torn_rounds_of_caches, CACHED_PAGES);
}

static const struct test tests[] = {TEST(a_peer_writes_between_any_two_loads),
                                    TEST(a_peer_writes_headers_of_cached_blocks)};
TEST_MAIN(tests)
