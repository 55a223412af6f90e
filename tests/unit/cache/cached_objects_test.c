/* Objects on connections with caches: a freed object is refused, a handle of it is stale, and every
 * call works on blocks from a cache.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"
#include "tests/unit/cache/caches.h"

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

/* Its own objects, which no other connection changes meanwhile, another connection's, and the
 * parent's. */
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

/* A consumer frees what a producer allocated, in the same order, backwards, and mixed: most of it
 * is flushed, and merges. */
static void flushing_in_any_order(void)
{
    enum { COUNT = 40000, LEN = 64 };
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
        /* A consumer keeps little, and the producer at most what a thread may keep. */
        CHECK_LE(test_cached(consumer).bytes, most_of_a_thread(consumer) * 17 / 16);
        CHECK(most_of_a_thread(consumer) * 17 / 16 < COUNT * LEN);
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

/* Without the generation. */
static uint64_t place_of(shmheap_object_handle handle)
{
    return handle.bits & ((UINT64_C(1) << 36) - 1);
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
        for (unsigned j = 0; j < i; j++)
            again += place_of(handles[i]) == place_of(handles[j]);
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

static const struct test tests[] = {TEST(freeing_twice),
                                    TEST(handles_of_what_was_freed_are_stale),
                                    TEST(sharing_what_is_ours_and_what_is_not),
                                    TEST(flushing_in_any_order),
                                    TEST(threads_free_what_others_allocated),
                                    TEST(all_calls_on_cached_blocks)};
TEST_MAIN(tests)
