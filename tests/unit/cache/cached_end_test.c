/* The end of a cache: a thread that closes the connection waits for one that is emptying its cache,
 * a block that a peer has made its own is not freed, and an ended thread's cache line leaves the
 * list. Each closing thread learns that its wait is over. After a reclaim a cache serves again.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <unistd.h>

#include "c/src/block/block.h"
#include "c/src/cache/cache.h"
#include "c/src/process/lock.h"
#include "tests/support/test.h"

enum { LEN = 256 << 10, OBJECTS = 20, OBJECT_LEN = 100 };

static shmheap_memory_handle caching;

static void warm_up(void)
{
    void *ptrs[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((ptrs[i] = shmheap_alloc(caching, OBJECT_LEN)) != NULL);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(caching, ptrs[i]), 0);
}

static void *warm_up_and_end(void *context)
{
    struct test_barrier *barrier = context;
    warm_up();
    test_barrier_wait(barrier); /* filled */
    test_barrier_wait(barrier); /* may end */
    return NULL;
}

/* The offset of a block in state cached, of whatever slot; 0: there is none. */
static int cached_visit(const shmheap_block_info *block, void *context)
{
    if (block->state == SHMHEAP_STATE_CACHED)
        *(uint64_t *)context = block->offset;
    return 0;
}

static uint64_t cached_offset(shmheap_memory_handle mem)
{
    uint64_t offset = 0;
    CHECK_EQ(shmheap_walk(mem, cached_visit, &offset), 0);
    return offset;
}

/* The ending thread cannot get the lock, gives up, and tells the one that waits for it. */
static void closed_while_a_thread_empties_its_cache(void)
{
    pthread_t thread;
    struct test_barrier warmed;
    shmheap_memory_handle other = test_anonymous(LEN, 0, 0);
    unsigned slot = test_own_slot(other);
    caching = test_connect_again(other, SHMHEAP_CACHED);
    caching.heap->lock_limit_ms = 0;
    test_barrier_begin(&warmed, 2);
    CHECK_EQ(pthread_create(&thread, NULL, warm_up_and_end, &warmed), 0);
    test_barrier_wait(&warmed);
    uint64_t *lock = &other.heap->control->lock;
    __atomic_store_n(lock, (uint64_t)gettid() | (uint64_t)slot << LOCK_SLOT_SHIFT,
                     __ATOMIC_RELEASE);
    test_barrier_wait(&warmed);
    while (!(__atomic_load_n(lock, __ATOMIC_ACQUIRE) & FUTEX_WAITERS))
        sched_yield(); /* until the thread is emptying its cache, and waits for the lock */
    shmheap_disconnect(caching);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    CHECK(cached_offset(other) != 0); /* no thread could give them back */
    CHECK_LE(1, shmheap_reap(other, 0));
    CHECK_EQ(cached_offset(other), 0);
    CHECK_SOUND(other);
    test_barrier_end(&warmed);
    shmheap_disconnect(other);
}

/* struct closing is private: a connection, the thread that ends with a cache of it, and the thread
 * that closes it meanwhile. */
struct closing {
    shmheap_memory_handle mem;
    pthread_t user, closer;
    struct test_barrier empties, may_tell; /* the user waits there in CACHE_EMPTYING */
    pid_t waits;                           /* the closer, once it waits for the cache */
};

static __thread struct closing *ends, *closes;

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    struct closing *closing = ends;
    if (closing != NULL && closing->mem.heap->caches->state == CACHE_EMPTYING) {
        ends = NULL;
        test_barrier_wait(&closing->empties);
        test_barrier_wait(&closing->may_tell);
    }
    return __real_pthread_mutex_lock(mutex);
}

int __real_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (closes != NULL)
        __atomic_store_n(&closes->waits, gettid(), __ATOMIC_RELEASE);
    return __real_pthread_cond_wait(cond, mutex);
}

static void *use_and_end(void *context)
{
    struct closing *closing = context;
    void *ptr = shmheap_alloc(closing->mem, OBJECT_LEN);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(closing->mem, ptr), 0);
    ends = closing;
    return NULL;
}

static void *close_connection(void *context)
{
    closes = context;
    shmheap_disconnect(closes->mem);
    return NULL;
}

/* Two threads empty their caches, and the closers of both connections wait, the first one for
 * longer. The second cache is empty first: its closer goes on. */
static void each_closing_thread_learns_of_its_cache(void)
{
    enum { CONNECTIONS = 2 };
    static struct closing all[CONNECTIONS];
    for (struct closing *one = all; one < all + CONNECTIONS; one++) {
        one->mem = test_anonymous_with(LEN, 0, SHMHEAP_CACHED);
        test_barrier_begin(&one->empties, 2);
        test_barrier_begin(&one->may_tell, 2);
        CHECK_EQ(pthread_create(&one->user, NULL, use_and_end, one), 0);
        test_barrier_wait(&one->empties);
        CHECK_EQ(pthread_create(&one->closer, NULL, close_connection, one), 0);
        pid_t waits;
        while ((waits = __atomic_load_n(&one->waits, __ATOMIC_ACQUIRE)) == 0 ||
               test_state(waits) != 'S')
            sched_yield();
    }
    for (struct closing *one = all + CONNECTIONS; one-- > all;) {
        test_barrier_wait(&one->may_tell);
        CHECK_EQ(pthread_join(one->closer, NULL), 0);
        CHECK_EQ(pthread_join(one->user, NULL), 0);
        test_barrier_end(&one->empties);
        test_barrier_end(&one->may_tell);
    }
}

