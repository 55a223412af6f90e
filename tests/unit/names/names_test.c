/* Objects with names: made once, found by all, freed with their last user.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/names/table.h"
#include "tests/support/test.h"

static void one_object_for_all_processes_of_a_name(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0), other;
    CHECK_EQ(shmheap_open_fd(&other, shmheap_fd(mem), NULL), 0);
    char *a = shmheap_alloc_named(mem, "temperature", 1000);
    CHECK(a != NULL);
    test_fill(a, 1000, 7);
    size_t len = 0;
    char *b = shmheap_alloc_named(other, "temperature", 1000),
         *c = shmheap_find(other, "temperature", &len);
    CHECK_PTR(b, c);
    CHECK_EQ(len, 1000);
    CHECK_EQ(test_offset(other, b), test_offset(mem, a));
    CHECK(test_filled(b, 1000, 7));
    CHECK_EQ(shmheap_usable_size(mem, a), 1000);
    CHECK_PTR(shmheap_alloc_named(mem, "temperature", 10), a);
    /* Three uses: two of mem, one of other. */
    CHECK_EQ(shmheap_try_free(mem, a), 0);
    CHECK_EQ(shmheap_try_free(mem, a), 0);
    CHECK_REFUSED(shmheap_try_free(mem, a) == -1, EPERM);
    CHECK_PTR(shmheap_find(mem, "temperature", NULL), a);
    CHECK_EQ(shmheap_try_free(other, b), 0);
    CHECK_REFUSED(shmheap_find(mem, "temperature", NULL) == NULL, ENOENT);
    CHECK_REFUSED(shmheap_try_free(other, b) == -1, EINVAL);
    CHECK_SOUND(mem);
    shmheap_disconnect(other);
    shmheap_disconnect(mem);
}

static void what_is_refused(void)
{
    char text[400];
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    char *a = shmheap_alloc_named(mem, "a", 100);
    struct test_snapshot before = test_snapshot_take(mem);
    memset(text, 'x', sizeof text);
    text[256] = 0;
    CHECK_REFUSED(shmheap_alloc_named(mem, text, 10) == NULL, ENAMETOOLONG);
    CHECK_REFUSED(shmheap_find(mem, text, NULL) == NULL, ENAMETOOLONG);
    CHECK_REFUSED(shmheap_alloc_named(mem, "", 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_alloc_named(mem, NULL, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_find(mem, "", NULL) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_find(mem, NULL, NULL) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_find(mem, "b", NULL) == NULL, ENOENT);
    CHECK_REFUSED(shmheap_alloc_named(mem, "a", 101) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, a, 50) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_send(mem, a).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_try_free(mem, a + 16) == -1, EINVAL);
    CHECK(test_snapshot_same(mem, &before));
    CHECK_REFUSED(shmheap_alloc_named(mem, "b", SIZE_MAX) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_named(mem, "b", SIZE_MAX / 4) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_named(mem, "b", 1 << 20) == NULL, ENOMEM);
    test_snapshot_drop(&before);
    text[255] = 0;
    CHECK(shmheap_alloc_named(mem, text, 0) != NULL);
    CHECK(shmheap_find(mem, text, NULL) != NULL);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void handles_of_objects_with_names(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 8);
    char *a = shmheap_alloc_named(mem, "a", 24);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, a);
    CHECK(handle.bits != 0);
    CHECK_PTR(shmheap_handle_to_ptr(mem, handle), a);
    CHECK_EQ(shmheap_try_free(mem, a), 0);
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE);
    shmheap_disconnect(mem);
}

