/* How many bytes the caches of a connection keep at most, and that an allocation gets them when the
 * heap is full.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"
#include "tests/unit/cache/caches.h"

/* So few that the heap never fills: a full heap reclaims the blocks of the caches, which may be
 * all. */
static size_t objects_that_fit(size_t len)
{
    size_t most = len / THREADS / (2 * LEN_MOST);
    return most < OBJECTS ? most : OBJECTS;
}

static void *free_one(void *mem)
{
    shmheap_free(*(shmheap_memory_handle *)mem, shmheap_alloc(*(shmheap_memory_handle *)mem, 1));
    return NULL;
}

/* A thread that ends waits 100 ms for the heap's lock. On a busy machine that may be too short:
 * then its cache stays for the connection's next thread, which gives it back when it ends. */
static void caches_all_given_back(shmheap_memory_handle mem, shmheap_memory_handle looker)
{
    for (unsigned i = 0; i < 8 * THREADS && test_cached(looker).bytes != 0; i++) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, free_one, &mem), 0);
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    CHECK_EQ(test_cached(looker).bytes, 0);
}

static void check_bound(size_t len, size_t alignment, size_t objects)
{
    struct crew crew = {.mem = test_anonymous_with(len, alignment, SHMHEAP_CACHED | SHMHEAP_SPARSE),
                        .objects = objects};
    shmheap_memory_handle looker = test_connect_again(crew.mem, 0);
    pthread_t threads[THREADS];
    crew_start(&crew, threads);
    uint64_t kept = test_cached(looker).bytes, most = most_of_a_thread(looker);
    printf("  heap of %zu, alignment %zu: %u threads keep %llu bytes, at most %llu\n", len,
           alignment, THREADS, (unsigned long long)kept, (unsigned long long)(THREADS * most));
    CHECK_LE(kept, THREADS * most);
    CHECK(kept > 0 || objects == 0 || objects > objects_that_fit(len));
    CHECK_SOUND(looker);
    crew_join(&crew, threads);
    caches_all_given_back(crew.mem, looker);
    test_check_empty(looker);
    shmheap_disconnect(crew.mem);
    shmheap_disconnect(looker);
}

static void a_thread_keeps_so_much_and_until_it_ends(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        static const size_t lens[] = {20000, 1 << 20, 16 << 20, (size_t)256 << 20};
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
            check_bound(lens[i], alignment, objects_that_fit(lens[i]));
            check_bound(lens[i], alignment, OBJECTS);
        }
    }
}

/* The bound holds at each moment of a churn, not only at its end. */
struct churner {
    shmheap_memory_handle mem;
    uint64_t rounds;
    int done;
};

static void *churn_on(void *context)
{
    struct churner *churner = context;
    struct test_random random = test_random_begin(17);
    void *held[HELD] = {0};
    for (uint64_t i = 0; i < churner->rounds; i++) {
        void **place = &held[test_random_below(&random, HELD)];
        CHECK_EQ(shmheap_try_free(churner->mem, *place), 0);
        *place =
            test_random_below(&random, 3) ? shmheap_alloc(churner->mem, choose_len(&random)) : NULL;
    }
    for (unsigned i = 0; i < HELD; i++)
        CHECK_EQ(shmheap_try_free(churner->mem, held[i]), 0);
    __atomic_store_n(&churner->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void the_bound_holds_at_each_moment(void)
{
    struct churner churner = {.mem = test_anonymous_with(4 << 20, 0, SHMHEAP_CACHED),
                              .rounds = test_rounds(ROUNDS)};
    shmheap_memory_handle looker = test_connect_again(churner.mem, 0);
    uint64_t looks = 0, largest = 0;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, churn_on, &churner), 0);
    do {
        uint64_t kept = test_cached(looker).bytes;
        largest = kept > largest ? kept : largest;
        looks++;
    } while (!__atomic_load_n(&churner.done, __ATOMIC_ACQUIRE));
    CHECK_EQ(pthread_join(thread, NULL), 0);
    printf("  %llu looks, the most kept was %llu\n", (unsigned long long)looks,
           (unsigned long long)largest);
    /* A walk is read in batches, each as it was in its moment: blocks that come and go meanwhile
     * may count twice. */
    CHECK_LE(largest, 2 * most_of_a_thread(looker));
    test_check_empty(looker);
    shmheap_disconnect(looker);
    shmheap_disconnect(churner.mem);
}

enum { SMALL_HEAP = 64 << 10, SMALL_LEN_MOST = 48, SMALL_HELD = 500, SMALL_ROUNDS = 30000 };

/* In a heap whose caches are small, where one block too many would be seen: the last block that a
 * cache fetches may be larger than requested. */
