/* Connections with caches, within one process: how much they keep, when they give it back, and that what lies in a cache is
 * free for everybody who asks.
 * SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>

#include "tests/support/test.h"

enum {
    THREADS = 4,
    OBJECTS = 3000,
    LEN_MOST = 5000,
    ROUNDS = 200000,
    HELD = 400,
    MAILBOXES = 256,
    KEPT_MOST = 1 << 20,
    HEAP_PART = 64
};

static uint64_t most_of_a_thread(shmheap_memory_handle mem)
{
    uint64_t part = test_stat(mem).len / HEAP_PART;
    return part < KEPT_MOST ? part : KEPT_MOST;
}

static size_t choose_len(struct test_random *random)
{
    switch (test_random_below(random, 4)) {
        case 0:
            return test_random_below(random, LEN_MOST);
        case 1:
            return 64;
        default:
            return test_random_below(random, 300);
    }
}

/* Allocates many, then frees all: caches are as full as they get. */
static void fill_caches(shmheap_memory_handle mem, size_t objects, struct test_random *random)
{
    void **ptrs = calloc(objects, sizeof *ptrs);
    CHECK(ptrs != NULL);
    for (size_t i = 0; i < objects; i++)
        ptrs[i] = shmheap_alloc(mem, choose_len(random));
    for (size_t i = 0; i < objects; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    free(ptrs);
}

/* struct crew: threads on one connection, and one step after the other. */
struct crew {
    shmheap_memory_handle mem;
    size_t objects;
    unsigned next;
    struct test_barrier filled, looked;
};

static void *fill_and_wait(void *context)
{
    struct crew *crew = context;
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&crew->next, 1, __ATOMIC_RELAXED));
    fill_caches(crew->mem, crew->objects, &random);
    test_barrier_wait(&crew->filled);
    test_barrier_wait(&crew->looked);
    return NULL;
}

static void crew_start(struct crew *crew, pthread_t *threads)
{
    test_barrier_begin(&crew->filled, THREADS + 1);
    test_barrier_begin(&crew->looked, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, fill_and_wait, crew), 0);
    test_barrier_wait(&crew->filled);
}

static void crew_join(struct crew *crew, pthread_t *threads)
{
    test_barrier_wait(&crew->looked);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    test_barrier_end(&crew->filled);
    test_barrier_end(&crew->looked);
}

/* So few that the heap never fills: when it does, caches are asked for what they keep, which may be all of it. */
static size_t objects_that_fit(size_t len)
{
    size_t most = len / THREADS / (2 * LEN_MOST);
    return most < OBJECTS ? most : OBJECTS;
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
    CHECK_EQ(test_cached(looker).bytes, 0); /* given back as each ended */
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
    /* A walk is read in batches, each as it was in its moment: blocks that come and go meanwhile may count twice. */
    CHECK_LE(largest, 2 * most_of_a_thread(looker));
    test_check_empty(looker);
    shmheap_disconnect(looker);
    shmheap_disconnect(churner.mem);
}

enum { SMALL_HEAP = 64 << 10, SMALL_LEN_MOST = 48, SMALL_HELD = 500, SMALL_ROUNDS = 30000 };

/* In a heap whose caches are small, where one block more would be seen: also of those that are fetched the last may be larger than asked for. */
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
    CHECK(largest > most / 2);
    for (size_t i = 0; i < SMALL_HELD; i++)
        CHECK_EQ(shmheap_try_free(mem, held[i]), 0);
    shmheap_disconnect(mem);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* Caches of threads that live on are given back as well, and those threads find a closed connection. */
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

/* All that a thread may keep can be of one size: it then gives back parts of it, and later uses the rest. */
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
static void who_only_frees_keeps_little(void)
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

/* What lies in a cache is no object: refused, and not a byte changes. */
static void check_no_object(shmheap_memory_handle mem, void *ptr)
{
    CHECK_REFUSED(shmheap_try_free(mem, ptr) == -1, EINVAL);
    CHECK_REFUSED((shmheap_free(mem, ptr), 1), EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, ptr, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, ptr, 5000) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_usable_size(mem, ptr) == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(mem, ptr).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_send(mem, ptr).bits == 0, EINVAL);
}

struct freed {
    shmheap_memory_handle mem;
    void *ptr;
};

static void *check_in_thread(void *context)
{
    const struct freed *freed = context;
    check_no_object(freed->mem, freed->ptr);
    return NULL;
}

static void check_in_child(void *context) { check_in_thread(context); }

