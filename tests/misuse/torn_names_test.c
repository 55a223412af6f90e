/* A hostile peer writes the record of a name, or a slot's name, while they are read: at each load,
 * with each length that is a trap.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The heap ends at a page that nothing may touch, and the record lies at its end. */
#include <sys/mman.h>

#include "c/src/names/table.h"
#include "c/src/process/slot.h"
#include "tests/support/test.h"

enum { BYTES = 64 << 10, GUARD = 4096, LEN = 104, LOADS_MOST = 64 };

void (*shmheap_load_hook)(const void *word);

/* struct peer is private: at which load of a word it writes what there. */
struct peer {
    unsigned char *from, *to; /* the words that it waits for */
    uint64_t loads, at, value;
    unsigned char *first, *last; /* the bytes that were loaded, as far as the hook saw */
};
static struct peer peer;

static void peer_hook(const void *word)
{
    unsigned char *place = (unsigned char *)(uintptr_t)word;
    if (place < peer.from || place >= peer.to)
        return;
    peer.first = peer.first == NULL || place < peer.first ? place : peer.first;
    peer.last = place > peer.last ? place : peer.last;
    if (peer.loads++ == peer.at)
        memcpy(place, &peer.value, sizeof peer.value);
}

static void peer_begins(void *from, size_t bytes, uint64_t at, uint64_t value)
{
    const struct peer fresh = {
        .from = from, .to = (unsigned char *)from + bytes, .at = at, .value = value};
    peer = fresh;
    shmheap_load_hook = peer_hook;
}

