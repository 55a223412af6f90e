/* A hostile peer writes between any two loads of shmheap_copy: no crash, no endless loop; the call
 * fails, or makes a file that opens or not.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "c/src/block/block.h"
#include "tests/misuse/victim/victim.h"

enum { ROUNDS = 1500, LEN = 1 << 16, MAX_LEN = 1 << 18, OBJECTS = 60, RATES = 12 };

void (*shmheap_load_hook)(const void *word);

/* struct peer is private: what it writes into, how often, and how much it wrote. */
struct peer {
    struct test_random random;
    unsigned char *memory;
    uint64_t bytes, rate, writes;
};

static struct peer peer;

static uint64_t some_word(uint64_t old)
{
    const uint64_t random = test_random_next(&peer.random);
    switch (random & 7) {
        case 0:
            return 0;
        case 1:
            return UINT64_MAX;
        case 2:
            return random;
        case 3:
            return old + (random >> 8 & 15) - 8;
        case 4:
            return *(const uint64_t *)(const void *)(peer.memory +
                                                     (random >> 8) % (peer.bytes / 8) * 8);
        default:
            return old ^ UINT64_C(1) << (random >> 8 & 63);
    }
}

/* Most often what is about to be read. Not the lock: the victim would only wait for it. */
static void peer_hook(const void *about)
{
    uint64_t place = (uint64_t)((uintptr_t)about - (uintptr_t)peer.memory) & ~UINT64_C(7);
    if (place >= peer.bytes || test_random_below(&peer.random, peer.rate) != 0)
        return;
    if (test_random_below(&peer.random, 4) == 0)
        place = test_random_below(&peer.random, peer.bytes / 8) * 8;
    uint64_t *word = (uint64_t *)(void *)(peer.memory + place);
    if (place == offsetof(struct control, lock))
        return;
    *word = some_word(*word);
    peer.writes++;
}

static shmheap_memory_handle build(uint64_t round)
{
    shmheap_memory_handle mem;
    const shmheap_options options = {.len = LEN,
                                     .max_len = MAX_LEN,
                                     .alignment = round & 1 ? 8 : 16,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS |
                                              (round & 2 ? SHMHEAP_SPARSE : 0)};
    void *objects[OBJECTS];
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((objects[i] = shmheap_alloc(mem, 20 + 13 * i)) != NULL);
    for (unsigned i = 0; i < OBJECTS; i += 2)
        CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
    CHECK(shmheap_alloc_kept(mem, "kept", 100) != NULL);
    return mem;
}

/* Its contents may be anything; it must not harm. */
static void look_at_copy(const char *path)
{
    shmheap_memory_handle mem;
    const shmheap_options options = {.flags = SHMHEAP_FILE, .timeout_ms = 1};
    if (shmheap_open(&mem, path, &options) == 0) {
        mem.heap->lock_limit_ms = 0;
        shmheap_check(mem, NULL);
        shmheap_disconnect(mem);
    }
    CHECK_EQ(unlink(path), 0);
}

static void torn_round(struct victim *victim, const char *path, uint64_t round)
{
    struct stat status;
    shmheap_memory_handle mem = build(round), reader;
    const shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(mem), &options), 0);
    mem.heap->lock_limit_ms = 0;
    peer.random = test_random_begin(round);
    peer.memory = mem.heap->base;
    peer.bytes = mem.heap->layout.region_off + LEN;
    peer.rate = UINT64_C(8) << test_random_below(&peer.random, RATES);
    victim_round(victim, round, "a write at one load in %llu", (unsigned long long)peer.rate);
    snprintf(victim->call, sizeof victim->call, "copy");
    shmheap_load_hook = peer_hook;
    int failed = shmheap_copy(mem, path);
    if (failed) {
        CHECK(lstat(path, &status) != 0);
        failed = shmheap_copy(reader, path);
    }
    shmheap_load_hook = NULL;
    ++*(failed ? &victim->refused : &victim->accepted);
    if (failed)
        CHECK(lstat(path, &status) != 0);
    else
        look_at_copy(path);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

static void torn_rounds(void *context)
{
    struct victim *victim = context;
    char path[80];
    snprintf(path, sizeof path, "%s", test_shm_path(test_name()));
    for (uint64_t round = 0, rounds = test_rounds(ROUNDS); round < rounds; round++)
        torn_round(victim, path, round);
    printf("  %llu copies, %llu refused, %llu writes of the peer\n",
           (unsigned long long)victim->accepted, (unsigned long long)victim->refused,
           (unsigned long long)peer.writes);
    CHECK(victim->accepted != 0 && victim->refused != 0 && peer.writes != 0);
}

static void copying_under_a_hostile_peer(void)
{
    struct victim *victim = test_shared(sizeof *victim);
    victim_run(victim, torn_rounds, victim);
    test_unshare(victim, sizeof *victim);
}

static const struct test tests[] = {TEST(copying_under_a_hostile_peer)};
TEST_MAIN(tests)
