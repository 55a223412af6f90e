/* A hostile peer writes anything anywhere: every call returns, and stays inside the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/misuse/victim/arena.h"

enum { ROUNDS = 100000, CALLS = 30, SCRIBBLED_ROUNDS = 5000, SCRIBBLED_CALLS = 100 };

static void damage(struct arena *arena, struct test_random *random, uint64_t round)
{
    uint64_t places = 1 + test_random_below(random, 3), word = 0;
    size_t place = 0;
    for (uint64_t i = 0; i < places; i++) {
        place = arena_place(arena, random);
        /* A lock that a dead process seems to hold is waited for: a tenth of a second each time. */
        if (place == offsetof(struct control, lock) && test_random_below(random, 10) != 0)
            place += 8;
        memcpy(&word, arena->memory + place, 8);
        word = arena_word(arena, random, word);
        memcpy(arena->memory + place, &word, 8);
    }
    victim_round(&arena->victim, round,
                 "%llu changes, the last of byte %zu to %#llx (region at %llu)",
                 (unsigned long long)places, place, (unsigned long long)word,
                 (unsigned long long)arena->layout.region_off);
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
            arena_attach_again(arena, &random, CALLS);
        victim_calls(&arena->victim, arena->mem, &random, CALLS);
        shmheap_disconnect(arena->mem);
    }
}

static void damage_before_the_calls(void)
{
    struct arena *arena = arena_begin(ARENA_PAGES);
    victim_run(&arena->victim, damaged_rounds, arena);
    arena_end(arena);
}

/* Not the lock: the victim would only wait for it. Often back again, so that what was right a
 * moment ago is right a moment later; in every other round always, or the heap would soon be such a
 * ruin that all calls are refused at the door. */
static void scribble_once(struct arena *arena, struct test_random *random, uint32_t turn)
{
    size_t place = arena_place(arena, random);
    if (place == offsetof(struct control, lock))
        return;
    volatile uint64_t *word = (volatile uint64_t *)(void *)(arena->memory + place);
    uint64_t old = *word;
    *word = arena_word(arena, random, old);
    if ((turn & 2) || test_random_below(random, 4))
        *word = old;
    arena->writes++;
}

/* The hand-over between victim and peer: which of them goes on sleeps in the kernel until then. A
 * process that yielded in a loop would get its turn late on a busy machine. */
static uint32_t word_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

static void word_set(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void word_await(uint32_t *word, uint32_t value)
{
    for (uint32_t now; (now = word_load(word)) != value;)
        syscall(SYS_futex, word, FUTEX_WAIT, now, NULL, NULL, 0);
}

/* The peer: knows the heap, and rests only while it is built. */
static void scribble(void *context)
{
    struct arena *arena = context;
    struct test_random random = test_random_begin(777);
    for (uint32_t turn = 1;; turn += 2) {
        word_await(&arena->turn, turn);
        scribble_once(arena, &random, turn);
        word_set(&arena->seen, turn);
        while (word_load(&arena->turn) == turn)
            scribble_once(arena, &random, turn);
        word_set(&arena->seen, turn + 1);
    }
}

/* Tells the peer, and waits until it has done so. */
static void turn_begin(struct arena *arena, uint32_t turn)
{
    word_set(&arena->turn, turn);
    word_await(&arena->seen, turn);
}

static void scribbled_round(struct arena *arena, struct test_random *random)
{
    turn_begin(arena, arena->turn + 1);
    victim_calls(&arena->victim, arena->mem, random, SCRIBBLED_CALLS);
    turn_begin(arena, arena->turn + 1);
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

/* What the victim has just checked may have changed before it looks again. The peer is a process,
 * since in a thread of the victim's its writes would be the program's own races. */
static void damage_during_the_calls(void)
{
    struct arena *arena = arena_begin(ARENA_PAGES);
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