static void freeing_twice(void)
{
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        shmheap_memory_handle mem = test_anonymous_with(4 << 20, alignment, SHMHEAP_CACHED),
                              other = test_connect_again(mem, SHMHEAP_CACHED);
        for (size_t len = 0; len < 3000; len = len * 3 / 2 + 7) {
            struct freed freed = {mem, shmheap_alloc(mem, len)};
            void *kept = shmheap_alloc(mem, len);
            CHECK_EQ(shmheap_try_free(mem, freed.ptr), 0);
            struct test_snapshot before = test_snapshot_take(mem);
            check_no_object(mem, freed.ptr);
            check_no_object(other, (char *)shmheap_underlying(other) + test_offset(mem, freed.ptr));
            test_threads(1, check_in_thread, &freed);
            test_in_child(check_in_child, &freed);
            CHECK(test_snapshot_same(mem, &before));
            test_snapshot_drop(&before);
            CHECK_EQ(shmheap_try_free(mem, kept), 0);
        }
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
        test_check_empty(other);
        shmheap_disconnect(other);
    }
}

/* The block of the object at ptr. */
static shmheap_block_info block_of(shmheap_memory_handle mem, const void *ptr)
{
    struct test_blocks all = test_blocks_take(mem);
    shmheap_block_info block = {0};
    for (size_t i = 0; i < all.count; i++)
        if (all.blocks[i].offset == test_offset(mem, ptr))
            block = all.blocks[i];
    test_blocks_drop(&all);
    CHECK(block.size != 0);
    return block;
}

/* The object becomes shared, and nothing else of its block changes. */
static void check_sharing(shmheap_memory_handle mem, void *ptr)
{
    shmheap_block_info before = block_of(mem, ptr);
    CHECK_EQ(before.state, SHMHEAP_STATE_USED);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, ptr);
    shmheap_block_info block = block_of(mem, ptr);
    CHECK_EQ(block.state, SHMHEAP_STATE_SHARED);
    CHECK_EQ(block.slot, before.slot);
    CHECK_EQ(block.size, before.size);
    CHECK_PTR(shmheap_handle_to_ptr(mem, handle), ptr);
    CHECK_EQ(shmheap_ptr_to_handle(mem, ptr).bits, handle.bits);
}

static void check_sharing_in_child(void *context)
{
    const struct freed *of_parent = context;
    check_sharing(of_parent->mem, of_parent->ptr);
}

