/* shmheap_realloc on a caching connection: a small object grows into a block of the thread's cache,
 * without the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/block.h"
#include "tests/support/test.h"

enum { LEN = 256 << 10, SHORT = 40, LONG = 100, OBJECTS = 20 };

static shmheap_memory_handle mem;
static char *small;

/* The lock's sequence: each owner moves it on. */
static uint64_t sequence(void)
{
    return __atomic_load_n(&mem.heap->control->sequence, __ATOMIC_RELAXED);
}

/* A small object with contents, and blocks for longer ones in this thread's cache. */
static void begin(void)
{
    mem = test_anonymous_with(LEN, 0, SHMHEAP_CACHED);
    void *longer[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((longer[i] = shmheap_alloc(mem, LONG)) != NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(mem, longer[i]), 0);
    CHECK((small = shmheap_alloc(mem, SHORT)) != NULL);
    test_fill(small, SHORT, 1);
}

static void end(void)
{
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void grows_without_the_lock(void)
{
    begin();
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, small);
    uint64_t before = sequence();
    char *moved = shmheap_realloc(mem, small, LONG);
    CHECK(moved != NULL && moved != small);
    CHECK_EQ(sequence(), before);
    CHECK(test_filled(moved, SHORT, 1));
    CHECK(shmheap_usable_size(mem, moved) >= LONG);
    CHECK_REFUSED(shmheap_try_free(mem, small) == -1, EINVAL);
    CHECK(shmheap_handle_to_ptr(mem, handle) == NULL);
    CHECK_EQ(shmheap_try_free(mem, moved), 0);
    end();
}

/* Each length that the object's block can hold. */
static void stays_where_its_block_suffices(void)
{
    begin();
    uint64_t before = sequence();
    for (size_t len = SHORT; len <= shmheap_usable_size(mem, small); len++)
        CHECK_PTR(shmheap_realloc(mem, small, len), small);
    CHECK_EQ(sequence(), before);
    CHECK(test_filled(small, SHORT, 1));
    end();
}

static void shrinks_in_place(void)
{
    begin();
    char *large = shmheap_realloc(mem, small, LONG);
    CHECK_PTR(shmheap_realloc(mem, large, SHORT), large);
    CHECK(test_filled(large, SHORT, 1));
    end();
}

/* A cache that has no block of the size: the object grows as on any connection. */
static void grows_beyond_what_is_cached(void)
{
    begin();
    char *large = shmheap_realloc(mem, small, LEN / 4);
    CHECK(large != NULL && test_filled(large, SHORT, 1));
    CHECK_PTR(shmheap_realloc(mem, large, LEN / 4 + 1000), large);
    CHECK_REFUSED(shmheap_realloc(mem, large, LEN) == NULL, ENOMEM);
    CHECK(test_filled(large, SHORT, 1));
    end();
}

/* A peer writes a larger size into the object's header: refused, with no byte moved. */
static void believes_no_size(void)
{
    begin();
    uint64_t *header = (uint64_t *)(void *)(small - sizeof *header), sound = *header;
    for (unsigned bit = 3; bit < 32; bit++) {
        *header = (sound & ~HEADER_SIZE_MASK) | UINT64_C(1) << bit;
        CHECK_REFUSED(shmheap_realloc(mem, small, LONG) == NULL, EBADMSG);
        CHECK_REFUSED(shmheap_realloc(mem, small, LEN / 4) == NULL, EBADMSG);
        *header = sound;
    }
    CHECK(test_filled(small, SHORT, 1));
    end();
}

/* A freed object, an address inside one, and one outside the heap. */
static void refuses_what_is_no_object(void)
{
    static uint64_t outside[32];
    begin();
    CHECK_REFUSED(shmheap_realloc(mem, small + 16, LONG) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, small + 1, LONG) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, outside + 2, LONG) == NULL, EINVAL);
    shmheap_free(mem, small);
    CHECK_REFUSED(shmheap_realloc(mem, small, LONG) == NULL, EINVAL);
    end();
}

static const struct test tests[] = {
    TEST(grows_without_the_lock), TEST(stays_where_its_block_suffices),
    TEST(shrinks_in_place),       TEST(grows_beyond_what_is_cached),
    TEST(believes_no_size),       TEST(refuses_what_is_no_object),
};
TEST_MAIN(tests)
