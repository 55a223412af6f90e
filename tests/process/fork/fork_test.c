/* Children go on with connections that they inherit.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>
#include <sched.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { ROUNDS = 20000, HELD = 50 };

struct held {
    char *ptr;
    size_t len;
    uint64_t mark;
};

/* Random work on a heap, every object checked; nothing is left. */
static void work(shmheap_memory_handle mem, uint64_t stream, size_t rounds)
{
    struct test_random random = test_random_begin(stream);
    struct held held[HELD];
    memset(held, 0, sizeof held);
    for (size_t i = 0; i < rounds; i++) {
        struct held *object = &held[test_random_below(&random, HELD)];
        if (object->ptr) {
            CHECK(test_filled(object->ptr, object->len, object->mark));
            CHECK_EQ(shmheap_try_free(mem, object->ptr), 0);
        }
        object->len = test_random_below(&random, 500);
        object->mark = stream << 32 | i;
        object->ptr = shmheap_alloc(mem, object->len);
        CHECK(object->ptr != NULL);
        test_fill(object->ptr, object->len, object->mark);
    }
    for (size_t i = 0; i < HELD; i++) {
        CHECK(!held[i].ptr || test_filled(held[i].ptr, held[i].len, held[i].mark));
        shmheap_free(mem, held[i].ptr);
    }
}

struct family {
    shmheap_memory_handle mem;
    unsigned parent_slot;
    char *parents_object;
};

static void child_works(void *context)
{
    struct family *family = context;
    CHECK(shmheap_valid(family->mem));
    CHECK(test_filled(family->parents_object, 100, 1));
    work(family->mem, (uint64_t)getpid(), ROUNDS);
    CHECK(test_own_slot(family->mem) != family->parent_slot);
    CHECK(test_filled(family->parents_object, 100, 1));
}

static void check_parent_and_children(shmheap_memory_handle mem)
{
    struct family family = {mem, test_own_slot(mem), shmheap_alloc(mem, 100)};
    pid_t children[4];
    test_fill(family.parents_object, 100, 1);
    for (unsigned i = 0; i < 4; i++)
        children[i] = test_fork(child_works, &family);
    work(mem, 0, ROUNDS);
    for (unsigned i = 0; i < 4; i++)
        test_join(children[i]);
    CHECK(test_filled(family.parents_object, 100, 1));
    CHECK_EQ(test_own_slot(mem), family.parent_slot);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 4);
    shmheap_free(mem, family.parents_object);
    test_check_empty(mem);
}

static void both_go_on_with_a_name(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, 1 << 20);
    check_parent_and_children(mem);
    shmheap_destroy(name, mem);
}

static void both_go_on_without_a_name(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 8);
    check_parent_and_children(mem);
    shmheap_disconnect(mem);
}

static void both_go_on_in_own_memory(void)
{
    void *memory = test_shared(1 << 20);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_create_at(&mem, memory, 1 << 20, NULL), 0);
    check_parent_and_children(mem);
    shmheap_disconnect(mem);
    test_unshare(memory, 1 << 20);
}

static void child_disconnects(void *context)
{
    struct family *family = context;
    shmheap_disconnect(family->mem);
    CHECK(!shmheap_valid(family->mem));
    CHECK_REFUSED(shmheap_alloc(family->mem, 1) == NULL, EINVAL);
}

static void child_changes_and_disconnects(void *context)
{
    struct family *family = context;
    CHECK(shmheap_alloc(family->mem, 100) != NULL);
    CHECK_EQ(test_stat(family->mem).processes, 2);
    child_disconnects(context);
}

static void a_childs_disconnect_is_its_own(void)
{
    struct family family = {test_anonymous(65536, 0, 0), 0, NULL};
    test_in_child(child_disconnects, &family);
    CHECK(shmheap_valid(family.mem));
    CHECK_EQ(test_stat(family.mem).processes, 1);
    CHECK(shmheap_alloc(family.mem, 100) != NULL);
    test_in_child(child_changes_and_disconnects, &family);
    CHECK_EQ(test_stat(family.mem).processes, 1);
    CHECK_EQ(test_stat(family.mem).dead, 0);
    CHECK_EQ(test_stat(family.mem).used_blocks, 2);
    CHECK_SOUND(family.mem);
    shmheap_disconnect(family.mem);
}

/* A child that only reads takes no slot and is not counted. */
static void child_looks(void *context)
{
    struct family *family = context;
    shmheap_object_handle handle = shmheap_ptr_to_handle(family->mem, family->parents_object);
    CHECK_PTR(shmheap_handle_to_ptr(family->mem, handle), family->parents_object);
    CHECK(test_filled(family->parents_object, 100, 1));
}

static void a_child_that_only_looks(void)
{
    struct family family = {test_anonymous(65536, 0, 0), 0, NULL};
    family.parents_object = shmheap_alloc(family.mem, 100);
    test_fill(family.parents_object, 100, 1);
    test_in_child(child_looks, &family);
    CHECK_EQ(test_stat(family.mem).processes, 1);
    CHECK_EQ(test_stat(family.mem).dead, 0);
    shmheap_disconnect(family.mem);
}

static void grandchild(void *context)
{
    struct family *family = context;
    work(family->mem, 3, 1000);
}

static void child_forks(void *context)
{
    struct family *family = context;
    work(family->mem, 2, 1000);
    test_in_child(grandchild, context);
    work(family->mem, 2, 1000);
}

