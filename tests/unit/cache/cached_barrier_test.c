/* A reclaimer runs a barrier between its request and its load of the owner's word: a store of
 * the owner that only becomes visible there keeps the owner's blocks from the reclaimer.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/syscall.h>

#include "c/src/base/kernel.h"
#include "c/src/block/block.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { LEN = 256 << 10, OBJECTS = 20, OBJECT_LEN = 100 };

static struct cache_line *line;
static unsigned barriers;
static int refuses;

static long at_barrier(long number, long *a)
{
    if (number != SYS_membarrier || a[0] != MEMBARRIER_CMD_GLOBAL_EXPEDITED)
        return wrap_syscall_real(number, a);
    barriers++;
    if (refuses) {
        errno = ENOSYS;
        return -1;
    }
    CHECK_EQ(line->requested, 1);
    line->active = 1; /* the owner stored it, and has seen no request */
    return wrap_syscall_real(number, a);
}

static void warm_up(shmheap_memory_handle mem)
{
    void *ptrs[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, OBJECT_LEN)) != NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
}

static struct cache_line *first_line(shmheap_memory_handle mem)
{
    uint64_t first = mem.heap->control->cache_lines;
    CHECK(first != 0);
    return block_payload(mem.heap, first - 1);
}

/* A connection whose cache holds blocks, and one that wants all memory. */
static void scene_begin(shmheap_memory_handle *owner, shmheap_memory_handle *other)
{
    *owner = test_anonymous_with(LEN, 0, SHMHEAP_CACHED);
    *other = test_connect_again(*owner, 0);
    warm_up(*owner);
    line = first_line(*owner);
    barriers = 0;
    wrap_syscall = at_barrier;
}

static void scene_end(shmheap_memory_handle owner, shmheap_memory_handle other)
{
    wrap_syscall = NULL;
    CHECK_SOUND(other);
    shmheap_disconnect(owner);
    test_check_empty(other);
    shmheap_disconnect(other);
}

static void a_late_store_keeps_the_blocks(void)
{
    shmheap_memory_handle owner, other;
    scene_begin(&owner, &other);
    uint64_t cached = test_cached(other).blocks, epoch = line->epoch;
    CHECK(cached > 0);
    CHECK_REFUSED(shmheap_alloc(other, LEN - 100) == NULL, ENOMEM);
    CHECK_EQ(barriers, 1);
    CHECK_EQ(test_cached(other).blocks, cached);
    CHECK_EQ(line->epoch, epoch);
    line->active = 0;
    scene_end(owner, other);
}

/* Another thread of the owner, with a line of its own, which comes first in the list. */
struct thread {
    shmheap_memory_handle mem;
    struct test_barrier step;
};

static void *warm_up_and_wait(void *context)
{
    struct thread *thread = context;
    warm_up(thread->mem);
    test_barrier_wait(&thread->step); /* warm */
    test_barrier_wait(&thread->step); /* may end */
    return NULL;
}

/* Blocks name the slot, not the line: those of both threads stay, and so does the epoch of each
 * line, as each thread goes on with its cache. */
static void a_late_store_keeps_the_blocks_of_all_threads(void)
{
    struct thread thread;
    shmheap_memory_handle owner, other;
    pthread_t id;
    scene_begin(&owner, &other);
    thread.mem = owner;
    test_barrier_begin(&thread.step, 2);
    CHECK_EQ(pthread_create(&id, NULL, warm_up_and_wait, &thread), 0);
    test_barrier_wait(&thread.step);
    const struct cache_line *idle = first_line(owner);
    CHECK(idle != line);
    uint64_t cached = test_cached(other).blocks, epoch = line->epoch, idle_epoch = idle->epoch;
    CHECK_REFUSED(shmheap_alloc(other, LEN - 100) == NULL, ENOMEM);
    CHECK_EQ(barriers, 1);
    CHECK_EQ(test_cached(other).blocks, cached);
    CHECK_EQ(line->epoch, epoch);
    CHECK_EQ(idle->epoch, idle_epoch);
    line->active = 0;
    test_barrier_wait(&thread.step);
    CHECK_EQ(pthread_join(id, NULL), 0);
    test_barrier_end(&thread.step);
    scene_end(owner, other);
}

static void without_a_barrier_no_block_is_taken(void)
{
    shmheap_memory_handle owner, other;
    scene_begin(&owner, &other);
    uint64_t cached = test_cached(other).blocks;
    refuses = 1;
    CHECK_REFUSED(shmheap_alloc(other, LEN - 100) == NULL, ENOMEM);
    refuses = 0;
    CHECK_EQ(barriers, 1);
    CHECK_EQ(test_cached(other).blocks, cached);
    scene_end(owner, other);
}

static const struct test tests[] = {TEST(a_late_store_keeps_the_blocks),
                                    TEST(a_late_store_keeps_the_blocks_of_all_threads),
                                    TEST(without_a_barrier_no_block_is_taken)};
TEST_MAIN(tests)
