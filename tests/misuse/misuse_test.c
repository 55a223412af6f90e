/* What no caller should do: refused with EINVAL, and not a byte of the heap changes. A region whose
 * end a caller has overwritten does not grow.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { OBJECTS = 20 };

struct scene {
    shmheap_memory_handle mem;
    char *objects[OBJECTS]; /* each third one was freed */
    struct test_snapshot before;
    struct test_blocks blocks;
};

static void scene_begin(struct scene *scene, size_t granule)
{
    scene->mem = test_anonymous(65536, 0, granule);
    for (size_t i = 0; i < OBJECTS; i++) {
        scene->objects[i] = shmheap_alloc(scene->mem, 40 * i);
        CHECK(scene->objects[i] != NULL);
        /* Contents that look like headers of live blocks. */
        for (size_t k = 0; k + 8 <= 40 * i; k += 8)
            memcpy(scene->objects[i] + k, &(uint64_t){UINT64_C(0x0002008000000003)}, 8);
    }
    for (size_t i = 2; i < OBJECTS; i += 3)
        shmheap_free(scene->mem, scene->objects[i]);
    scene->before = test_snapshot_take(scene->mem);
    scene->blocks = test_blocks_take(scene->mem);
}

static void check_untouched(struct scene *scene)
{
    CHECK(test_snapshot_same(scene->mem, &scene->before));
    struct test_blocks now = test_blocks_take(scene->mem);
    CHECK(test_blocks_same(&now, &scene->blocks));
    test_blocks_drop(&now);
    CHECK_SOUND(scene->mem);
}

static void scene_end(struct scene *scene)
{
    check_untouched(scene);
    test_snapshot_drop(&scene->before);
    test_blocks_drop(&scene->blocks);
    for (size_t i = 0; i < OBJECTS; i++)
        if (i % 3 != 2)
            CHECK_EQ(shmheap_try_free(scene->mem, scene->objects[i]), 0);
    test_check_empty(scene->mem);
    shmheap_disconnect(scene->mem);
}

/* Every call that takes a pointer refuses this one. */
static void check_refused(struct scene *scene, void *ptr)
{
    CHECK_REFUSED(shmheap_try_free(scene->mem, ptr) == -1, EINVAL);
    CHECK_REFUSED((shmheap_free(scene->mem, ptr), 1), EINVAL);
    CHECK_REFUSED(shmheap_usable_size(scene->mem, ptr) == 0, EINVAL);
    CHECK_REFUSED(shmheap_ptr_to_handle(scene->mem, ptr).bits == 0, EINVAL);
    CHECK_REFUSED(shmheap_realloc(scene->mem, ptr, 0) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_realloc(scene->mem, ptr, 100) == NULL, EINVAL);
}

static void for_both_alignments(void (*run)(struct scene *))
{
    for (size_t granule = 8; granule <= 16; granule += 8) {
        struct scene scene;
        scene_begin(&scene, granule);
        run(&scene);
        scene_end(&scene);
    }
}

static void run_freed(struct scene *scene)
{
    for (size_t i = 2; i < OBJECTS; i += 3) {
        check_refused(scene, scene->objects[i]);
        check_untouched(scene);
    }
}

static void freeing_twice(void) { for_both_alignments(run_freed); }

static void run_inner(struct scene *scene)
{
    for (size_t i = 0; i < OBJECTS; i++)
        for (size_t k = 1; k < 40 * i; k++)
            check_refused(scene, scene->objects[i] + k);
    check_untouched(scene);
}

static void pointers_into_objects(void) { for_both_alignments(run_inner); }

static void run_beyond(struct scene *scene)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t usable = i % 3 == 2 ? 40 * i : shmheap_usable_size(scene->mem, scene->objects[i]);
        for (size_t k = 0; k < 8; k++) {
            check_refused(scene, scene->objects[i] + usable + k); /* the next one's header */
            check_refused(scene, scene->objects[i] - 8 + k + (k == 0 && i == 0 ? 1 : 0));
        }
    }
    check_untouched(scene);
}

static void pointers_just_outside_objects(void) { for_both_alignments(run_beyond); }

static void run_edges(struct scene *scene)
{
    char *region = shmheap_underlying(scene->mem);
    for (ptrdiff_t i = -4096; i < 16; i++)
        check_refused(scene,
                      region + i); /* control data, index, and what comes before the first object */
    for (ptrdiff_t i = 65536 - 64; i < 65536 + 4096; i++)
        check_refused(scene, region + i);
    check_untouched(scene);
}

