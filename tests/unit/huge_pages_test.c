/* SHMHEAP_HUGE_PAGES: a wish, which changes nothing but where the heap is mapped.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/connection.h"
#include "tests/support/test.h"

enum { HUGE_PAGE = 2 << 20, LEN = 8 << 20, OBJECTS = 300, OBJECT = 20000 };

static shmheap_memory_handle opened(const char *name, unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = {.len = LEN, .max_len = 2 * LEN, .flags = flags | SHMHEAP_HUGE_PAGES};
    if (!(flags & SHMHEAP_CREATE))
        options = (shmheap_options){.flags = flags | SHMHEAP_HUGE_PAGES};
    errno = 0;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    CHECK_EQ(errno, 0);
    CHECK_EQ((uintptr_t)mem.heap->base % HUGE_PAGE, 0);
    return mem;
}

/* Objects that one connection writes and the other reads; the heap has to grow for them all. */
static void use(shmheap_memory_handle writer, shmheap_memory_handle reader)
{
    static void *objects[OBJECTS];
    uint64_t grows = test_stat(writer).grows;
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = shmheap_alloc(writer, OBJECT);
        CHECK(objects[i] != NULL);
        test_fill(objects[i], OBJECT, i);
    }
    CHECK(shmheap_alloc(writer, LEN) != NULL);
    CHECK(test_stat(writer).grows > grows);
    for (size_t i = 0; i < OBJECTS; i++)
        CHECK(test_filled(shmheap_handle_to_ptr(reader, shmheap_ptr_to_handle(writer, objects[i])), OBJECT, i));
    for (size_t i = 0; i < OBJECTS; i++)
        shmheap_free(writer, objects[i]);
    CHECK_SOUND(writer);
    CHECK_SOUND(reader);
}

static void try_out(const char *name, unsigned kind)
{
    shmheap_memory_handle writer = opened(name, kind | SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    shmheap_memory_handle reader = opened(name, (kind & SHMHEAP_FILE) | SHMHEAP_READ_ONLY);
    use(writer, reader);
    shmheap_disconnect(reader);
    shmheap_destroy(name, writer);
}

static void named_heap(void) { try_out(test_name(), 0); }
static void sparse_heap(void) { try_out(test_name(), SHMHEAP_SPARSE); }
static void heap_with_caches(void) { try_out(test_name(), SHMHEAP_CACHED); }
static void heap_in_a_file(void) { try_out(test_path(), SHMHEAP_FILE); }

static void heap_without_a_name(void)
{
    shmheap_memory_handle writer = opened(NULL, SHMHEAP_CREATE | SHMHEAP_ANONYMOUS), reader;
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES};
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(writer), &options), 0);
    use(writer, reader);
    shmheap_disconnect(reader);
    shmheap_disconnect(writer);
}

static const struct test tests[] = {TEST(named_heap), TEST(sparse_heap), TEST(heap_with_caches), TEST(heap_in_a_file),
                                    TEST(heap_without_a_name)};
TEST_MAIN(tests)
