/* Whatever a peer writes into names, no call takes more than linear time. The loads of each call
 * are counted, and requests of a file's length, in a heap where a quadratic one would make far more
 * than allowed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "c/src/names/departed.h"
#include "c/src/names/table.h"
#include "c/src/names/users.h"
#include "c/src/process/slot.h"
#include "tests/support/test.h"

/* LOADS_PER_BYTE: of a segment. Up to 256 entries, of 8 bytes each, are passed to find a place for
 * one. */
enum { BYTES = 2 << 20, NAMES = 10000, TABLE = 512 << 10, LOADS_PER_BYTE = 16 };

void (*shmheap_load_hook)(const void *word);
static uint64_t loads, lengths;

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
    lengths++;
    return __real_fstat(fd, status);
}

static void count_load(const void *word)
{
    (void)word;
    loads++;
}

static void counting_begins(void)
{
    loads = lengths = 0;
    shmheap_load_hook = count_load;
}

static void counting_ends(const char *call)
{
    shmheap_load_hook = NULL;
    printf("  %s: %.2f loads per byte, %u requests\n", call, (double)loads / BYTES,
           (unsigned)lengths);
    CHECK_LE(loads, (uint64_t)LOADS_PER_BYTE * BYTES);
}

#define COUNTED(call) (counting_begins(), (call), counting_ends(#call))

/* Each name has one user: this process. */
static shmheap_memory_handle heap_of_names(unsigned names)
{
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    char name[16];
    for (unsigned i = 0; i < names; i++) {
        snprintf(name, sizeof name, "%u", i);
        CHECK(shmheap_alloc_named(mem, name, 8) != NULL);
    }
    return mem;
}

static void each_record(shmheap_memory_handle mem,
                        void (*change)(struct name_record *record, uint64_t value), uint64_t value)
{
    struct block_step step = {0, 0, 0};
    for (; block_walk_at(mem.heap, &step, mem.heap->end) == BLOCK_WALK_BLOCK;
         block_walk_next(&step)) {
        struct name_record *record = names_record_at(mem.heap, step.granule);
        if (record != NULL)
            change(record, value);
    }
}

static void set_hash(struct name_record *record, uint64_t value) { record->hash = value; }
static void set_more(struct name_record *record, uint64_t value) { record->more = value; }
static void set_users(struct name_record *record, uint64_t value)
{
    for (unsigned i = 0; i < NAME_USERS; i++)
        record->users[i] = value;
}

/* An internal block of this kind, and zeros. Returns its granule. */
static uint64_t block_forge(shmheap_memory_handle mem, uint64_t kind, size_t len)
{
    uint64_t *words = shmheap_calloc(mem, 1, len);
    CHECK(words != NULL);
    words[0] = kind;
    words[-1] = (words[-1] & ~((uint64_t)HEADER_STATE_MASK << HEADER_STATE_SHIFT)) |
                (uint64_t)SHMHEAP_STATE_INTERNAL << HEADER_STATE_SHIFT;
    return block_of_pointer(mem.heap, words);
}

/* Each place of the table has an entry. As many in a row as `alike` have the same hash, and in a
 * table twice as large they would lie side by side. */
static void table_forge(shmheap_memory_handle mem, uint64_t alike)
{
    uint64_t granule = block_forge(mem, INTERNAL_TABLE, TABLE);
    mem.heap->control->names_table = granule + 1;
    struct table table = names_table_now(mem.heap);
    CHECK_EQ(table.granule, granule);
    CHECK_LE(TABLE / 8 / 2, table.mask);
    for (uint64_t i = 0; i <= table.mask; i++)
        table.entries[i] = names_table_entry(i, i / alike * 2 * alike << ENTRY_HASH_SHIFT);
}

static void a_full_table(uint64_t alike, int stays)
{
    for (int removing = 0; removing < 2; removing++) {
        shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
        void *a = shmheap_alloc_named(mem, "a", 8), *b = shmheap_alloc_named(mem, "b", 8);
        CHECK(a != NULL && b != NULL);
        table_forge(mem, alike);
        COUNTED(shmheap_find(mem, "a", NULL));
        if (removing) {
            COUNTED(shmheap_free(mem, b));
        } else {
            mem.heap->control->names_count = names_table_now(mem.heap).mask / 2 + 1;
            COUNTED(b = shmheap_alloc_named(mem, "c", 8));
            CHECK(b != NULL);
        }
        if (!stays) /* the records said what the table is */
            CHECK_PTR(shmheap_find(mem, "a", NULL), a);
        shmheap_disconnect(mem);
    }
}

static void a_table_of_one_hash(void) { a_full_table(TABLE, 0); }
static void a_table_of_long_runs(void) { a_full_table(240, 1); }

static void records_that_hash_alike(void)
{
    shmheap_memory_handle mem = heap_of_names(NAMES);
    each_record(mem, set_hash, 0);
    mem.heap->control->names_table = 0;
    void *object = NULL;
    COUNTED(object = shmheap_alloc_named(mem, "new", 8));
    CHECK(object != NULL);
    COUNTED(names_recover(mem.heap));
    CHECK_EQ(mem.heap->control->names_count, NAMES + 1);
    CHECK_PTR(shmheap_find(mem, "new", NULL), object);
    CHECK(shmheap_find(mem, "7", NULL) != NULL);
    shmheap_disconnect(mem);
}