static void pointers_into_control_data_and_beyond_the_end(void) { for_both_alignments(run_edges); }

static void run_foreign(struct scene *scene)
{
    char on_stack[64];
    static char in_data[64];
    char *on_heap = malloc(64);
    void *unowned[] = {on_stack,
                       in_data,
                       on_heap,
                       (void *)(uintptr_t)1,
                       (void *)(uintptr_t)8,
                       (void *)(uintptr_t)4096,
                       (void *)UINTPTR_MAX,
                       (void *)(UINTPTR_MAX - 15),
                       (void *)(UINTPTR_MAX / 2 + 1),
                       (void *)(uintptr_t)run_edges};
    shmheap_memory_handle other = test_anonymous(65536, 0, 0);
    void *of_other = shmheap_alloc(other, 100);
    for (size_t i = 0; i < sizeof unowned / sizeof *unowned; i++)
        check_refused(scene, unowned[i]);
    check_refused(scene, of_other);
    check_untouched(scene);
    CHECK_EQ(shmheap_try_free(other, of_other), 0);
    shmheap_disconnect(other);
    free(on_heap);
}

static void foreign_pointers(void) { for_both_alignments(run_foreign); }

static void run_null(struct scene *scene)
{
    errno = 0;
    shmheap_free(scene->mem, NULL);
    CHECK_EQ(shmheap_try_free(scene->mem, NULL), 0);
    CHECK_EQ(shmheap_usable_size(scene->mem, NULL), 0);
    CHECK_EQ(errno, 0);
    CHECK_REFUSED(shmheap_ptr_to_handle(scene->mem, NULL).bits == 0, EINVAL);
    check_untouched(scene);
}

static void null_is_freed_without_effect(void) { for_both_alignments(run_null); }

static void run_random(struct scene *scene)
{
    struct test_random random = test_random_begin(1);
    char *region = shmheap_underlying(scene->mem);
    for (unsigned i = 0; i < 100000; i++) {
        char *ptr = i % 2 ? region + test_random_below(&random, 70000)
                          : (char *)(uintptr_t)test_random_next(&random);
        int live = 0;
        for (size_t k = 0; k < OBJECTS; k++)
            live |= k % 3 != 2 && ptr == scene->objects[k];
        if (!live)
            CHECK_REFUSED(shmheap_try_free(scene->mem, ptr) == -1, EINVAL);
    }
    check_untouched(scene);
}

static void random_pointers(void) { for_both_alignments(run_random); }

/* Another process frees first: the second one hears of it. */
static void free_in_child(void *context)
{
    struct scene *scene = context;
    CHECK_EQ(shmheap_try_free(scene->mem, scene->objects[4]), 0);
}

static void freeing_what_another_process_freed(void)
{
    struct scene scene;
    scene_begin(&scene, 16);
    test_in_child(free_in_child, &scene);
    CHECK_REFUSED(shmheap_try_free(scene.mem, scene.objects[4]) == -1, EINVAL);
    CHECK_SOUND(scene.mem);
    scene.objects[4] = shmheap_alloc(scene.mem, 160);
    CHECK(scene.objects[4] != NULL);
    test_snapshot_drop(&scene.before);
    test_blocks_drop(&scene.blocks);
    shmheap_disconnect(scene.mem);
}

/* The header of the top block, the free one at the end, is overwritten: the region cannot grow. */
static void growing_a_heap_whose_end_was_overwritten(void)
{
    shmheap_memory_handle mem = test_anonymous(4096, 1 << 20, 16);
    char *last = shmheap_alloc(mem, 100);
    CHECK(last != NULL);
    memset(last + shmheap_usable_size(mem, last), 0, 8);
    CHECK_REFUSED(shmheap_alloc(mem, 100000) == NULL, EBADMSG);
    CHECK_EQ(test_stat(mem).len, 4096);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(freeing_twice),
                                    TEST(pointers_into_objects),
                                    TEST(pointers_just_outside_objects),
                                    TEST(pointers_into_control_data_and_beyond_the_end),
                                    TEST(foreign_pointers),
                                    TEST(null_is_freed_without_effect),
                                    TEST(random_pointers),
                                    TEST(freeing_what_another_process_freed),
                                    TEST(growing_a_heap_whose_end_was_overwritten)};
TEST_MAIN(tests)
