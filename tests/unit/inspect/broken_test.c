/* A heap whose lock's owner died and whose headers do not reach its end: refused each time, and at
 * once, until it is mended.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <linux/futex.h>
#include <unistd.h>

#include "c/src/block/block.h"
#include "c/src/segment/connection.h"
#include "c/src/process/lock.h"
#include "tests/support/test.h"

enum { OBJECTS = 10 };

struct broken {
    shmheap_memory_handle mem;
    void *objects[OBJECTS];
};

static struct broken broken_begin(void)
{
    struct broken broken = {.mem = test_anonymous(65536, 0, 16)};
    for (unsigned i = 0; i < OBJECTS; i++) {
        broken.objects[i] = shmheap_alloc(broken.mem, 1000);
        CHECK(broken.objects[i] != NULL);
        test_fill(broken.objects[i], 1000, i);
    }
    return broken;
}

/* What the kernel leaves in the lock's word when its owner dies. */
static void let_the_owner_die(shmheap_memory_handle mem)
{
    __atomic_store_n(&mem.heap->control->lock, (uint64_t)FUTEX_OWNER_DIED, __ATOMIC_RELEASE);
}

static uint64_t *header_before(void *payload) { return (uint64_t *)payload - 1; }

static void every_change_is_refused(const struct broken *broken)
{
    shmheap_memory_handle mem = broken->mem;
    for (int i = 0; i < 2; i++) {
        CHECK_REFUSED(shmheap_alloc(mem, 100) == NULL, EBADMSG);
        CHECK_REFUSED(shmheap_try_free(mem, broken->objects[1]) == -1, EBADMSG);
        CHECK_REFUSED(shmheap_realloc(mem, broken->objects[1], 1) == NULL, EBADMSG);
        CHECK_REFUSED(shmheap_reap(mem, 0) == -1, EBADMSG);
    }
    CHECK_REFUSED(shmheap_alloc_many(mem, 8, 1, (void *[1]){NULL}) == 0, EBADMSG);
    CHECK_REFUSED(shmheap_alloc_wait(mem, 8, -1) == NULL, EBADMSG);
}

static int visit_name(const shmheap_name_info *name, void *context) { return name == context; }
static int visit_block(const shmheap_block_info *block, void *context) { return block == context; }
static int visit_process(const shmheap_process_info *process, void *context)
{
    return process == context;
}

