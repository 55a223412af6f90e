/* shmheap_realloc: in place, moved, refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

static void *filled_object(shmheap_memory_handle mem, size_t len, uint64_t mark)
{
    void *ptr = shmheap_alloc(mem, len);
    CHECK(ptr != NULL);
    test_fill(ptr, len, mark);
    return ptr;
}

/* [ A ][ free ... ] => [ A      ][ free ] */
static void grows_in_place_into_free_space(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    void *a = filled_object(mem, 100, 1);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, a);
    for (size_t len = 101; len < 60000; len += 977) {
        CHECK_PTR(shmheap_realloc(mem, a, len), a);
        CHECK(test_filled(a, 96, 1));
        CHECK(shmheap_usable_size(mem, a) >= len);
        CHECK_SOUND(mem);
    }
    CHECK_PTR(shmheap_handle_to_ptr(mem, handle), a);
    CHECK_PTR(shmheap_realloc(mem, a, 65536 - 80), a);
    CHECK_REFUSED(shmheap_realloc(mem, a, 65536) == NULL, ENOMEM);
    CHECK_PTR(shmheap_handle_to_ptr(mem, handle), a);
    shmheap_free(mem, a);
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

/* [ A       ][ B ] => [ A ][ free ][ B ] => [ A ][ C ][ B ] */
static void shrinks_in_place_and_gives_the_rest_back(void)
{
    for (size_t granule = 8; granule <= 16; granule += 8) {
        shmheap_memory_handle mem = test_anonymous(4096, 0, granule);
        char *a = filled_object(mem, 1000, 1), *b = filled_object(mem, 100, 2);
        shmheap_object_handle handle = shmheap_ptr_to_handle(mem, a);
        CHECK_PTR(shmheap_realloc(mem, a, 200), a);
        CHECK(test_filled(a, 200, 1));
        CHECK_PTR(shmheap_handle_to_ptr(mem, handle), a);
        char *c = filled_object(mem, 600, 3);
        CHECK(a < c && c < b);
        CHECK_PTR(shmheap_realloc(mem, a, 0), a);
        CHECK_EQ(shmheap_usable_size(mem, a), 8);
        CHECK(test_filled(a, 8, 1) && test_filled(b, 100, 2) && test_filled(c, 600, 3));
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* [ A ][ B ][ free ] => [ free ][ B ][ A'      ] */
static void moves_when_something_is_behind(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    char *a = filled_object(mem, 104, 1), *b = filled_object(mem, 100, 2);
    shmheap_object_handle handle = shmheap_ptr_to_handle(mem, a);
    char *moved = shmheap_realloc(mem, a, 1000);
    CHECK(moved > b);
    CHECK(test_filled(moved, 104, 1));
    CHECK_REFUSED(shmheap_handle_to_ptr(mem, handle) == NULL, ESTALE);
    CHECK_REFUSED(shmheap_try_free(mem, a) == -1, EINVAL);
    CHECK_PTR(shmheap_alloc(mem, 104), a);
    CHECK(test_filled(b, 100, 2));
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void of_null_is_alloc(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    char *a = shmheap_realloc(mem, NULL, 100), *b = shmheap_realloc(mem, NULL, 0);
    CHECK_EQ(test_offset(mem, a), 16);
    CHECK(shmheap_usable_size(mem, a) >= 100);
    CHECK_EQ(shmheap_usable_size(mem, b), 8);
    shmheap_disconnect(mem);
}

static void a_refused_realloc_changes_nothing(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 0, 0);
    char *a = filled_object(mem, 100, 1), *b = filled_object(mem, 100, 2),
         *freed = filled_object(mem, 100, 3);
    shmheap_free(mem, freed);
    struct test_snapshot before = test_snapshot_take(mem);
    CHECK_REFUSED(shmheap_realloc(mem, a, 5000) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_realloc(mem, a, SIZE_MAX) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_realloc(mem, a + 16, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, a + 1, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, freed, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, &before, 10) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(mem, shmheap_underlying(mem), 10) == NULL, EINVAL);
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    CHECK(test_filled(a, 100, 1) && test_filled(b, 100, 2));
    shmheap_disconnect(mem);
}

/* The last object of a heap that may grow: it moves behind itself or stays, but it keeps its
 * bytes. */
static void growth_for_a_realloc(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 1 << 22, 0);
    char *a = filled_object(mem, 1000, 1);
    for (size_t len = 2000; len < 1000000; len *= 2) {
        a = shmheap_realloc(mem, a, len);
        CHECK(a != NULL && test_filled(a, 1000, 1));
        CHECK_SOUND(mem);
    }
    CHECK(test_stat(mem).grows > 0);
    CHECK_EQ(test_stat(mem).used_blocks, 1);
    shmheap_free(mem, a);
    test_check_empty(mem);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {
    TEST(grows_in_place_into_free_space),    TEST(shrinks_in_place_and_gives_the_rest_back),
    TEST(moves_when_something_is_behind),    TEST(of_null_is_alloc),
    TEST(a_refused_realloc_changes_nothing), TEST(growth_for_a_realloc)};
TEST_MAIN(tests)
