/* Another thread rewrites the segment while calls run on it: what was checked a moment ago may have changed. As in fuzz_image, every
 * call ends, and nothing that comes back leads outside. Which of both is first is chance, so not every finding repeats.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

#include "fuzz/hostile.h"
#include "fuzz/world.h"

enum { STEPS_MAX = 200, EDITS_MAX = 32, ROUNDS = 3, KEPT_OF_FOUR = 1 };

/* struct peer is the thread that writes: these words, in turn, for as long as writing is 1. */
static struct peer {
    struct edit edits[EDITS_MAX];
    uint64_t *places[EDITS_MAX];
    unsigned count;
    int writing;
    uint64_t writes;
    sem_t begin, ended;
    int there;
} peer;

static struct world world;
static struct hostile hostile;
static struct op ops[STEPS_MAX];

/* Mostly back again, so that what was right a moment ago is right a moment later. */
static void write_once(unsigned turn)
{
    unsigned index = turn % peer.count;
    uint64_t *place = peer.places[index], old = __atomic_load_n(place, __ATOMIC_RELAXED);
    __atomic_store_n(place, edit_value(&hostile, &peer.edits[index], old), __ATOMIC_RELAXED);
    if (turn / peer.count % 4 >= KEPT_OF_FOUR)
        __atomic_store_n(place, old, __ATOMIC_RELAXED);
    __atomic_fetch_add(&peer.writes, 1, __ATOMIC_RELAXED);
}

static void *write_when_told(void *context)
{
    (void)context;
    for (;;) {
        while (sem_wait(&peer.begin) != 0)
            continue;
        for (unsigned turn = 0; __atomic_load_n(&peer.writing, __ATOMIC_ACQUIRE); turn++)
            write_once(turn);
        sem_post(&peer.ended);
    }
    return NULL;
}

/* Begun with the first input, since fuzzers fork before it. */
static void peer_begin(void)
{
    pthread_t thread;
    sem_init(&peer.begin, 0, 0);
    sem_init(&peer.ended, 0, 0);
    if (pthread_create(&thread, NULL, write_when_told, NULL) != 0)
        exit(1);
    pthread_detach(thread);
    peer.there = 1;
}

/* Sound operations, up to the first that is marked, on the heap that is then torn. */
static void build(struct input *input)
{
    for (unsigned i = 0; i < STEPS_MAX && input_more(input) && !(*input->at & 128); i++) {
        struct op op = op_decode(input);
        world_step(&world, &op);
    }
    hostile_begin(&hostile, world.bytes, world.mem);
    for (unsigned i = 0; i < world.count && i < HOSTILE_KEPT; i++)
        hostile.kept[i] = world.objects[i].offset;
}

/* Marked: what the peer writes; else: what is called meanwhile. How many calls. */
static unsigned decode(struct input *input)
{
    unsigned calls = 0;
    peer.count = 0;
    while (calls < STEPS_MAX && peer.count < EDITS_MAX && input_more(input)) {
        if (!(*input->at & 128)) {
            ops[calls++] = op_decode(input);
            continue;
        }
        struct edit edit = edit_decode(input);
        uint64_t *place = edit_place(&hostile, &edit);
        if (place && !edit_is_of_lock(&edit)) {
            peer.edits[peer.count] = edit;
            peer.places[peer.count++] = place;
        }
    }
    return calls;
}

static void call_meanwhile(unsigned calls)
{
    uint64_t before = peer.writes;
    __atomic_store_n(&peer.writing, 1, __ATOMIC_RELEASE);
    sem_post(&peer.begin);
    while (__atomic_load_n(&peer.writes, __ATOMIC_RELAXED) == before)
        sched_yield();
    for (unsigned i = 0; i < ROUNDS * calls && !hostile.gave_up; i++)
        hostile_step(&hostile, &ops[i % calls]);
    __atomic_store_n(&peer.writing, 0, __ATOMIC_RELEASE);
    while (sem_wait(&peer.ended) != 0)
        continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    struct heap_shape shape = shape_decode(&input);
    shape.in_file = 0;
    world_input(bytes, len);
    if (!peer.there)
        peer_begin();
    if (world_begin(&world, &shape))
        return 0;
    build(&input);
    unsigned calls = decode(&input);
    if (calls && peer.count)
        call_meanwhile(calls);
    shmheap_disconnect(hostile.mem[0]);
    shmheap_disconnect(hostile.mem[1]);
    world_print_end();
    return 0;
}
