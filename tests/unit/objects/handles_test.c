/* Handles of objects: good everywhere while the object lives, refused afterwards, and never
 * guessed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { RANDOM_HANDLES = 100000, STAMPS = 32768 };

static const shmheap_object_handle null_handle = {0};

static shmheap_object_handle handle_of(shmheap_memory_handle mem, void *ptr)
{
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, ptr);
    CHECK(handle.bits != 0);
    return handle;
}

static void good_in_two_mappings(void)
{
    const char *name = test_name();
    shmheap_memory_handle a = shmheap_create(name, 65536), b = test_connect(name);
    CHECK(shmheap_underlying(a) != shmheap_underlying(b));
    for (size_t len = 1; len < 500; len += 9) {
        char *here = shmheap_alloc(a, len);
        CHECK(here != NULL);
        test_fill(here, len, len);
        char *there = shmheap_handle_to_ptr(b, handle_of(a, here));
        CHECK_EQ(test_offset(b, there), test_offset(a, here));
        CHECK(test_filled(there, len, len));
        CHECK_EQ(handle_of(b, there).bits, handle_of(a, here).bits);
        if (len % 2)
            CHECK_EQ(shmheap_try_free(b, there), 0);
    }
    shmheap_disconnect(b);
    CHECK_SOUND(a);
    shmheap_destroy(name, a);
}

/* A list whose links are handles lies in the heap itself. */
struct node {
    shmheap_object_handle next;
    uint64_t value;
};

struct list {
    const char *name;
    shmheap_object_handle first;
    uint64_t sum;
};

static void walk_list(void *context)
{
    struct list *list = context;
    shmheap_memory_handle mem = test_connect(list->name);
    uint64_t sum = 0;
    shmheap_object_handle handle = list->first;
    while (handle.bits != 0) {
        struct node *node = shmheap_handle_to_ptr(mem, handle);
        CHECK(node != NULL);
        sum += node->value;
        handle = node->next;
        CHECK_EQ(shmheap_try_free(mem, node), 0);
    }
    CHECK_EQ(sum, list->sum);
    shmheap_disconnect(mem);
}

static void good_in_the_heap_and_in_another_process(void)
{
    struct list list = {test_name(), {0}, 0};
    shmheap_memory_handle mem = shmheap_create(list.name, 1 << 20);
    for (uint64_t i = 1; i <= 1000; i++) {
        struct node *node = shmheap_alloc(mem, sizeof *node);
        CHECK(node != NULL);
        *node = (struct node){list.first, i * i};
        list.first = handle_of(mem, node);
        list.sum += i * i;
    }
    test_in_child(walk_list, &list);
    test_check_empty(mem);
    shmheap_destroy(list.name, mem);
}

static void one_object_has_one_handle(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    void *a = shmheap_alloc(mem, 10), *b = shmheap_alloc(mem, 10);
    CHECK_EQ(handle_of(mem, a).bits, handle_of(mem, a).bits);
    CHECK(handle_of(mem, a).bits != handle_of(mem, b).bits);
    shmheap_disconnect(mem);
}

static void of_a_freed_object_is_stale(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    void *a = shmheap_alloc(mem, 100);
    shmheap_object_handle handle = handle_of(mem, a);
    shmheap_free(mem, a);
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE);
    /* Its place becomes the middle of a larger object. */
    void *low = shmheap_alloc(mem, 16), *wide = shmheap_alloc(mem, 1000);
    CHECK(low == a && wide != NULL);
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE);
    shmheap_disconnect(mem);
}

/* The same place again and again: the generation tells the objects apart, until it wraps round. */
static void of_a_place_used_again_is_stale(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    void *a = shmheap_alloc(mem, 100);
    shmheap_object_handle handle = handle_of(mem, a);
    for (unsigned i = 1; i < STAMPS; i++) {
        shmheap_free(mem, a);
        CHECK_PTR(shmheap_alloc(mem, 100), a);
        CHECK_REFUSED(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE);
        CHECK(handle_of(mem, a).bits != handle.bits);
    }
    shmheap_disconnect(mem);
}

/* Two heaps have the same 13 bits of identity once in 8,191 times: then take another heap. */
/* The generations of objects that are sent to and fro run ahead of the count of allocs; all handles
 * of the first object stay stale, whatever object comes to its place and is sent as well; freed one
 * by one, or several as one. */
static void of_an_object_that_was_sent_often_is_stale(void)
{
    enum { SENT = 60, LATER = 3 * SENT };
    for (int many = 0; many < 2; many++) {
        shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
        shmheap_object_handle old[SENT];
        void *two[2] = {shmheap_alloc(mem, 100), shmheap_alloc(mem, 100)}, *place = two[0];
        for (int i = 0; i < SENT; i++) {
            old[i] = shmheap_send(mem, two[0]);
            CHECK((two[0] = shmheap_receive(mem, old[i])) != NULL);
        }
        if (many)
            CHECK_EQ(shmheap_free_many(mem, two, 2), 2);
        else
            CHECK_EQ(shmheap_try_free(mem, two[0]), 0);
        for (int later = 0; later < LATER; later++) {
            void *ptr = shmheap_alloc(mem, 100);
            CHECK_PTR(ptr, place);
            shmheap_object_handle new = shmheap_send(mem, ptr);
            for (int i = 0; i < SENT; i++)
                CHECK_REFUSED(shmheap_receive(mem, old[i]) == NULL, ESTALE);
            CHECK_PTR(shmheap_receive(mem, new), ptr);
            CHECK_EQ(shmheap_try_free(mem, ptr), 0);
        }
        shmheap_disconnect(mem);
    }
}