static void the_bound_holds_after_each_call(void)
{
    shmheap_memory_handle mem = test_anonymous_with(SMALL_HEAP, 8, SHMHEAP_CACHED),
                          looker = test_connect_again(mem, 0);
    struct test_random random = test_random_begin(18);
    void *held[SMALL_HELD] = {0};
    uint64_t largest = 0, most = most_of_a_thread(looker);
    for (size_t round = 0; round < test_rounds(SMALL_ROUNDS); round++) {
        void **place = &held[test_random_below(&random, SMALL_HELD)];
        CHECK_EQ(shmheap_try_free(mem, *place), 0);
        *place = test_random_below(&random, 8)
                     ? shmheap_alloc(mem, test_random_below(&random, SMALL_LEN_MOST))
                     : NULL;
        uint64_t kept = test_cached(looker).bytes;
        CHECK_LE(kept, most);
        largest = kept > largest ? kept : largest;
    }
    CHECK(largest > most / 16); /* with a sanitizer there are few rounds */
    for (size_t i = 0; i < SMALL_HELD; i++)
        CHECK_EQ(shmheap_try_free(mem, held[i]), 0);
    shmheap_disconnect(mem);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

enum { FLOOD = 120000, FLOOD_LEN = 24, FLOOD_STEP = 7919 };

static void flood(shmheap_memory_handle mem, void **ptrs)
{
    for (size_t i = 0; i < FLOOD; i++) {
        ptrs[i] = shmheap_alloc(mem, FLOOD_LEN);
        CHECK(ptrs[i] != NULL);
        test_fill(ptrs[i], FLOOD_LEN, i);
    }
    for (size_t i = 0; i < FLOOD; i++)
        CHECK(test_filled(ptrs[i], FLOOD_LEN, i));
}

/* Not in the order of their addresses. */
static void drain(shmheap_memory_handle mem, void **ptrs)
{
    for (size_t i = 0; i < FLOOD; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i * FLOOD_STEP % FLOOD]), 0);
}

/* All that a thread may keep can be of one size: it then gives back parts of it, and later uses the
 * rest. */