static void grandchildren(void)
{
    struct family family = {test_anonymous(65536, 0, 0), 0, NULL};
    test_in_child(child_forks, &family);
    test_check_empty(family.mem);
    CHECK_EQ(test_stat(family.mem).dead, 2);
    shmheap_disconnect(family.mem);
}

/* The parent ends first: its locks, by which others know that it lives, must not live on in the
 * child. */
struct orphan {
    shmheap_memory_handle mem;
    int ready[2], go[2];
};

static void orphan_waits(void *context)
{
    struct orphan *orphan = context;
    char byte;
    CHECK(close(orphan->go[1]) == 0);
    CHECK_EQ(write(orphan->ready[1], "r", 1), 1);
    CHECK_EQ(read(orphan->go[0], &byte, 1), 0);
    CHECK(shmheap_alloc(orphan->mem, 100) != NULL);
}

static void parent_of_orphan(void *context)
{
    struct orphan *orphan = context;
    CHECK(shmheap_alloc(orphan->mem, 100) != NULL);
    test_fork(orphan_waits, context);
}

static void a_parent_that_dies_before_its_child(void)
{
    struct orphan orphan = {.mem = test_anonymous(65536, 0, 0)};
    char byte;
    CHECK(pipe(orphan.ready) == 0 && pipe(orphan.go) == 0);
    test_in_child(parent_of_orphan, &orphan);
    CHECK_EQ(read(orphan.ready[0], &byte, 1), 1);
    CHECK_EQ(test_stat(orphan.mem).dead, 1);
    CHECK_EQ(test_stat(orphan.mem).processes, 1);
    CHECK(close(orphan.ready[1]) == 0);
    CHECK(close(orphan.go[1]) == 0);
    CHECK_EQ(read(orphan.ready[0], &byte, 1), 0); /* the orphan has ended */
    CHECK_EQ(test_stat(orphan.mem).used_blocks, 2);
    CHECK_SOUND(orphan.mem);
    shmheap_disconnect(orphan.mem);
}

/* In own memory: a grandchild knows what its grandparent held, also when the process between them
 * has left in order. */
struct lineage {
    shmheap_memory_handle mem;
    void *memory;
    char *table;
    int in_order, ready[2], go[2];
};

static void lineage_grandchild(void *context)
{
    struct lineage *lineage = context;
    char byte;
    CHECK(close(lineage->go[1]) == 0);
    CHECK_EQ(write(lineage->ready[1], "r", 1), 1);
    CHECK_EQ(read(lineage->go[0], &byte, 1), 0);
    CHECK(test_filled(lineage->table, 100, 7));
    CHECK_LE(1, shmheap_usable_size(lineage->mem, lineage->table));
}

static void lineage_child(void *context)
{
    struct lineage *lineage = context;
    char byte;
    test_fork(lineage_grandchild, context);
    CHECK_EQ(read(lineage->ready[0], &byte, 1), 1);
    if (lineage->in_order)
        shmheap_disconnect(lineage->mem);
}

static void lineage_begin(void *context)
{
    struct lineage *lineage = context;
    CHECK_EQ(shmheap_attach_at(&lineage->mem, lineage->memory, 1 << 20), 0);
    CHECK((lineage->table = shmheap_alloc(lineage->mem, 100)) != NULL);
    test_fill(lineage->table, 100, 7);
    test_in_child(lineage_child, context);
    CHECK_EQ(write(lineage->ready[1], "e", 1), 1);
}

static void a_grandchild_whose_parent_has_left(int in_order)
{
    struct lineage lineage = {.memory = test_shared(1 << 20), .in_order = in_order};
    shmheap_memory_handle mem;
    char byte;
    CHECK(pipe(lineage.ready) == 0 && pipe(lineage.go) == 0);
    CHECK_EQ(shmheap_create_at(&mem, lineage.memory, 1 << 20, NULL), 0);
    test_in_child(lineage_begin, &lineage);
    CHECK_EQ(read(lineage.ready[0], &byte, 1), 1);
    for (unsigned i = 0; i < 4; i++) /* the first of them frees the slot in between */
        CHECK_EQ(shmheap_reap(mem, 0), 0);
    CHECK(close(lineage.ready[1]) == 0 && close(lineage.go[1]) == 0);
    CHECK_EQ(read(lineage.ready[0], &byte, 1), 0); /* the grandchild is ending */
    long freed;
    while ((freed = shmheap_reap(mem, 0)) == 0)
        sched_yield();
    CHECK_EQ(freed, 1);
    test_check_empty(mem);
    shmheap_disconnect(mem);
    CHECK(close(lineage.ready[0]) == 0 && close(lineage.go[0]) == 0);
    test_unshare(lineage.memory, 1 << 20);
}

static void grandchildren_of_a_parent_that_ended(void) { a_grandchild_whose_parent_has_left(0); }
static void grandchildren_of_a_parent_that_disconnected(void)
{
    a_grandchild_whose_parent_has_left(1);
}

static const struct test tests[] = {TEST(both_go_on_with_a_name),
                                    TEST(both_go_on_without_a_name),
                                    TEST(both_go_on_in_own_memory),
                                    TEST(a_childs_disconnect_is_its_own),
                                    TEST(a_child_that_only_looks),
                                    TEST(grandchildren),
                                    TEST(a_parent_that_dies_before_its_child),
                                    TEST(grandchildren_of_a_parent_that_ended),
                                    TEST(grandchildren_of_a_parent_that_disconnected)};
TEST_MAIN(tests)