static shmheap_memory_handle heap_begin(void **memory)
{
    shmheap_memory_handle mem;
    *memory = mmap(NULL, BYTES + GUARD, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(*memory != MAP_FAILED);
    CHECK_EQ(mprotect((unsigned char *)*memory + BYTES, GUARD, PROT_NONE), 0);
    CHECK_EQ(shmheap_create_at(&mem, *memory, BYTES, NULL), 0);
    return mem;
}

static void heap_end(shmheap_memory_handle mem, void *memory)
{
    shmheap_disconnect(mem);
    CHECK_EQ(munmap(memory, BYTES + GUARD), 0);
}

/* Makes the last object of a full heap what a peer would: a record, of a name of 8 bytes. */
static struct name_record *record_forge(shmheap_memory_handle mem)
{
    void *object, *last = NULL;
    while ((object = shmheap_alloc(mem, LEN)) != NULL)
        last = object;
    CHECK(last);
    struct name_record *record = last;
    uint64_t *header = (uint64_t *)last - 1;
    *header = (*header & ~((uint64_t)HEADER_STATE_MASK << HEADER_STATE_SHIFT)) |
              (uint64_t)SHMHEAP_STATE_INTERNAL << HEADER_STATE_SHIFT;
    memset(record, 'x', LEN);
    record->kind = INTERNAL_NAME;
    record->name_len = 8;
    return record;
}

static int see_name(const shmheap_name_info *name, void *context)
{
    CHECK(name->name_len >= 1 && name->name_len <= NAME_LEN_MAX);
    CHECK_EQ(name->name[name->name_len], 0);
    ++*(int *)context;
    return 0;
}

static void the_length_changes_at_any_load(void)
{
    static const uint64_t lens[] = {0,
                                    1,
                                    9,
                                    255,
                                    256,
                                    1 << 16,
                                    UINT64_MAX,
                                    UINT64_MAX - 6,
                                    UINT64_MAX - sizeof(struct name_record)};
    void *memory;
    shmheap_memory_handle mem = heap_begin(&memory);
    struct name_record *record = record_forge(mem);
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        for (uint64_t at = 0, loads = 1; at < loads && at < LOADS_MOST; at++) {
            shmheap_report report;
            int seen = 0;
            record->name_len = 8;
            peer_begins(&record->name_len, sizeof record->name_len, at, lens[i]);
            shmheap_names(mem, see_name, &seen);
            shmheap_check(mem, &report);
            loads = peer.loads;
            shmheap_load_hook = NULL;
            CHECK(loads > 0 && seen <= 1);
        }
    heap_end(mem, memory);
}

/* The hook sees all bytes of the name, the last too. */
static void each_byte_of_a_name_is_loaded_by_a_load(void)
{
    void *memory;
    shmheap_memory_handle mem = heap_begin(&memory);
    struct name_record *record = record_forge(mem);
    int seen = 0;
    peer_begins(record->name, 8, UINT64_MAX, 0);
    CHECK_EQ(shmheap_names(mem, see_name, &seen), 0);
    shmheap_load_hook = NULL;
    CHECK_EQ(seen, 1);
    CHECK_PTR(peer.first, record->name);
    CHECK_EQ(peer.loads, 1);
    heap_end(mem, memory);
}

static int see_process(const shmheap_process_info *process, void *context)
{
    CHECK(memchr(process->name, 0, sizeof process->name) != NULL);
    ++*(int *)context;
    return 0;
}

static void a_slot_has_a_name_without_an_end(void)
{
    void *memory;
    shmheap_memory_handle mem = heap_begin(&memory);
    struct slot *entry =
        (struct slot *)(void *)((unsigned char *)memory + mem.heap->layout.slots_off) +
        mem.heap->slot;
    for (uint64_t at = 0; at < sizeof entry->name / sizeof(uint64_t); at++) {
        int seen = 0;
        peer_begins(entry->name, sizeof entry->name, at, UINT64_C(0x7878787878787878));
        CHECK_EQ(shmheap_processes(mem, see_process, &seen), 0);
        shmheap_load_hook = NULL;
        CHECK_EQ(seen, 1);
        CHECK_EQ(peer.loads, sizeof entry->name / sizeof(uint64_t));
    }
    heap_end(mem, memory);
}

/* No misuse: at any load of a search the name goes, and another name's record and object take its
 * place. The search finds the object that the name had, or none. */
static shmheap_memory_handle replacer;
static void *replaced;
static uint64_t find_loads, replace_at;

static void replace_at_load(const void *word)
{
    (void)word;
    if (find_loads++ != replace_at)
        return;
    shmheap_load_hook = NULL;
    CHECK_EQ(shmheap_try_free(replacer, replaced), 0);
    CHECK(shmheap_alloc_named(replacer, "of the other", 3000) != NULL);
}

static void another_name_takes_the_place_at_any_load(void)
{
    int came = 1;
    unsigned found = 0, gone = 0;
    for (replace_at = 0; came; replace_at++) {
        shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
        CHECK(shmheap_alloc_named(mem, "stays", 8) != NULL); /* and the table with it */
        char *object = shmheap_alloc_named(mem, "of this one", 1000);
        size_t len = 0;
        CHECK(object != NULL);
        replacer = test_connect_again(mem, 0);
        replaced = shmheap_alloc_named(replacer, "of this one", 1000);
        CHECK_EQ(shmheap_try_free(mem, object), 0); /* the replacer's use is the last one */
        find_loads = 0;
        shmheap_load_hook = replace_at_load;
        errno = 0;
        char *ptr = shmheap_find(mem, "of this one", &len);
        came = shmheap_load_hook == NULL;
        shmheap_load_hook = NULL;
        CHECK(ptr == NULL ? errno == ENOENT : ptr == object && len == 1000);
        ++*(ptr == NULL ? &gone : &found);
        CHECK_SOUND(mem);
        shmheap_disconnect(replacer);
        shmheap_disconnect(mem);
    }
    CHECK(found > 0 && gone > 10);
}

/* No misuse: a removal moves the name's entry up, right behind the search, which then meets the
 * gap. The counter of changes is odd from the beginning to the end. */
static uint64_t *entries, place, behind, entry_there;

static void move_up_at_load(const void *word)
{
    if (word != &entries[behind])
        return;
    shmheap_load_hook = NULL;
    entries[place] = entry_there;
    entries[behind] = 0;
}

static void a_removal_moves_the_entry_during_a_search(void)
{
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    size_t len = 0;
    void *object = shmheap_alloc_named(mem, "moves", 8);
    CHECK(object != NULL);
    struct table table = names_table_now(mem.heap);
    entries = table.entries;
    for (place = 0; entries[place] == 0; place++)
        continue;
    behind = (place + 1) & table.mask;
    entry_there = entries[place];
    entries[behind] = entry_there;
    entries[place] = entry_there ^ UINT64_C(1) << 63; /* of the name that goes: another hash */
    mem.heap->control->names_changes |= 1;
    shmheap_load_hook = move_up_at_load;
    CHECK_PTR(shmheap_find(mem, "moves", &len), object);
    CHECK(shmheap_load_hook == NULL && len == 8);
    mem.heap->control->names_changes++;
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(the_length_changes_at_any_load), TEST(each_byte_of_a_name_is_loaded_by_a_load),
    TEST(a_slot_has_a_name_without_an_end), TEST(another_name_takes_the_place_at_any_load),
    TEST(a_removal_moves_the_entry_during_a_search)};
TEST_MAIN(tests)
