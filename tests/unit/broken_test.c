/* A heap whose lock's owner died and whose headers do not reach its end: refused each time, and at once, until it is mended.
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/futex.h>

#include "c/src/block.h"
#include "c/src/connection.h"
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

static void refused_with(uint64_t bad)
{
    struct broken broken = broken_begin();
    uint64_t *header = header_before(broken.objects[5]), good = *header;
    *header = bad == 0 ? 0 : (good & ~HEADER_SIZE_MASK) | bad;
    let_the_owner_die(broken.mem);
    every_change_is_refused(&broken);
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

/* Growth publishes the new length before the tail takes in what was added: a death between leaves two free neighbours. */
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

/* Nobody died; whoever walks the blocks says what is wrong, and what was found before it is not lost. */
static void a_walk_that_cannot_reach_the_end(void)
{
    struct broken broken = broken_begin();
    uint64_t *header = header_before(broken.objects[5]), good = *header;
    *header = 0;
    CHECK_REFUSED(shmheap_reap(broken.mem, 0) == -1, EBADMSG);
    *header = good;
    CHECK_EQ(shmheap_reap(broken.mem, 0), 0);
    CHECK_SOUND(broken.mem);
    shmheap_disconnect(broken.mem);
}

static const struct test tests[] = {TEST(a_header_of_nothing), TEST(a_size_beyond_the_end), TEST(a_size_that_misses_the_next),
                                    TEST(free_neighbours_are_merged), TEST(a_walk_that_cannot_reach_the_end)};
TEST_MAIN(tests)