static void a_block_that_a_peer_took_stays(void)
{
    shmheap_memory_handle other = test_anonymous(LEN, 0, 0);
    unsigned slot = test_own_slot(other);
    caching = test_connect_again(other, SHMHEAP_CACHED);
    warm_up();
    uint64_t offset = cached_offset(other);
    CHECK(offset != 0);
    char *taken = (char *)shmheap_underlying(other) + offset;
    uint64_t *header = (uint64_t *)(void *)(taken - HEADER_SIZE);
    *header =
        header_make(header_size(*header), SHMHEAP_STATE_USED, slot, header_generation(*header));
    test_fill(taken, OBJECT_LEN, 3);
    shmheap_disconnect(caching);
    CHECK_EQ(cached_offset(other), 0);
    CHECK_EQ(test_stat(other).used_blocks, 1);
    CHECK(test_filled(taken, OBJECT_LEN, 3));
    CHECK_EQ(shmheap_try_free(other, taken), 0);
    test_check_empty(other);
    shmheap_disconnect(other);
}

enum { LINES = 3 };

/* The lines of which a reclaim would learn. */
static unsigned lines_listed(const struct shmheap *heap)
{
    unsigned lines = 0;
    for (uint64_t at = heap->control->cache_lines; at != 0; lines++) {
        const struct cache_line *line = block_payload(heap, at - 1);
        CHECK_EQ(header_state(block_load(heap, at - 1)), SHMHEAP_STATE_INTERNAL);
        CHECK(lines < LINES);
        at = line->next;
    }
    return lines;
}

/* Amid the list, then at its head, then the last. */
static void an_ended_threads_line_leaves_the_list(void)
{
    static const size_t order[LINES] = {1, 2, 0};
    struct test_barrier barriers[LINES];
    pthread_t threads[LINES];
    shmheap_memory_handle other = test_anonymous(LEN, 0, 0);
    caching = test_connect_again(other, SHMHEAP_CACHED);
    for (size_t i = 0; i < LINES; i++) {
        test_barrier_begin(&barriers[i], 2);
        CHECK_EQ(pthread_create(&threads[i], NULL, warm_up_and_end, &barriers[i]), 0);
        test_barrier_wait(&barriers[i]);
        CHECK_EQ(lines_listed(other.heap), i + 1);
    }
    for (unsigned i = 0; i < LINES; i++) {
        test_barrier_wait(&barriers[order[i]]);
        CHECK_EQ(pthread_join(threads[order[i]], NULL), 0);
        CHECK_EQ(lines_listed(other.heap), LINES - 1 - i);
    }
    for (size_t i = 0; i < LINES; i++)
        test_barrier_end(&barriers[i]);
    shmheap_disconnect(caching);
    test_check_empty(other);
    shmheap_disconnect(other);
}

/* 1 where an alloc and a free take no lock: each lock changes sequence. */
static int needs_no_lock(const struct shmheap *heap)
{
    uint64_t before = heap->control->sequence;
    void *ptr = shmheap_alloc(caching, OBJECT_LEN);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(caching, ptr), 0);
    return heap->control->sequence == before;
}

static void after_a_reclaim_a_cache_serves_again(void)
{
    enum { CALLS = 1000000 };
    static void *ptrs[LEN / OBJECT_LEN];
    size_t count = 0;
    shmheap_memory_handle other = test_anonymous(LEN, 0, 0);
    caching = test_connect_again(other, SHMHEAP_CACHED);
    warm_up();
    CHECK(needs_no_lock(other.heap));
    while ((ptrs[count] = shmheap_alloc(other, OBJECT_LEN)) != NULL)
        count++;
    CHECK_EQ(cached_offset(other), 0);
    CHECK_EQ(shmheap_free_many(other, ptrs, count), count);
    unsigned calls = 0;
    while (!needs_no_lock(other.heap))
        CHECK(++calls < CALLS);
    CHECK_LE(1, calls); /* it had to take the lock, and rested */
    shmheap_disconnect(caching);
    test_check_empty(other);
    shmheap_disconnect(other);
}

static const struct test tests[] = {
    TEST(closed_while_a_thread_empties_its_cache), TEST(each_closing_thread_learns_of_its_cache),
    TEST(a_block_that_a_peer_took_stays), TEST(an_ended_threads_line_leaves_the_list),
    TEST(after_a_reclaim_a_cache_serves_again)};
TEST_MAIN(tests)