static void of_another_heap_is_refused(void)
{
    shmheap_memory_handle a = test_anonymous(4096, 0, 0), b = test_anonymous(4096, 0, 0);
    void *in_a = shmheap_alloc(a, 100);
    shmheap_object_handle handle = handle_of(a, in_a);
    while (handle_of(b, shmheap_alloc(b, 100)).bits >> 51 == handle.bits >> 51) {
        shmheap_disconnect(b);
        b = test_anonymous(4096, 0, 0);
    }
    CHECK_REFUSED(shmheap_handle_to_ptr(b, handle) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(b, in_a).bits == 0, EINVAL);
    CHECK_PTR(shmheap_handle_to_ptr(a, handle), in_a);
    shmheap_disconnect(a);
    shmheap_disconnect(b);
}

static void null_is_refused(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, null_handle) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, NULL).bits == 0, EINVAL);
    shmheap_disconnect(mem);
}

static void of_other_pointers_is_refused(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    char *a = shmheap_alloc(mem, 1000), *freed = shmheap_alloc(mem, 1000), on_stack = 0;
    char *region = shmheap_underlying(mem);
    shmheap_free(mem, freed);
    for (ptrdiff_t i = -16; i < 1100; i++)
        if (i != 0)
            CHECK_REFUSED(shmheap_ptr_to_handle(mem, a + i).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, freed).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, &on_stack).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, region + 65536).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, region - 4096).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, (void *)(uintptr_t)-1).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, (void *)(uintptr_t)8).bits == 0, EINVAL);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Refused, or the very object that has this handle. */
static void check_any_bits(shmheap_memory_handle mem, uint64_t bits)
{
    shmheap_object_handle handle = {bits};
    errno = 0;
    void *ptr = shmheap_handle_to_ptr(mem, handle);
    if (ptr != NULL)
        CHECK_EQ(handle_of(mem, ptr).bits, bits);
    else
        CHECK(errno == EINVAL || errno == ESTALE);
}

static void random_bits_are_refused_or_right(void)
{
    struct test_random random = test_random_begin(1);
    shmheap_memory_handle mem = test_anonymous(65536, 0, 8);
    shmheap_object_handle handles[100];
    for (unsigned i = 0; i < 100; i++) {
        void *ptr = shmheap_alloc(mem, test_random_below(&random, 500));
        CHECK(ptr != NULL);
        handles[i] = handle_of(mem, ptr);
        if (i % 3 == 0)
            shmheap_free(mem, ptr);
    }
    struct test_snapshot before = test_snapshot_take(mem);
    for (unsigned i = 0; i < RANDOM_HANDLES; i++) {
        uint64_t real = handles[test_random_below(&random, 100)].bits,
                 bits = test_random_next(&random);
        check_any_bits(mem, bits);
        check_any_bits(mem, (real & ~UINT64_C(0xfffffffff)) |
                                (bits & 0xfffffffff));                   /* another position */
        check_any_bits(mem, (real & ~UINT64_C(0xfff)) | (bits & 0xfff)); /* one nearby */
        check_any_bits(mem, real ^ UINT64_C(1) << (bits % 64));
    }
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static int is_used(const shmheap_block_info *block, void *context)
{
    *(enum shmheap_state *)context = block->state;
    return 1;
}

static void taking_one_marks_the_object_shared(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    void *a = shmheap_alloc(mem, 100);
    enum shmheap_state state;
    CHECK_EQ(shmheap_walk(mem, is_used, &state), 1);
    CHECK_EQ(state, SHMHEAP_STATE_USED);
    handle_of(mem, a);
    CHECK_EQ(shmheap_walk(mem, is_used, &state), 1);
    CHECK_EQ(state, SHMHEAP_STATE_SHARED);
    CHECK_PTR(shmheap_realloc(mem, a, 500), a);
    CHECK_EQ(shmheap_walk(mem, is_used, &state), 1);
    CHECK_EQ(state, SHMHEAP_STATE_SHARED);
    shmheap_disconnect(mem);
}

/* Each call is a connection's first since the other one made the heap longer. */
static void objects_where_the_heap_has_grown_elsewhere(void)
{
    enum { CALLS = 4 };
    for (unsigned call = 0; call < CALLS; call++) {
        shmheap_memory_handle grower = test_anonymous(8192, 1 << 16, 0), mem;
        CHECK_EQ(shmheap_open_fd(&mem, shmheap_fd(grower), NULL), 0);
        char *there = shmheap_alloc(grower, 20000);
        CHECK(there != NULL && test_stat(grower).grows > 0);
        char *here = (char *)shmheap_underlying(mem) + test_offset(grower, there);
        if (call == 0)
            CHECK_PTR(shmheap_handle_to_ptr(grower, shmheap_ptr_to_handle(mem, here)), there);
        else if (call == 1)
            CHECK_LE(20000, shmheap_usable_size(mem, here));
        else if (call == 2)
            CHECK_PTR(shmheap_realloc(mem, here, 10000), here);
        CHECK_EQ(shmheap_try_free(mem, here), 0);
        test_check_empty(grower);
        shmheap_disconnect(mem);
        shmheap_disconnect(grower);
    }
}

static const struct test tests[] = {TEST(good_in_two_mappings),
                                    TEST(good_in_the_heap_and_in_another_process),
                                    TEST(one_object_has_one_handle),
                                    TEST(of_a_freed_object_is_stale),
                                    TEST(of_a_place_used_again_is_stale),
                                    TEST(of_an_object_that_was_sent_often_is_stale),
                                    TEST(of_another_heap_is_refused),
                                    TEST(null_is_refused),
                                    TEST(of_other_pointers_is_refused),
                                    TEST(random_bits_are_refused_or_right),
                                    TEST(taking_one_marks_the_object_shared),
                                    TEST(objects_where_the_heap_has_grown_elsewhere)};
TEST_MAIN(tests)
