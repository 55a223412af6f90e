/* When caches give their blocks back: at disconnecting and at the end of a thread, with one heap or
 * several.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <malloc.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/unit/cache/caches.h"

/* Caches of threads that live on are given back as well, and those threads find a closed
 * connection. */
static void disconnecting_gives_all_back(void)
{
    struct crew crew = {.mem = test_anonymous_with(64 << 20, 0, SHMHEAP_CACHED | SHMHEAP_SPARSE),
                        .objects = OBJECTS};
    shmheap_memory_handle looker = test_connect_again(crew.mem, 0);
    pthread_t threads[THREADS];
    struct test_random random = test_random_begin(3);
    crew_start(&crew, threads);
    fill_caches(crew.mem, OBJECTS, &random);
    CHECK(test_cached(looker).bytes > 0);
    shmheap_disconnect(crew.mem);
    CHECK_EQ(test_cached(looker).bytes, 0);
    test_check_empty(looker);
    CHECK_EQ(test_stat(looker).processes, 1);
    crew_join(&crew, threads);
    CHECK_REFUSED(shmheap_alloc(crew.mem, 64) == NULL, EINVAL);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* A thread that outlives a connection uses the next one that takes its place. */
struct visitor {
    shmheap_memory_handle mem;
    struct test_barrier turn;
};

static void *use_two_heaps(void *context)
{
    struct visitor *visitor = context;
    struct test_random random = test_random_begin(5);
    for (unsigned i = 0; i < 20; i++) {
        test_barrier_wait(&visitor->turn);
        fill_caches(visitor->mem, 500, &random);
        test_barrier_wait(&visitor->turn);
    }
    return NULL;
}

static void one_heap_after_another(void)
{
    struct visitor visitor;
    pthread_t thread;
    test_barrier_begin(&visitor.turn, 2);
    CHECK_EQ(pthread_create(&thread, NULL, use_two_heaps, &visitor), 0);
    for (unsigned i = 0; i < 20; i++) {
        visitor.mem = test_anonymous_with(4 << 20, i % 2 ? 8 : 16, SHMHEAP_CACHED);
        shmheap_memory_handle looker = test_connect_again(visitor.mem, 0);
        test_barrier_wait(&visitor.turn);
        test_barrier_wait(&visitor.turn);
        shmheap_disconnect(visitor.mem);
        test_check_empty(looker);
        shmheap_disconnect(looker);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* Several heaps and connections at once, used in turns. */
static void many_heaps_at_once(void)
{
    enum { HEAPS = 12 };
    shmheap_memory_handle mems[HEAPS], lookers[HEAPS];
    struct test_random random = test_random_begin(6);
    for (unsigned i = 0; i < HEAPS; i++) {
        mems[i] = i % 3 == 2 ? test_connect_again(mems[i - 1], SHMHEAP_CACHED)
                             : test_anonymous_with(4 << 20, i % 2 ? 8 : 16, SHMHEAP_CACHED);
        lookers[i] = test_connect_again(mems[i], 0);
    }
    for (unsigned round = 0; round < 100; round++)
        fill_caches(mems[test_random_below(&random, HEAPS)], 100, &random);
    for (unsigned i = 0; i < HEAPS; i++)
        shmheap_disconnect(mems[i]);
    for (unsigned i = 0; i < HEAPS; i++) {
        test_check_empty(lookers[i]);
        shmheap_disconnect(lookers[i]);
    }
}

/* Random objects, each checked; those of a heap that grows come from places that were not there
 * when the cache was made. */
static void churn(shmheap_memory_handle mem, unsigned held_count, struct test_random *random)
{
    struct {
        char *ptr;
        size_t len;
    } *held = calloc(held_count, sizeof *held);
    size_t rounds = test_rounds(ROUNDS);
    CHECK(held != NULL);
    for (size_t i = 0; i < rounds; i++) {
        unsigned k = (unsigned)test_random_below(random, held_count);
        CHECK(held[k].ptr == NULL || test_filled(held[k].ptr, held[k].len, k));
        CHECK_EQ(shmheap_try_free(mem, held[k].ptr), 0);
        held[k].len = choose_len(random);
        held[k].ptr = shmheap_alloc(mem, held[k].len);
        CHECK(held[k].ptr != NULL);
        test_fill(held[k].ptr, held[k].len, k);
    }
    for (unsigned k = 0; k < held_count; k++)
        CHECK_EQ(shmheap_try_free(mem, held[k].ptr), 0);
    free(held);
}

static void a_heap_that_grows(void)
{
    const shmheap_options options = {.len = 65536,
                                     .max_len = 64 << 20,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    struct test_random random = test_random_begin(12);
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    shmheap_memory_handle looker = test_connect_again(mem, 0);
    churn(mem, 20000, &random);
    CHECK(test_stat(mem).grows > 0);
    CHECK(test_cached(looker).bytes > 0);
    CHECK_LE(test_cached(looker).bytes, most_of_a_thread(looker));
    shmheap_disconnect(mem);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* A cache that began before the heap grew also keeps blocks of the new part. */
enum { FIRST_LEN = 1 << 17, LATER = 64, LATER_LEN = 500 };

static int count_cached_later(const shmheap_block_info *block, void *context)
{
    if (block->state == SHMHEAP_STATE_CACHED && block->offset >= FIRST_LEN)
        ++*(unsigned *)context;
    return 0;
}

static void blocks_of_the_new_part_are_cached(void)
{
    const shmheap_options options = {.len = FIRST_LEN,
                                     .max_len = 8 << 20,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    shmheap_memory_handle mem;
    void *ptrs[LATER];
    unsigned cached = 0;
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    CHECK_EQ(shmheap_try_free(mem, shmheap_alloc(mem, LATER_LEN)), 0);
    CHECK(test_cached(mem).blocks > 0);
    CHECK(shmheap_alloc(mem, 4 << 20) != NULL); /* does not fit into the first part */
    for (unsigned i = 0; i < LATER; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, LATER_LEN)) != NULL);
    CHECK_LE(FIRST_LEN, test_offset(mem, ptrs[LATER - 1]));
    for (unsigned i = 0; i < LATER; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    CHECK_EQ(shmheap_walk(mem, count_cached_later, &cached), 0);
    CHECK(cached > 0);
    shmheap_disconnect(mem);
}

static void in_memory_of_ones_own(void)
{
    enum { BYTES = 4 << 20 };
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        const shmheap_options options = {.alignment = alignment, .flags = SHMHEAP_CACHED};
        struct test_random random = test_random_begin(13);
        char *memory = test_shared(BYTES + 64);
        shmheap_memory_handle mem, looker;
        /* Not at the beginning of a page, nor of a line. */
        CHECK_EQ(shmheap_create_at(&mem, memory + 16, BYTES, &options), 0);
        CHECK_EQ(shmheap_attach_at(&looker, memory + 16, BYTES), 0);
        churn(mem, 1000, &random);
        CHECK(test_cached(looker).bytes > 0);
        shmheap_disconnect(mem);
        test_check_empty(looker);
        shmheap_disconnect(looker);
        test_unshare(memory, BYTES + 64);
    }
}

/* What other libraries do at the end of a thread: destructors of theirs that free and allocate,
 * after the thread's cache has gone. Destructors run in any order; one that sets its value again
 * runs in the next round, when all others have run once. After the last round nothing would free a
 * cache that the thread made in it. In that round a destructor of ThreadSanitizer ends its state of
 * the thread: a destructor that runs after it would crash. */
enum { LAST_ROUND = PTHREAD_DESTRUCTOR_ITERATIONS - (TEST_UNDER_TSAN ? 1 : 0) };

struct ender {
    shmheap_memory_handle mem;
    pthread_key_t key;
    void *object;
    unsigned rounds;
};

static void end_late(void *context)
{
    struct ender *ender = context;
    if (++ender->rounds < LAST_ROUND) {
        CHECK_EQ(pthread_setspecific(ender->key, ender), 0);
        return;
    }
    CHECK_EQ(shmheap_try_free(ender->mem, ender->object), 0);
    char *ptr = shmheap_alloc(ender->mem, 64);
    CHECK(ptr != NULL);
    test_fill(ptr, 64, 1);
    CHECK(test_filled(ptr, 64, 1));
    CHECK_EQ(shmheap_try_free(ender->mem, ptr), 0);
}

static void *use_and_end(void *context)
{
    struct ender *ender = context;
    struct test_random random = test_random_begin(21);
    fill_caches(ender->mem, 500, &random);
    ender->object = shmheap_alloc(ender->mem, 64);
    CHECK(ender->object != NULL);
    CHECK_EQ(pthread_setspecific(ender->key, ender), 0);
    return NULL;
}

static void end_thread_beside_key(void)
{
    struct ender ender = {.mem = test_anonymous_with(4 << 20, 0, SHMHEAP_CACHED)};
    shmheap_memory_handle looker = test_connect_again(ender.mem, 0);
    CHECK_EQ(pthread_key_create(&ender.key, end_late), 0);
    test_threads(1, use_and_end, &ender);
    CHECK_EQ(ender.rounds, LAST_ROUND);
    CHECK(ender.mem.heap->caches == NULL);
    CHECK_EQ(test_cached(looker).bytes, 0);
    test_check_empty(looker);
    CHECK_EQ(pthread_key_delete(ender.key), 0);
    shmheap_disconnect(ender.mem);
    shmheap_disconnect(looker);
}

/* Runs first, since then the cache is certain to be a mapping of its own, of which nothing is left
 * when it has been freed. */
static void destructors_that_come_after_the_cache(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
    pthread_key_t filler;
    end_thread_beside_key(); /* makes the library's key: destructors of the test's key run before */
    CHECK_EQ(pthread_key_create(&filler, NULL), 0); /* takes the number of the first key */
    end_thread_beside_key();                        /* and here behind those of the library's */
    CHECK_EQ(pthread_key_delete(filler), 0);
}

static const struct test tests[] = {TEST(destructors_that_come_after_the_cache),
                                    TEST(disconnecting_gives_all_back),
                                    TEST(one_heap_after_another),
                                    TEST(many_heaps_at_once),
                                    TEST(a_heap_that_grows),
                                    TEST(blocks_of_the_new_part_are_cached),
                                    TEST(in_memory_of_ones_own)};
TEST_MAIN(tests)
