/* A peer rewrites the segment between any two loads of the calls that run on it: what was checked a moment ago has changed. As in
 * fuzz_image, every call ends, and nothing that comes back leads outside. The peer is the hook that the library calls before each
 * load, so what is found repeats.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/segment/connection.h"
#include "fuzz/hostile.h"
#include "fuzz/world.h"

enum { STEPS_MAX = 200, EDITS_MAX = 32 };

void (*shmheap_load_hook)(const void *word);

static struct world world;
static struct hostile hostile;
static struct op ops[STEPS_MAX];

/* struct peer is who writes: these edits in turn, the first again after the last. When is in what the edit has to spare.
 *   word, bits 56-61: after how many loads; 62: what is about to be read, not its own place; 63: for good
 *   which, bits 4-7:  else it is put back before the load that comes so many after the next */
static struct peer {
    struct edit edits[EDITS_MAX];
    unsigned count, turn;
    uint64_t wait;
    uint64_t *written, old; /* what will be put back; NULL: nothing */
} peer;

static unsigned edit_wait(const struct edit *edit) { return edit->word >> 56 & 63; }
static int edit_is_about(const struct edit *edit) { return edit->word >> 62 & 1; }
static int edit_stays(const struct edit *edit) { return edit->word >> 63 & 1; }
static unsigned edit_lasts(const struct edit *edit) { return edit->which >> 4 & 15; }

static void peer_next(void)
{
    peer.turn = (peer.turn + 1) % peer.count;
    peer.wait = edit_wait(&peer.edits[peer.turn]);
}

/* about: where what is about to be read lies, from the segment's start. */
static void peer_writes(size_t about)
{
    const struct edit *edit = &peer.edits[peer.turn];
    uint64_t *place = edit_is_about(edit)
                          ? (uint64_t *)(void *)(hostile.memory[0] + (about & ~(size_t)7))
                          : edit_place(&hostile, edit);
    if (place &&
        place != (uint64_t *)(void *)(hostile.memory[0] + offsetof(struct control, lock))) {
        uint64_t old = *place;
        *place = edit_value(&hostile, edit, old);
        SAY("/* a peer, before the load of byte %zu: *(unsigned long *)((char *)memory[0] + %zu) = "
            "0x%llxu%s */",
            about, (size_t)((unsigned char *)place - hostile.memory[0]), (unsigned long long)*place,
            edit_stays(edit) ? "" : ", for a moment");
        if (!edit_stays(edit)) {
            peer.written = place;
            peer.old = old;
            peer.wait = edit_lasts(edit);
            return;
        }
    }
    peer_next();
}

static void peer_puts_back(void)
{
    *peer.written = peer.old;
    peer.written = NULL;
    peer_next();
}

static void peer_hook(const void *word)
{
    size_t about = (size_t)((uintptr_t)word - (uintptr_t)hostile.memory[0]);
    if (about >= hostile.bytes)
        about = (size_t)((uintptr_t)word - (uintptr_t)hostile.memory[1]);
    if (about >= hostile.bytes)
        return;
    if (peer.wait-- != 0)
        return;
    if (peer.written)
        peer_puts_back();
    else
        peer_writes(about);
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
        if (*input->at & 128)
            peer.edits[peer.count++] = edit_decode(input);
        else
            ops[calls++] = op_decode(input);
    }
    return calls;
}

static void call_meanwhile(unsigned calls)
{
    peer.turn = peer.count - 1;
    peer.written = NULL;
    peer_next();
    shmheap_load_hook = peer_hook;
    for (unsigned i = 0; i < calls && !hostile.gave_up; i++)
        hostile_step(&hostile, &ops[i]);
    shmheap_load_hook = NULL;
    if (peer.written)
        peer_puts_back();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, bytes + len};
    struct heap_shape shape = shape_decode(&input);
    shape.in_file = 0;
    world_input(bytes, len);
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