static void every_look_is_refused(const struct broken *broken)
{
    shmheap_memory_handle mem = broken->mem;
    shmheap_stats stats;
    CHECK_REFUSED(shmheap_stat(mem, &stats) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_check(mem, NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_walk(mem, visit_block, NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_names(mem, visit_name, NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_processes(mem, visit_process, NULL) == -1, EBADMSG);
}

static void refused_with(uint64_t bad)
{
    struct broken broken = broken_begin();
    uint64_t *header = header_before(broken.objects[5]), good = *header;
    *header = bad == 0 ? 0 : (good & ~HEADER_SIZE_MASK) | bad;
    let_the_owner_die(broken.mem);
    every_change_is_refused(&broken);
    every_look_is_refused(&broken);
    *header = good;
    CHECK(shmheap_alloc(broken.mem, 100) != NULL);
    CHECK_EQ(test_stat(broken.mem).recoveries, 1);
    CHECK_SOUND(broken.mem);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK(test_filled(broken.objects[i], 1000, i));
    shmheap_disconnect(broken.mem);
}

static void a_header_of_nothing(void) { refused_with(0); }
static void a_size_beyond_the_end(void) { refused_with(65536); }
static void a_size_that_misses_the_next(void) { refused_with(2); }

/* Growth publishes the new length before the top block takes in the added memory: a death between
 * leaves two free neighbours. */
static void free_neighbours_are_merged(void)
{
    struct broken broken = broken_begin();
    for (unsigned i = 3; i < 7; i++) {
        uint64_t *header = header_before(broken.objects[i]);
        *header = header_free(*header & HEADER_SIZE_MASK);
    }
    let_the_owner_die(broken.mem);
    shmheap_alloc(broken.mem, 1);
    CHECK_SOUND(broken.mem);
    CHECK_PTR(shmheap_alloc(broken.mem, 3500), (char *)broken.objects[3] + 16);
    shmheap_disconnect(broken.mem);
}

/* No process died. A walk of the blocks reports the fault, and the blocks before it are visited. */
static void a_walk_that_cannot_reach_the_end(void)
{
    struct broken broken = broken_begin();
    uint64_t *header = header_before(broken.objects[5]), good = *header;
    *header = 0;
    CHECK_REFUSED(shmheap_reap(broken.mem, 0) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_walk(broken.mem, visit_block, NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_names(broken.mem, visit_name, NULL) == -1, EBADMSG);
    CHECK_REFUSED(shmheap_processes(broken.mem, visit_process, NULL) == -1, EBADMSG);
    *header = good;
    CHECK_EQ(shmheap_reap(broken.mem, 0), 0);
    CHECK_SOUND(broken.mem);
    shmheap_disconnect(broken.mem);
}

/* The table of names is no table any more, and the heap has no room for another: names are found
 * one block after the other, until there is room again. */
static void names_without_a_table(unsigned names)
{
    static void *taken[4096];
    void *objects[3], *more;
    shmheap_memory_handle mem = test_anonymous(65536, 0, 16);
    static const char *const text[] = {"one", "two", "three"};
    for (unsigned i = 0; i < names; i++)
        CHECK((objects[i] = shmheap_alloc_named(mem, text[i], 10)) != NULL);
    size_t count = test_take_all(mem, taken, sizeof taken / sizeof *taken);
    const struct control *control = mem.heap->control;
    struct name_table *table = block_payload(mem.heap, control->names_table - 1);
    CHECK_EQ(table->kind, INTERNAL_TABLE);
    table->kind = 0;
    for (int i = 0; i < 2; i++) { /* the second time, recovery has tried to make one */
        for (unsigned k = 0; k < names; k++)
            CHECK_PTR(shmheap_find(mem, text[k], NULL), objects[k]);
        CHECK_REFUSED(shmheap_find(mem, "none", NULL) == NULL, ENOENT);
        CHECK_PTR(shmheap_alloc_named(mem, text[0], 10), objects[0]);
        CHECK_REFUSED(shmheap_alloc_named(mem, "none", 10) == NULL, ENOMEM);
        let_the_owner_die(mem);
        CHECK_EQ(test_stat(mem).recoveries, i + 1);
    }
    CHECK_EQ(control->names_table, 0);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(shmheap_try_free(mem, taken[i]), 0);
    more = shmheap_alloc_named(mem, "more", 10);
    CHECK(more != NULL && control->names_table != 0);
    for (unsigned k = 0; k < names; k++)
        CHECK_PTR(shmheap_find(mem, text[k], NULL), objects[k]);
    CHECK_PTR(shmheap_find(mem, "more", NULL), more);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void names_without_room_for_a_table(void)
{
    for (unsigned names = 1; names <= 3; names++)
        names_without_a_table(names);
}

/* As many names as any heap could have, and more: their table finds no room, whether a size_t has
 * its length or not. */
static void a_count_of_names_that_cannot_be(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 16);
    uint64_t *count = &mem.heap->control->names_count;
    void *one = shmheap_alloc_named(mem, "one", 10);
    CHECK(one != NULL);
    for (unsigned bit = 12; bit < HEADER_SIZE_BITS; bit++) {
        struct test_snapshot before = test_snapshot_take(mem);
        *count = UINT64_C(1) << bit;
        CHECK_REFUSED(shmheap_alloc_named(mem, "two", 10) == NULL, ENOMEM);
        *count = 1;
        CHECK(test_snapshot_same(mem, &before));
        CHECK_PTR(shmheap_find(mem, "one", NULL), one);
        CHECK_SOUND(mem);
        test_snapshot_drop(&before);
    }
    shmheap_disconnect(mem);
}

/* A record that names what is not there, or says that its object is longer than it is (all of its
 * block): refused, and good again when it is. */
static void records_that_lie(void)
{
    struct broken broken = broken_begin();
    size_t len;
    uint64_t *object = shmheap_alloc_named(broken.mem, "it", 32);
    CHECK(object != NULL);
    const uint64_t words = (*header_before(object) & HEADER_SIZE_MASK) * 2 -
                           1; /* the last one of the payload is its record's place */
    struct name_record *record =
        block_payload(broken.mem.heap, object[words - 1] & HEADER_SIZE_MASK);
    CHECK_EQ(record->kind, INTERNAL_NAME);
    const struct name_record good = *record;
    const struct {
        uint64_t *word, bad;
    } lies[] = {{&record->object, good.object ^ UINT64_C(1) << HEADER_GENERATION_SHIFT},
                {&record->object, good.object + 1},
                {&record->object, HEADER_SIZE_MASK},
                {&record->object_len, 33},
                {&record->object_len, UINT64_MAX}};
    CHECK_PTR(shmheap_find(broken.mem, "it", &len), object);
    CHECK_EQ(len, 32);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        *lies[i].word = lies[i].bad;
        CHECK_REFUSED(shmheap_find(broken.mem, "it", NULL) == NULL, EBADMSG);
        CHECK_REFUSED(shmheap_alloc_named(broken.mem, "it", 32) == NULL, EBADMSG);
        record->object = good.object;
        record->object_len = good.object_len;
        CHECK_PTR(shmheap_find(broken.mem, "it", &len), object);
    }
    CHECK_SOUND(broken.mem);
    shmheap_disconnect(broken.mem);
}

static int add_users(const shmheap_name_info *name, void *context)
{
    *(uint64_t *)context += name->users;
    return 0;
}

static uint64_t users_now(shmheap_memory_handle mem)
{
    uint64_t users = 0;
    CHECK_EQ(shmheap_names(mem, add_users, &users), 0);
    return users;
}

/* More users than the record and the first block of more can count: recovery links the blocks anew,
 * each once. */
static void uses_are_counted_after_a_death(void)
{
    shmheap_memory_handle mems[NAME_USERS + USERS_MORE + 8], looker = test_anonymous(65536, 0, 16);
    const unsigned count = sizeof mems / sizeof *mems;
    void *objects[NAME_USERS + USERS_MORE + 8];
    for (unsigned i = 0; i < count; i++) {
        CHECK_EQ(shmheap_open_fd(&mems[i], shmheap_fd(looker), NULL), 0);
        CHECK((objects[i] = shmheap_alloc_named(mems[i], "it", 100)) != NULL);
    }
    const uint64_t blocks = test_stat(looker).used_blocks;
    for (unsigned i = 0; i < count; i++) {
        let_the_owner_die(looker);
        CHECK_EQ(users_now(looker), count - i);
        CHECK_EQ(test_stat(looker).used_blocks, blocks);
        CHECK_SOUND(looker);
        CHECK_EQ(shmheap_try_free(mems[i], objects[i]), 0);
    }
    CHECK_REFUSED(shmheap_find(looker, "it", NULL) == NULL, ENOENT);
    test_check_empty(looker);
    for (unsigned i = 0; i < count; i++)
        shmheap_disconnect(mems[i]);
    shmheap_disconnect(looker);
}

/* A peer has made an object of its own of what lies in a cache: the cache leaves it alone when it
 * is emptied. */
static void what_is_no_longer_in_a_cache_is_not_freed(void)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 16), keeper;
    const unsigned slot = test_own_slot(mem);
    CHECK_EQ(shmheap_open_fd(&keeper, shmheap_fd(mem), &options), 0);
    char *kept = shmheap_alloc(keeper, 100),
         *ptr = (char *)shmheap_underlying(mem) + test_offset(keeper, kept);
    CHECK_EQ(shmheap_try_free(keeper, kept), 0);
    uint64_t *header = header_before(ptr);
    CHECK_EQ(header_state(*header), SHMHEAP_STATE_CACHED);
    *header =
        header_make(header_size(*header), SHMHEAP_STATE_USED, slot, header_generation(*header));
    test_fill(ptr, 100, 1);
    shmheap_disconnect(keeper);
    CHECK_SOUND(mem);
    CHECK_EQ(test_stat(mem).used_blocks, 1);
    CHECK(test_filled(ptr, 100, 1));
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

/* The next recovery removes a record that names the wrong object; the object, which has an owner,
 * stays. */
static void what_a_record_names_wrongly_is_not_freed(void)
{
    struct broken broken = broken_begin();
    uint64_t *object = shmheap_alloc_named(broken.mem, "it", 32);
    const uint64_t words = (*header_before(object) & HEADER_SIZE_MASK) * 2 - 1,
                   other = *header_before(broken.objects[3]);
    struct name_record *record =
        block_payload(broken.mem.heap, object[words - 1] & HEADER_SIZE_MASK);
    CHECK_EQ(record->kind, INTERNAL_NAME);
    record->object = block_of_pointer(broken.mem.heap, broken.objects[3]) |
                     ((other >> HEADER_GENERATION_SHIFT) + 1)
                         << HEADER_GENERATION_SHIFT; /* the place, but of another life */
    let_the_owner_die(broken.mem);
    CHECK_REFUSED(shmheap_find(broken.mem, "it", NULL) == NULL,
                  ENOENT); /* under the lock, which recovers */
    CHECK_EQ(test_stat(broken.mem).recoveries, 1);
    for (unsigned i = 0; i < OBJECTS; i++) {
        CHECK(test_filled(broken.objects[i], 1000, i));
        CHECK_EQ(shmheap_try_free(broken.mem, broken.objects[i]), 0);
    }
    shmheap_disconnect(broken.mem);
}

/* A process that frees slots holds the lock, and the kernel has not said that it died: a process is
 * alive if it has locked its byte of the file. */
static void the_collector_has_the_lock(void)
{
    enum { NO_THREAD = FUTEX_TID_MASK };
    shmheap_memory_handle mem = test_anonymous(65536, 0, 16);
    const struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = COLLECTOR_BYTE, .l_len = 1};
    const uint64_t word = (uint64_t)SLOT_COLLECTOR << 32 | NO_THREAD;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", shmheap_fd(mem));
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0);
    mem.heap->lock_limit_ms = 200;
    __atomic_store_n(&mem.heap->control->lock, word, __ATOMIC_RELEASE);
    CHECK_REFUSED(shmheap_alloc(mem, 100) == NULL, ETIMEDOUT);
    CHECK_EQ(mem.heap->control->lock & ~LOCK_HANDOFF, word);
    CHECK(close(fd) == 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    CHECK_EQ(test_stat(mem).recoveries, 1);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static int find_more_users(const shmheap_block_info *block, void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    const struct name_more *more =
        (const void *)((const char *)shmheap_underlying(mem) + block->offset);
    return block->state == SHMHEAP_STATE_INTERNAL && more->kind == INTERNAL_USERS
               ? (int)(block->offset >> 4)
               : 0;
}

/* A record made where something else has lain, here the place of the users of another name: it
 * takes nothing over. */
static void a_record_begins_without_a_past(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 16), others[NAME_USERS + 1];
    for (unsigned i = 0; i <= NAME_USERS; i++) {
        CHECK_EQ(shmheap_open_fd(&others[i], shmheap_fd(mem), NULL), 0);
        CHECK(shmheap_alloc_named(others[i], "many", 10) != NULL);
    }
    int payload = shmheap_walk(mem, find_more_users, &mem);
    uint64_t *dirty = shmheap_alloc(mem, 8000);
    CHECK(payload > 0 && dirty != NULL);
    for (unsigned i = 0; i < 1000; i++)
        dirty[i] = (uint64_t)payload; /* of granule payload - 1, plus 1 */
    CHECK_EQ(shmheap_try_free(mem, dirty), 0);
    CHECK(shmheap_alloc_named(mem, "one", 10) != NULL);
    CHECK_EQ(users_now(mem), NAME_USERS + 1 + 1);
    CHECK_SOUND(mem);
    for (unsigned i = 0; i <= NAME_USERS; i++)
        shmheap_disconnect(others[i]);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(a_header_of_nothing),
                                    TEST(a_size_beyond_the_end),
                                    TEST(a_size_that_misses_the_next),
                                    TEST(free_neighbours_are_merged),
                                    TEST(a_walk_that_cannot_reach_the_end),
                                    TEST(names_without_room_for_a_table),
                                    TEST(a_count_of_names_that_cannot_be),
                                    TEST(records_that_lie),
                                    TEST(uses_are_counted_after_a_death),
                                    TEST(what_is_no_longer_in_a_cache_is_not_freed),
                                    TEST(what_a_record_names_wrongly_is_not_freed),
                                    TEST(the_collector_has_the_lock),
                                    TEST(a_record_begins_without_a_past)};
TEST_MAIN(tests)
