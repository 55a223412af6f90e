/* fuzz_torn.c: a peer changes the segment between any two loads of a call.
 *
 * As in fuzz_image, every call returns, and nothing that it returns leads outside the heap. No call
 * takes more than linear time: the loads are counted. The peer is a hook that the library calls
 * before each load, so findings repeat.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/segment/connection.h"
#include "fuzz/hostile/hostile.h"
#include "fuzz/world/world.h"

/* An operation makes up to LOADS_PER_BYTE of the segment, and LOADS_MORE for what does not grow
 * with it, as the slots. */
enum { STEPS_MAX = 200, EDITS_MAX = 32, LOADS_PER_BYTE = 64, LOADS_MORE = 100000 };

void (*shmheap_load_hook)(const void *word);

static struct world world;
static struct hostile hostile;
static struct op ops[STEPS_MAX];

/* struct peer makes the edits in turn, in a cycle. Spare bits of an edit hold the times:
 *   word, bits 56-61: loads before the edit; 62: changes the word about to be loaded; 63: permanent
 *   which, bits 4-7:  loads after which an edit that is not permanent is undone */
static struct peer {
    struct edit edits[EDITS_MAX];
    unsigned count, turn;
    uint64_t wait;
    uint64_t *written, old; /* the word to restore; NULL: none */
    uint64_t loads;         /* of the operation */
} peer;

static unsigned edit_wait(const struct edit *edit) { return edit->word >> 56 & 63; }
static int edit_is_at_load(const struct edit *edit) { return edit->word >> 62 & 1; }
static int edit_stays(const struct edit *edit) { return edit->word >> 63 & 1; }
static unsigned edit_lasts(const struct edit *edit) { return edit->which >> 4 & 15; }

static void peer_next(void)
{
    peer.turn = (peer.turn + 1) % peer.count;
    peer.wait = edit_wait(&peer.edits[peer.turn]);
}

/* about is the offset of the word about to be loaded. */
static void peer_writes(size_t about)
{
    const struct edit *edit = &peer.edits[peer.turn];
    uint64_t *place = edit_is_at_load(edit)
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

/* Called at each load; which loads a call makes tells the fuzzer enough. */
static PLAIN void peer_hook(const void *word)
{
    size_t about = (size_t)((uintptr_t)word - (uintptr_t)hostile.memory[0]);
    if (about >= hostile.bytes)
        about = (size_t)((uintptr_t)word - (uintptr_t)hostile.memory[1]);
    if (about >= hostile.bytes)
        return;
    peer.loads++;
    if (peer.wait-- != 0)
        return;
    if (peer.written)
        peer_puts_back();
    else
        peer_writes(about);
}

/* Makes the operations before the first marked one on a sound heap, into which the peer then
 * writes. */
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

/* Marked operations are edits of the peer, all other operations calls. Returns the number of calls.
 * */
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
    for (unsigned i = 0; i < calls && !hostile.gave_up; i++) {
        peer.loads = 0;
        hostile_step(&hostile, &ops[i]);
        FUZZ_CHECK(peer.loads <= LOADS_PER_BYTE * (uint64_t)hostile.bytes + LOADS_MORE);
    }
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