static void a_check_without_a_table(void)
{
    shmheap_memory_handle mem = heap_of_names(NAMES);
    shmheap_report report;
    names_table_drop(mem.heap);
    COUNTED(shmheap_check(mem, &report));
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void removals_from_a_full_table(void)
{
    for (int alike = 0; alike < 2; alike++) {
        shmheap_memory_handle mem = heap_of_names(NAMES / 2);
        if (alike)
            each_record(mem, set_hash, ~UINT64_C(0));
        table_forge(mem, TABLE);
        each_record(mem, set_users, 0);
        long freed = 0;
        COUNTED(freed = shmheap_reap(mem, 0));
        CHECK_LE(NAMES / 2, freed);
        CHECK_EQ(mem.heap->control->names_count, 0);
        shmheap_disconnect(mem);
    }
}

/* Of calls that free one, the first makes a table in vain. */
static void free_each(shmheap_memory_handle mem, void *const *ptrs)
{
    for (unsigned i = 0; i < NAMES / 20; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
}

static void names_freed_at_once(void (*forge)(shmheap_memory_handle mem))
{
    void *ptrs[NAMES / 10];
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    char name[16];
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%u", i);
        void *ptr = shmheap_alloc_named(mem, name, 8);
        CHECK(ptr != NULL);
        if (i < NAMES / 10)
            ptrs[i] = ptr;
    }
    forge(mem);
    COUNTED(free_each(mem, ptrs + NAMES / 20));
    size_t freed = 0;
    COUNTED(freed = shmheap_free_many(mem, ptrs, NAMES / 20));
    CHECK_EQ(freed, NAMES / 20);
    shmheap_disconnect(mem);
}

/* All but the last record have a place in the table, and the last one has none. */
static void set_next_home(struct name_record *record, uint64_t value)
{
    static uint64_t home;
    (void)value;
    record->hash = (home++ % NAMES < NAMES - 300 ? home * 7919 : 0) << ENTRY_HASH_SHIFT;
}

static void last_one_has_no_place(shmheap_memory_handle mem)
{
    each_record(mem, set_next_home, 0);
    mem.heap->control->names_table = 0;
}

static void too_few_are_counted(shmheap_memory_handle mem)
{
    mem.heap->control->names_table = 0;
    mem.heap->control->names_count = NAMES / 4;
}

static void removals_without_a_table(void)
{
    names_freed_at_once(last_one_has_no_place);
    names_freed_at_once(too_few_are_counted);
}

/* A chain of blocks with many words of users: of as many slots from 1000 down, the last word of
 * this one. Returns its reference. */
static uint64_t chain_forge(shmheap_memory_handle mem, unsigned slots, uint64_t last)
{
    uint64_t next = 0;
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        uint64_t granule = block_forge(mem, INTERNAL_USERS, sizeof(struct name_more));
        struct name_more *more = names_more_at(mem.heap, granule);
        CHECK(more != NULL);
        more->more = next;
        next = granule + 1;
        for (unsigned k = 0; k < USERS_MORE; k++)
            more->users[k] =
                UINT64_C(1) << USER_COUNT_SHIFT | (1000 - (i * USERS_MORE + k) % slots);
        if (i == 0)
            more->users[USERS_MORE - 1] = UINT64_C(1) << USER_COUNT_SHIFT | last;
    }
    return next;
}

/* Each name has words of its own, the last of which has the label that all dead processes' get. */
enum { CHAINS = 80 };
static uint64_t chains[CHAINS];

static void set_own_more(struct name_record *record, uint64_t value)
{
    static unsigned given;
    (void)value;
    record->more = chains[given++ % CHAINS];
}

static void users_of_dead_processes(void)
{
    shmheap_memory_handle mem = heap_of_names(CHAINS);
    uint64_t dead[SLOT_SET_WORDS], departed[SLOT_SET_WORDS] = {0};
    memset(dead, 0xff, sizeof dead);
    for (unsigned i = 0; i < CHAINS; i++)
        chains[i] = chain_forge(mem, 1000, SLOT_GONE);
    each_record(mem, set_own_more, 0);
    COUNTED(names_relabel(mem.heap, dead, departed));
    shmheap_disconnect(mem);
}

/* Slots which the table does not have yet, as the file's length says. */
static void users_of_no_process(void)
{
    shmheap_memory_handle mem = test_anonymous(BYTES, 0, 0);
    void *object = shmheap_alloc_named(mem, "a", 8);
    each_record(mem, set_users, UINT64_C(1) << USER_COUNT_SHIFT | 1000);
    each_record(mem, set_more, chain_forge(mem, 1, 1000));
    CHECK_LE(slot_limit(mem.heap), 1000);
    int result = 0;
    COUNTED(result = shmheap_try_free(mem, object));
    CHECK_EQ(result, -1);
    CHECK_LE(lengths, 10);
    COUNTED(result = shmheap_name_remove(mem, "a"));
    CHECK_EQ(result, 1);
    CHECK_LE(lengths, 10);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(a_table_of_one_hash),     TEST(a_table_of_long_runs),       TEST(records_that_hash_alike),
    TEST(a_check_without_a_table), TEST(removals_from_a_full_table), TEST(removals_without_a_table),
    TEST(users_of_dead_processes), TEST(users_of_no_process)};
TEST_MAIN(tests)
