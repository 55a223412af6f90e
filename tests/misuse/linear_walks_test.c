/* A peer that writes while a call walks over the blocks cannot make the walk endless, nor have the
 * same blocks walked over again and again. The loads of each call are counted.
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>

#include "c/src/names/table.h"
#include "tests/support/test.h"

enum { BYTES = 512 << 10, LOADS_PER_BYTE = 4, NAMES = 1000 };

void (*shmheap_load_hook)(const void *word);

/* The peer, before a load of the word at `waits`: of the header at `place` it makes value. */
static struct {
    const void *waits;
    shared_u64 *place;
    uint64_t value, loads, writes;
} peer;

static void counting_begins(void (*hook)(const void *word))
{
    peer.loads = peer.writes = 0;
    shmheap_load_hook = hook;
}

static void counting_ends(const char *call)
{
    shmheap_load_hook = NULL;
    printf("  %s: %.2f loads per byte, %u writes of the peer\n", call, (double)peer.loads / BYTES,
           (unsigned)peer.writes);
    CHECK_LE(peer.loads, (uint64_t)LOADS_PER_BYTE * BYTES);
}

#define COUNTED(hook, call) (counting_begins(hook), (call), counting_ends(#call))

/* More would be needed by an endless call alone. */
static int peer_is_at_work(void) { return ++peer.loads < 100 * (uint64_t)BYTES; }

static void peer_writes(void)
{
    *peer.place = peer.value;
    peer.writes++;
}

/* Always: before each load of a free block's header it is small again. */
static void always(const void *word)
{
    if (peer_is_at_work() && word == peer.waits)
        peer_writes();
}

/* Once most of the heap has been merged into the block. */
static void when_it_has_grown(const void *word)
{
    if (peer_is_at_work() && word == peer.waits && header_size(*peer.place) > BYTES / 32)
        peer_writes();
}

/* An owner of the lock has died and left free neighbours. */
static void recovery_merges(void (*hook)(const void *word))
{
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    struct block_step step = {0, 0, 0};
    while (shmheap_alloc(mem, 8) != NULL)
        continue;
    for (; block_walk_at(mem.heap, &step, mem.heap->end) == BLOCK_WALK_BLOCK;
         block_walk_next(&step))
        *block_header(mem.heap, step.granule) = header_free(step.size);
    peer.waits = peer.place = block_header(mem.heap, 0);
    peer.value = *peer.place;
    mem.heap->control->lock = FUTEX_OWNER_DIED;
    void *object = NULL;
    COUNTED(hook, object = shmheap_alloc(mem, 8));
    CHECK_LE(1, peer.writes);
    CHECK_EQ(test_stat(mem).recoveries, 1);
    CHECK(object != NULL);
    shmheap_disconnect(mem);
}

static void recovery_of_a_heap_that_is_written(void)
{
    recovery_merges(always);
    recovery_merges(when_it_has_grown);
}

/* Without a peer all becomes one block. */
static void recovery_merges_all(void)
{
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    void *objects[30];
    for (unsigned i = 0; i < 30; i++)
        CHECK((objects[i] = shmheap_alloc(mem, 40 + 16 * i)) != NULL);
    for (unsigned i = 0; i < 30; i++)
        if (i % 10 != 9) {
            shared_u64 *header = block_header(mem.heap, block_of_pointer(mem.heap, objects[i]));
            *header = header_free(header_size(*header));
        }
    mem.heap->control->lock = FUTEX_OWNER_DIED;
    CHECK(shmheap_alloc(mem, 40) == objects[0]);
    CHECK_EQ(test_stat(mem).recoveries, 1);
    CHECK_EQ(test_stat(mem).free_blocks, 4);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Each record names the same large object, in whose contents headers seem to lie. The peer makes
 * the object one with a name when the record is read, and small when its block is freed. */
static uint64_t reference;
static unsigned reads;

static void each_name_anew(const void *word)
{
    uint64_t seen;
    if (!peer_is_at_work())
        return;
    memcpy(&seen, word, sizeof seen); /* of half a word the place need not be aligned */
    if (seen == reference) {
        reads = 0;
        peer_writes();
    } else if (word == peer.place && ++reads == 3) {
        *peer.place = header_make(2, SHMHEAP_STATE_NAMED, SLOT_GONE, 1);
        peer.writes++;
    }
}

static void one_object_of_all_names(void)
{
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    struct block_step step = {0, 0, 0};
    char name[16];
    void *object = shmheap_alloc(mem, BYTES / 2);
    CHECK(object != NULL);
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%u", i);
        CHECK(shmheap_alloc_named(mem, name, 8) != NULL);
    }
    uint64_t at = block_of_pointer(mem.heap, object),
             size = header_size(*block_header(mem.heap, at));
    peer.waits = peer.place = block_header(mem.heap, at);
    peer.value = header_make(size, SHMHEAP_STATE_NAMED, SLOT_GONE, 1);
    reference = reference_make(at, peer.value);
    for (uint64_t granule = 2; granule + 2 < size; granule += 2)
        *block_header(mem.heap, at + granule) = header_make(2, SHMHEAP_STATE_USED, SLOT_GONE, 1);
    for (; block_walk_at(mem.heap, &step, mem.heap->end) == BLOCK_WALK_BLOCK;
         block_walk_next(&step)) {
        struct name_record *record = names_record_at(mem.heap, step.granule);
        if (record != NULL) {
            record->object = reference;
            memset((void *)(uintptr_t)record->users, 0, sizeof record->users);
        }
    }
    long freed = 0;
    COUNTED(each_name_anew, freed = shmheap_reap(mem, 0));
    CHECK_LE(2 * NAMES, peer.writes);
    CHECK_LE(freed, NAMES);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(recovery_of_a_heap_that_is_written),
                                    TEST(recovery_merges_all), TEST(one_object_of_all_names)};
TEST_MAIN(tests)
