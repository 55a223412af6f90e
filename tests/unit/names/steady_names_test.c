/* A reader without the lock searches for a name before each store of calls that make and remove
 * other names: it finds the name or learns that it must try again, but never that there is none.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { NAMES = 150 };

void (*shmheap_store_hook)(void);

static shmheap_memory_handle mem, reader;
static unsigned found, busy;

static void search(void)
{
    size_t len = 0;
    shmheap_store_hook = NULL;
    errno = 0;
    const void *ptr = shmheap_find(reader, "steady", &len);
    CHECK(ptr != NULL ? len == 8 : errno == EAGAIN);
    ++*(ptr != NULL ? &found : &busy);
    errno = 0;
    CHECK(shmheap_find(reader, "never", NULL) == NULL && (errno == ENOENT || errno == EAGAIN));
    shmheap_store_hook = search;
}

/* The table becomes larger, smaller, and moves. */
static void found_whatever_changes(void)
{
    void *objects[NAMES];
    mem = test_anonymous(1 << 20, 0, 0);
    reader = test_connect_again(mem, SHMHEAP_READ_ONLY);
    void *low = shmheap_alloc(mem, 4000);
    CHECK(shmheap_alloc_named(mem, "steady", 8) != NULL);
    shmheap_free(mem, low);
    shmheap_store_hook = search;
    for (unsigned i = 0; i < NAMES; i++) {
        char text[16];
        snprintf(text, sizeof text, "name %u", i);
        CHECK((objects[i] = shmheap_alloc_named(mem, text, 8)) != NULL);
    }
    for (unsigned i = 0; i < NAMES; i++)
        CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
    shmheap_store_hook = NULL;
    CHECK(found > NAMES);
    printf("  found %u times, %u times busy\n", found, busy);
    CHECK_SOUND(mem);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(found_whatever_changes)};
TEST_MAIN(tests)