/* Its granule is 0: the record of a long name finds no room in front of it. */
static void the_first_block_gets_a_name(void)
{
    char name[200] = "";
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    void *first = shmheap_alloc(mem, 120);
    CHECK_PTR(first, block_payload(mem.heap, 0));
    CHECK(shmheap_alloc_named(mem, "makes the table", 8) != NULL);
    shmheap_free(mem, first);
    memset(name, 'x', sizeof name - 1);
    CHECK_PTR(shmheap_alloc_named(mem, name, 100), first);
    CHECK_PTR(shmheap_alloc_named(mem, name, 100), first);
    CHECK_PTR(shmheap_find(mem, name, NULL), first);
    CHECK_EQ(shmheap_try_free(mem, first), 0);
    CHECK_EQ(shmheap_try_free(mem, first), 0);
    CHECK_PTR(shmheap_alloc_kept(mem, name, 100), first);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* struct seen counts what shmheap_names shows. */
struct seen {
    uint64_t count, users, bytes;
};

static int note_name(const shmheap_name_info *name, void *context)
{
    struct seen *seen = context;
    CHECK_EQ(strlen(name->name), name->name_len);
    seen->count++;
    seen->users += name->users;
    seen->bytes += name->len;
    return 0;
}

static void name_of(char text[32], uint64_t i)
{
    snprintf(text, 32, "name %llu", (unsigned long long)i * 7919);
}

/* Made, found, and removed in another order, while the table grows and shrinks in use. */
static void many_names(void)
{
    enum { NAMES = 20000 };
    const uint64_t names = test_rounds(NAMES);
    shmheap_memory_handle mem = test_anonymous(1 << 16, 1 << 26, 0);
    char text[32];
    void **objects = calloc(names, sizeof *objects);
    for (uint64_t i = 0; i < names; i++) {
        name_of(text, i);
        objects[i] = shmheap_alloc_named(mem, text, i % 100);
        CHECK(objects[i] != NULL);
    }
    CHECK_SOUND(mem);
    struct seen seen = {0, 0, 0};
    CHECK_EQ(shmheap_names(mem, note_name, &seen), 0);
    CHECK_EQ(seen.count, names);
    CHECK_EQ(seen.users, names);
    for (uint64_t i = 0; i < names; i++) {
        uint64_t k = i * 7 % names; /* names is no multiple of 7 */
        name_of(text, k);
        size_t len;
        CHECK_PTR(shmheap_find(mem, text, &len), objects[k]);
        CHECK_EQ(len, k % 100);
        CHECK_EQ(shmheap_try_free(mem, objects[k]), 0);
        CHECK_REFUSED(shmheap_find(mem, text, NULL) == NULL, ENOENT);
        if (i % 1000 == 0)
            CHECK_SOUND(mem);
    }
    CHECK_SOUND(mem);
    seen.count = 0;
    CHECK_EQ(shmheap_names(mem, note_name, &seen), 0);
    CHECK_EQ(seen.count, 0);
    test_check_empty(mem); /* the table went with the last name */
    free(objects);
    shmheap_disconnect(mem);
}

static void use_it(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    CHECK(shmheap_alloc_named(mem, "shared by many", 64) != NULL);
    CHECK(shmheap_alloc_named(mem, "shared by many", 64) != NULL);
}

/* Their uses are counted in several blocks; they die without giving them back. */
static void uses_of_the_dead_are_given_back(void)
{
    enum { USERS = 100 };
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    for (int i = 0; i < USERS; i++)
        test_in_child(use_it, &mem);
    struct seen seen = {0, 0, 0};
    CHECK_EQ(shmheap_names(mem, note_name, &seen), 0);
    CHECK_EQ(seen.count, 1);
    CHECK_EQ(seen.users, 2 * USERS);
    CHECK_SOUND(mem);
    void *object = shmheap_alloc_named(mem, "shared by many", 64);
    CHECK_EQ(shmheap_reap(mem, 0), 0); /* it is still in use */
    seen.users = 0;
    CHECK_EQ(shmheap_names(mem, note_name, &seen), 0);
    CHECK_EQ(seen.users, 1);
    CHECK_PTR(shmheap_find(mem, "shared by many", NULL), object);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    test_in_child(use_it, &mem);
    CHECK_EQ(shmheap_reap(mem, 0), 1);
    CHECK_REFUSED(shmheap_find(mem, "shared by many", NULL) == NULL, ENOENT);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void use_it_and_leave(void *context)
{
    use_it(context);
    shmheap_disconnect(*(shmheap_memory_handle *)context);
}

/* The uses of a departed process count for the remaining ones, whether reaping has freed its slot
 * or not. */
static void check_uses_of_departed(int reap)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    test_in_child(use_it_and_leave, &mem);
    void *object = shmheap_find(mem, "shared by many", NULL);
    if (reap)
        CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_PTR(shmheap_find(mem, "shared by many", NULL), object);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    CHECK_EQ(shmheap_try_free(mem, object), 0);
    CHECK_REFUSED(shmheap_find(mem, "shared by many", NULL) == NULL, ENOENT);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void uses_of_departed_processes(void)
{
    check_uses_of_departed(0);
    check_uses_of_departed(1);
}

static void a_reader_finds(void)
{
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0), reader;
    void *object = shmheap_alloc_named(mem, "a", 10);
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(mem), &options), 0);
    size_t len = 0;
    CHECK_EQ(test_offset(reader, shmheap_find(reader, "a", &len)), test_offset(mem, object));
    CHECK_EQ(len, 10);
    CHECK_REFUSED(shmheap_find(reader, "b", NULL) == NULL, ENOENT);
    CHECK_REFUSED(shmheap_alloc_named(reader, "a", 10) == NULL, EACCES);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

/* struct race is what threads share that make, find and free the same few names. */
struct race {
    shmheap_memory_handle mem;
    uint64_t rounds;
};

