/* Names that come and go, and names that cannot be made, leave the heap as it was.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { NAMES = 1024 };

static int is_as(shmheap_memory_handle mem, const shmheap_stats *before)
{
    shmheap_stats now = test_stat(mem);
    return now.used_bytes == before->used_bytes && now.largest_free == before->largest_free &&
           now.used_blocks == before->used_blocks;
}

static void *name_make(shmheap_memory_handle mem, unsigned i, size_t len)
{
    char text[32];
    snprintf(text, sizeof text, "size_%u", i);
    return shmheap_alloc_named(mem, text, len);
}

/* Names of any size come and go, in any order, while one stays. */
static void names_leave_the_heap_as_it_was(void)
{
    enum { HEAP = 512 << 20, ROUNDS = 4 };
    struct test_random random = test_random_begin(1);
    for (unsigned round = 0; round < test_rounds(10 * ROUNDS) / 10 + 1; round++) {
        shmheap_memory_handle mem;
        shmheap_options options = {.len = HEAP,
                                   .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_SPARSE};
        void *names[NAMES];
        CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
        void *state = shmheap_alloc_named(mem, "state", 1048608);
        CHECK(state != NULL);
        shmheap_stats before = test_stat(mem);
        for (unsigned i = 0; i < NAMES; i++)
            CHECK((names[i] = name_make(mem, i, 1 + test_random_below(&random, 500000))) != NULL);
        for (unsigned i = 0; i < NAMES; i++) {
            unsigned k = i + (unsigned)test_random_below(&random, round != 0 ? NAMES - i : 1);
            CHECK_EQ(shmheap_try_free(mem, names[k]), 0);
            names[k] = names[i];
        }
        CHECK(is_as(mem, &before));
        CHECK_PTR(shmheap_find(mem, "state", NULL), state);
        CHECK_SOUND(mem);
        CHECK_EQ(shmheap_try_free(mem, state), 0);
        test_check_empty(mem);
        shmheap_disconnect(mem);
    }
}

/* A name that does not come leaves no larger table behind. */
static void a_name_that_fails_leaves_the_heap_as_it_was(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    unsigned failed = 0;
    for (unsigned i = 0; i < 64; i++) {
        CHECK(name_make(mem, i, 1000) != NULL);
        shmheap_stats before = test_stat(mem);
        CHECK_REFUSED(name_make(mem, NAMES, before.largest_free) == NULL, ENOMEM);
        CHECK(is_as(mem, &before));
        /* The object alone would fit, but perhaps not its record beside it, nor the larger table
         * that the name may need. */
        void *made = name_make(mem, NAMES, before.largest_free - 8);
        failed += made == NULL;
        CHECK(made != NULL ? shmheap_try_free(mem, made) == 0 : is_as(mem, &before));
    }
    CHECK(failed > 16);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(names_leave_the_heap_as_it_was),
                                    TEST(a_name_that_fails_leaves_the_heap_as_it_was)};
TEST_MAIN(tests)