/* Its own objects, which nobody else changes meanwhile, another connection's, and the parent's. */
static void sharing_what_is_ours_and_what_is_not(void)
{
    shmheap_memory_handle mem = test_anonymous_with(4 << 20, 0, SHMHEAP_CACHED),
                          other = test_connect_again(mem, SHMHEAP_CACHED),
                          looker = test_connect_again(mem, 0);
    struct freed objects[] = {{mem, shmheap_alloc(mem, 100)},
                              {mem, shmheap_alloc(mem, 100)},
                              {other, shmheap_alloc(other, 100)}};
    CHECK(block_of(mem, objects[0].ptr).slot != block_of(other, objects[2].ptr).slot);
    check_sharing(mem, objects[0].ptr);
    check_sharing(mem, (char *)shmheap_underlying(mem) + test_offset(other, objects[2].ptr));
    test_in_child(check_sharing_in_child, &objects[1]);
    CHECK_EQ(block_of(mem, objects[1].ptr).state, SHMHEAP_STATE_SHARED);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(shmheap_try_free(objects[i].mem, objects[i].ptr), 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
    shmheap_disconnect(other);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* A consumer frees what a producer allocated, in the same order, backwards, and mixed: most of it is flushed, and merges. */
static void flushing_in_any_order(void)
{
    enum { COUNT = 3000, LEN = 64 };
    static const unsigned steps[] = {1, COUNT - 1, 7, 1009};
    shmheap_memory_handle producer = test_anonymous_with(4 << 20, 0, SHMHEAP_CACHED),
                          consumer = test_connect_again(producer, SHMHEAP_CACHED);
    shmheap_memory_handle looker = test_connect_again(producer, 0);
    for (unsigned order = 0; order < sizeof steps / sizeof *steps; order++) {
        char *ptrs[COUNT];
        for (unsigned i = 0; i < COUNT; i++)
            CHECK((ptrs[i] = shmheap_alloc(producer, LEN)) != NULL);
        for (unsigned i = 0; i < COUNT; i++)
            CHECK_EQ(
                shmheap_try_free(
                    consumer, (char *)shmheap_underlying(consumer) +
                                  test_offset(producer, ptrs[(uint64_t)i * steps[order] % COUNT])),
                0);
        CHECK_SOUND(consumer);
        CHECK(test_cached(consumer).bytes <= 2 * most_of_a_thread(consumer) &&
              2 * most_of_a_thread(consumer) < COUNT * LEN);
    }
    shmheap_disconnect(producer);
    shmheap_disconnect(consumer);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

static void check_stale(shmheap_memory_handle mem, const shmheap_object_handle *handles,
                        unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        CHECK_REFUSED(shmheap_handle_to_ptr(mem, handles[i]) == NULL, ESTALE);
        CHECK_REFUSED(shmheap_receive(mem, handles[i]) == NULL, ESTALE);
    }
}

/* Also when a cache hands out the same place again. */
static void handles_of_what_was_freed_are_stale(void)
{
    shmheap_memory_handle mem = test_anonymous_with(4 << 20, 0, SHMHEAP_CACHED),
                          other = test_connect_again(mem, 0);
    shmheap_object_handle handles[100];
    unsigned again = 0;
    for (unsigned i = 0; i < 100; i++) {
        void *ptr = shmheap_alloc(mem, 100);
        handles[i] = shmheap_ptr_to_handle(mem, ptr);
        CHECK(shmheap_handle_to_ptr(other, handles[i]) != NULL);
        check_stale(mem, handles, i);
        check_stale(other, handles, i);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
        check_stale(mem, handles, i + 1);
        check_stale(other, handles, i + 1);
        again += i > 0 && (handles[i].bits & ((UINT64_C(1) << 36) - 1)) ==
                              (handles[i - 1].bits & ((UINT64_C(1) << 36) - 1));
    }
    CHECK(again > 0);
    shmheap_disconnect(mem);
    test_check_empty(other);
    shmheap_disconnect(other);
}

/* Each thread works for itself, and frees what others put into the mailboxes. */
struct post {
    shmheap_memory_handle mem;
    unsigned next;
    char *boxes[MAILBOXES];
};

/* Contents: length and mark, and bytes that follow from them. */
static char *write_letter(struct post *post, struct test_random *random)
{
    uint64_t letter[2] = {choose_len(random), test_random_next(random)};
    char *ptr = shmheap_alloc(post->mem, sizeof letter + letter[0]);
    CHECK(ptr != NULL);
    memcpy(ptr, letter, sizeof letter);
    test_fill(ptr + sizeof letter, letter[0], letter[1]);
    return ptr;
}

static void read_letter(struct post *post, char *ptr)
{
    uint64_t letter[2];
    if (ptr == NULL)
        return;
    memcpy(letter, ptr, sizeof letter);
    CHECK(test_filled(ptr + sizeof letter, letter[0], letter[1]));
    CHECK_EQ(shmheap_try_free(post->mem, ptr), 0);
}

static void *send_and_read(void *context)
{
    struct post *post = context;
    struct test_random random =
        test_random_begin(__atomic_fetch_add(&post->next, 1, __ATOMIC_RELAXED));
    char *own[50] = {0};
    size_t rounds = test_rounds(ROUNDS);
    for (size_t i = 0; i < rounds; i++) {
        char **place = &own[test_random_below(&random, 50)];
        read_letter(post, *place);
        *place = write_letter(post, &random);
        if (test_random_below(&random, 3) == 0) {
            char **box = &post->boxes[test_random_below(&random, MAILBOXES)];
            *place = __atomic_exchange_n(box, *place, __ATOMIC_ACQ_REL);
        }
    }
    for (unsigned i = 0; i < 50; i++)
        read_letter(post, own[i]);
    return NULL;
}

static void threads_free_what_others_allocated(void)
{
    for (unsigned threads = 2; threads <= 4; threads++) {
        struct post post = {
            .mem = test_anonymous_with(16 << 20, threads == 3 ? 8 : 16, SHMHEAP_CACHED)};
        shmheap_memory_handle looker = test_connect_again(post.mem, 0);
        test_threads(threads, send_and_read, &post);
        CHECK_SOUND(looker);
        for (unsigned i = 0; i < MAILBOXES; i++)
            read_letter(&post, post.boxes[i]);
        shmheap_disconnect(post.mem);
        test_check_empty(looker);
        shmheap_disconnect(looker);
    }
}

/* The other calls on a connection with caches: sizes, zeroes, alignments, moves. */
static void all_calls_on_cached_blocks(void)
{
    shmheap_memory_handle mem = test_anonymous_with(8 << 20, 0, SHMHEAP_CACHED),
                          looker = test_connect_again(mem, 0);
    struct test_random random = test_random_begin(8);
    size_t rounds = test_rounds(50000);
    for (size_t i = 0; i < rounds; i++) {
        size_t len = choose_len(&random);
        char *ptr = shmheap_calloc(mem, len, 1);
        CHECK(ptr != NULL && shmheap_usable_size(mem, ptr) >= len);
        for (size_t k = 0; k < len; k++)
            CHECK_EQ(ptr[k], 0);
        test_fill(ptr, len, i);
        size_t longer = choose_len(&random), both = len < longer ? len : longer;
        ptr = shmheap_realloc(mem, ptr, longer);
        CHECK(ptr != NULL && test_filled(ptr, both & ~(size_t)7, i));
        char *aligned = shmheap_aligned_alloc(mem, 256, len);
        CHECK(aligned != NULL && (uintptr_t)aligned % 256 == 0);
        test_fill(aligned, len, ~(uint64_t)i);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
        CHECK(test_filled(aligned, len, ~(uint64_t)i));
        CHECK_EQ(shmheap_try_free(mem, aligned), 0);
    }
    CHECK_SOUND(looker);
    shmheap_disconnect(mem);
    test_check_empty(looker);
    shmheap_disconnect(looker);
}

/* Random objects, each checked; those of a heap that grows come from places that were not there when the cache was made. */
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

/* A full heap: what lies in one's own caches is not missing, and neither is what lies in those of another thread. */
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

/* A single block that somebody keeps is asked for like many. */
static void the_only_block_that_fits_is_in_a_cache(void)
{
    shmheap_memory_handle mem = test_anonymous_with(1 << 20, 16, SHMHEAP_CACHED),
                          other = test_connect_again(mem, 0);
    void *kept = shmheap_alloc(mem, 2000), *ptr;
    CHECK(kept != NULL);
    while ((ptr = shmheap_alloc(other, 2000)) != NULL) /* takes what mem's cache has, too */
        continue;
    CHECK_EQ(test_cached(other).bytes, 0);
    for (int i = 0; i < 100; i++) { /* at first the cache rests, since it was asked */
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

/* What other libraries do at the end of a thread: destructors of theirs that free and allocate, after the thread's cache has gone.
 * Destructors run in any order; one that sets its value again runs in the next round, when all others have run once. */
struct ender {
    shmheap_memory_handle mem;
    pthread_key_t key;
    void *object;
    unsigned rounds;
};

static void end_late(void *context)
{
    struct ender *ender = context;
    if (ender->rounds++ == 0) {
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

/* Runs first, since then the cache is certain to be a mapping of its own, of which nothing is left when it has been freed. */
static void destructors_that_come_after_the_cache(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
    struct ender ender = {.mem = test_anonymous_with(4 << 20, 0, SHMHEAP_CACHED)};
    shmheap_memory_handle looker = test_connect_again(ender.mem, 0);
    CHECK_EQ(pthread_key_create(&ender.key, end_late), 0);
    test_threads(1, use_and_end, &ender);
    CHECK_EQ(ender.rounds, 2);
    CHECK_EQ(test_cached(looker).bytes, 0);
    test_check_empty(looker);
    CHECK_EQ(pthread_key_delete(ender.key), 0);
    shmheap_disconnect(ender.mem);
    shmheap_disconnect(looker);
}

static const struct test tests[] = {TEST(destructors_that_come_after_the_cache),
                                    TEST(a_thread_keeps_so_much_and_until_it_ends),
                                    TEST(the_bound_holds_at_each_moment),
                                    TEST(the_bound_holds_after_each_call),
                                    TEST(a_flood_of_one_size),
                                    TEST(who_only_frees_keeps_little),
                                    TEST(disconnecting_gives_all_back),
                                    TEST(one_heap_after_another),
                                    TEST(many_heaps_at_once),
                                    TEST(freeing_twice),
                                    TEST(handles_of_what_was_freed_are_stale),
                                    TEST(sharing_what_is_ours_and_what_is_not),
                                    TEST(flushing_in_any_order),
                                    TEST(threads_free_what_others_allocated),
                                    TEST(all_calls_on_cached_blocks),
                                    TEST(a_heap_that_grows),
                                    TEST(in_memory_of_ones_own),
                                    TEST(no_room_is_lost_to_caches),
                                    TEST(the_only_block_that_fits_is_in_a_cache)};
TEST_MAIN(tests)