static void a_flood_of_one_size(void)
{
    shmheap_memory_handle mem = test_anonymous_with(64 << 20, 0, SHMHEAP_CACHED | SHMHEAP_SPARSE),
                          looker = test_connect_again(mem, 0);
    void **ptrs = calloc(FLOOD, sizeof *ptrs);
    CHECK(ptrs != NULL);
    for (unsigned round = 0; round < 3; round++) {
        flood(mem, ptrs);
        drain(mem, ptrs);
        uint64_t kept = test_cached(looker).bytes;
        CHECK_LE(kept, most_of_a_thread(looker));
        CHECK(kept > most_of_a_thread(looker) / 2);
        CHECK_SOUND(looker);
    }
    free(ptrs);
    shmheap_disconnect(mem);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* struct drainer frees in a thread of its own what another allocated. */
struct drainer {
    shmheap_memory_handle mem, looker;
    void **ptrs;
};

static void *drain_and_look(void *context)
{
    struct drainer *drainer = context;
    drain(drainer->mem, drainer->ptrs);
    CHECK_LE(test_cached(drainer->looker).bytes, most_of_a_thread(drainer->looker) / 16);
    return NULL;
}

/* Through a thread that only frees memory shall go round quickly. */
static void a_thread_that_only_frees_keeps_little(void)
{
    struct drainer drainer = {.mem =
                                  test_anonymous_with(64 << 20, 0, SHMHEAP_CACHED | SHMHEAP_SPARSE),
                              .ptrs = calloc(FLOOD, sizeof(void *))};
    pthread_t thread;
    CHECK(drainer.ptrs != NULL);
    drainer.looker = test_connect_again(drainer.mem, 0);
    flood(drainer.mem, drainer.ptrs);
    CHECK_EQ(pthread_create(&thread, NULL, drain_and_look, &drainer), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    free(drainer.ptrs);
    shmheap_disconnect(drainer.mem);
    test_check_empty(drainer.looker);
    shmheap_disconnect(drainer.looker);
}

/* A full heap: what lies in one's own caches is not missing, and neither is what lies in those of
 * another thread. */
static void no_room_is_lost_to_caches(void)
{
    struct crew crew = {.mem = test_anonymous_with(1 << 20, 0, SHMHEAP_CACHED), .objects = 500};
    pthread_t threads[THREADS];
    void *all[2000];
    crew_start(&crew, threads);
    CHECK(test_cached(crew.mem).bytes > 0);
    size_t count = test_take_all(crew.mem, all, 2000);
    CHECK_EQ(test_cached(crew.mem).bytes, 0);
    CHECK_EQ(test_stat(crew.mem).free_bytes, 0);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(shmheap_try_free(crew.mem, all[i]), 0);
    CHECK_SOUND(crew.mem);
    crew_join(&crew, threads);
    shmheap_memory_handle looker = test_connect_again(crew.mem, 0);
    shmheap_disconnect(crew.mem);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* Also a single cached block is reclaimed. */
static void the_only_block_that_fits_is_in_a_cache(void)
{
    shmheap_memory_handle mem = test_anonymous_with(1 << 20, 16, SHMHEAP_CACHED),
                          other = test_connect_again(mem, 0);
    void *kept = shmheap_alloc(mem, 2000), *ptr;
    CHECK(kept != NULL);
    while ((ptr = shmheap_alloc(other, 2000)) != NULL) /* takes what mem's cache has, too */
        continue;
    CHECK_EQ(test_cached(other).bytes, 0);
    for (int i = 0; i < 100; i++) { /* at first the cache rests after the reclaim */
        CHECK_EQ(shmheap_try_free(mem, kept), 0);
        ptr = shmheap_alloc(other, 2000);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(other, ptr), 0);
        kept = shmheap_alloc(mem, 2000);
        CHECK(kept != NULL);
    }
    CHECK_SOUND(other);
    shmheap_disconnect(mem);
    shmheap_disconnect(other);
}

enum { SHARED_LEN = 1 << 20, SHARED_HELD = 1000, SHARED_ROUNDS = 100000, FREE_LEFT = 64 << 10 };

/* struct churn_log: what a churn of objects of 16 to 1,024 bytes saw. */
struct churn_log {
    struct test_random random;
    void *held[SHARED_HELD];
    uint64_t larger; /* objects in blocks larger than their size rounded up */
};

static void churn_small(shmheap_memory_handle mem, struct churn_log *log)
{
    for (size_t round = 0; round < test_rounds(SHARED_ROUNDS); round++) {
        void **place = &log->held[test_random_below(&log->random, SHARED_HELD)];
        size_t low = (size_t)16 << test_random_below(&log->random, 6);
        size_t len = low + test_random_below(&log->random, low);
        CHECK_EQ(shmheap_try_free(mem, *place), 0);
        CHECK((*place = shmheap_alloc(mem, len)) != NULL);
        size_t block = (len + 8 + 15) / 16 * 16, room = shmheap_usable_size(mem, *place) + 8;
        CHECK_LE(block, room);
        CHECK_LE(room, block + block / 8);
        log->larger += room != block;
    }
}

/* A cache that is nearly full serves a size from the next larger ones. */
static void a_full_cache_lends_larger_blocks(void)
{
    shmheap_memory_handle mem = test_anonymous_with(SHARED_LEN / 2, 16, SHMHEAP_CACHED);
    struct churn_log log = {.random = test_random_begin(19)};
    churn_small(mem, &log);
    CHECK(log.larger > 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Another process takes nearly all that was free. The cache gives back until about as much stays
 * free as it keeps. */
static void a_cache_follows_what_is_free(void)
{
    shmheap_memory_handle mem = test_anonymous_with(SHARED_LEN, 16, SHMHEAP_CACHED),
                          other = test_connect_again(mem, 0);
    struct churn_log log = {.random = test_random_begin(20)};
    churn_small(mem, &log);
    CHECK(test_cached(other).bytes > FREE_LEFT);
    while (test_stat(other).free_bytes > FREE_LEFT)
        CHECK(shmheap_alloc(other, 500) != NULL);
    churn_small(mem, &log);
    uint64_t kept = test_cached(other).bytes, left = test_stat(other).free_bytes;
    printf("  %llu bytes kept, %llu free\n", (unsigned long long)kept, (unsigned long long)left);
    CHECK_LE(kept, left + left / 4);
    CHECK_SOUND(other);
    shmheap_disconnect(mem);
    shmheap_disconnect(other);
}

static const struct test tests[] = {TEST(a_thread_keeps_so_much_and_until_it_ends),
                                    TEST(the_bound_holds_at_each_moment),
                                    TEST(the_bound_holds_after_each_call),
                                    TEST(a_flood_of_one_size),
                                    TEST(a_thread_that_only_frees_keeps_little),
                                    TEST(no_room_is_lost_to_caches),
                                    TEST(the_only_block_that_fits_is_in_a_cache),
                                    TEST(a_full_cache_lends_larger_blocks),
                                    TEST(a_cache_follows_what_is_free)};
TEST_MAIN(tests)