static void *name_and_free(void *context)
{
    struct race *race = context;
    char text[32];
    for (uint64_t i = 0; i < race->rounds; i++) {
        name_of(text, i % 5);
        uint64_t *object = shmheap_alloc_named(race->mem, text, 8 + i % 5 * 100);
        CHECK(object != NULL);
        CHECK_PTR(shmheap_find(race->mem, text, NULL), object); /* it stays, as we use it */
        name_of(text, 100 + i % 5);
        CHECK_REFUSED(shmheap_find(race->mem, text, NULL) == NULL, ENOENT);
        CHECK_EQ(shmheap_try_free(race->mem, object), 0);
    }
    return NULL;
}

static void threads_name_and_free(void)
{
    struct race race = {test_anonymous(1 << 20, 0, 0), test_rounds(20000)};
    test_threads(4, name_and_free, &race);
    CHECK_SOUND(race.mem);
    struct seen seen = {0, 0, 0};
    CHECK_EQ(shmheap_names(race.mem, note_name, &seen), 0);
    CHECK_EQ(seen.count, 0);
    shmheap_disconnect(race.mem);
}

/* Else a search for a name that there is not would pass over the whole table. */
static void half_of_the_table_stays_free(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    for (unsigned i = 0; i < 300; i++) {
        char text[16];
        snprintf(text, sizeof text, "name %u", i);
        CHECK(shmheap_alloc_named(mem, text, 8) != NULL);
        struct table table = names_table_now(mem.heap);
        uint64_t entries = 0;
        CHECK(table.entries != NULL);
        for (uint64_t k = 0; k <= table.mask; k++)
            entries += table.entries[k] != 0;
        CHECK_EQ(entries, i + 1);
        CHECK_LE(2 * entries, table.mask + 1);
    }
    shmheap_disconnect(mem);
}

static void a_table_with_room_stays(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    CHECK(shmheap_alloc_named(mem, "first", 8) != NULL);
    uint64_t table = names_table_now(mem.heap).granule;
    CHECK(shmheap_alloc_named(mem, "second", 8) != NULL);
    CHECK_EQ(names_table_now(mem.heap).granule, table);
    shmheap_disconnect(mem);
}

/* The names of NAMES entries whose searches all begin at the last place of the table: the second
 * entry and the third lie at the table's first places. */
enum { NAMES_AT_THE_END = 3 };

static void names_at_the_end(shmheap_memory_handle mem, char texts[NAMES_AT_THE_END][32])
{
    const uint64_t mask = names_table_now(mem.heap).mask;
    unsigned count = 0;
    for (uint64_t i = 0; count < NAMES_AT_THE_END; i++) {
        struct name name;
        name_of(texts[count], i);
        CHECK_EQ(name_set(mem.heap, &name, texts[count]), 0);
        count += (name.hash >> ENTRY_HASH_SHIFT & mask) == mask;
    }
}

/* The removal moves up what lies on the other side of the table's end. */
static void a_removal_at_the_end_of_the_table(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    char texts[NAMES_AT_THE_END][32];
    CHECK(shmheap_alloc_named(mem, "makes the table", 8) != NULL);
    names_at_the_end(mem, texts);
    for (unsigned removed = 0; removed < NAMES_AT_THE_END; removed++) {
        void *objects[NAMES_AT_THE_END];
        for (unsigned i = 0; i < NAMES_AT_THE_END; i++)
            CHECK((objects[i] = shmheap_alloc_named(mem, texts[i], 8)) != NULL);
        struct table table = names_table_now(mem.heap);
        CHECK(table.entries[table.mask] != 0 && table.entries[0] != 0 && table.entries[1] != 0);
        CHECK_EQ(shmheap_try_free(mem, objects[removed]), 0);
        CHECK_SOUND(mem);
        for (unsigned i = 0; i < NAMES_AT_THE_END; i++) {
            CHECK_PTR(shmheap_find(mem, texts[i], NULL), i != removed ? objects[i] : NULL);
            CHECK_EQ(shmheap_try_free(mem, objects[i]), i != removed ? 0 : -1);
        }
    }
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(one_object_for_all_processes_of_a_name),
                                    TEST(what_is_refused),
                                    TEST(handles_of_objects_with_names),
                                    TEST(the_first_block_gets_a_name),
                                    TEST(many_names),
                                    TEST(uses_of_the_dead_are_given_back),
                                    TEST(uses_of_departed_processes),
                                    TEST(a_reader_finds),
                                    TEST(threads_name_and_free),
                                    TEST(half_of_the_table_stays_free),
                                    TEST(a_table_with_room_stays),
                                    TEST(a_removal_at_the_end_of_the_table)};
TEST_MAIN(tests)
