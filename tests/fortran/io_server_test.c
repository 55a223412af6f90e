/* io-server/shmem_heap.h: the fields, the lock, sizes, and arrays without elements.
 * SPDX-License-Identifier: Apache-2.0 */
#include "io-server/shmem_heap.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { MEMORY_LEN = 1 << 20 };

static void *memory_new(size_t len)
{
    void *memory =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

static shmem_heap *heap_new(void)
{
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory_new(MEMORY_LEN), MEMORY_LEN);
    CHECK(heap != NULL);
    return heap;
}

/* Less 200 bytes at most, for lengths and places of any alignment, and the same by every
 * connection. */
static void check_size(size_t len, size_t skip)
{
    char *memory = memory_new(len + skip);
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory + skip, len);
    CHECK(heap != NULL);
    shmem_heap *clone = ShmemHeap_clone(memory + skip);
    CHECK(clone != NULL);
    CHECK_LE(ShmemHeap_get_size(heap), len);
    CHECK_LE(len - 200, ShmemHeap_get_size(heap));
    CHECK_EQ(ShmemHeap_get_size(clone), ShmemHeap_get_size(heap));
    CHECK_EQ(ShmemHeap_get_capacity(clone), ShmemHeap_get_capacity(heap));
    CHECK_LE(ShmemHeap_get_capacity(heap), ShmemHeap_get_size(heap));
    int64_t size;
    CHECK_EQ(ShmemHeap_get_info(heap, &size, NULL, NULL, NULL), 0);
    CHECK_EQ(size, ShmemHeap_get_size(heap));
    void *all = ShmemHeap_alloc_block(heap, (size_t)ShmemHeap_get_capacity(heap) - 96, 1);
    CHECK(all != NULL);
    CHECK_EQ(ShmemHeap_free_block(heap, all), 0);
    CHECK_EQ(ShmemHeap_delete(heap), 0);
    CHECK_EQ(ShmemHeap_delete(clone), 0);
    CHECK_EQ(munmap(memory, len + skip), 0);
}

static void the_size_is_what_was_given(void)
{
    for (size_t len = 4096; len < 4096 + 64 * 40; len += 7)
        check_size(len, len % 3 * 8);
    struct test_random random = test_random_begin(1);
    for (size_t i = test_rounds(200); i > 0; i--)
        check_size(4096 + test_random_below(&random, (size_t)64 << 20),
                   test_random_below(&random, 64));
    check_size((size_t)10 << 30, 0);
}

static void a_named_heap_has_the_size_given(void)
{
    shmem_heap *heap = ShmemHeap_create(test_name(), MEMORY_LEN);
    CHECK(heap != NULL);
    CHECK_EQ(ShmemHeap_get_size(heap), MEMORY_LEN);
    CHECK_EQ(ShmemHeap_get_capacity(heap), MEMORY_LEN);
    CHECK_EQ(ShmemHeap_destroy(heap), 0);
}

static void the_fields_tell_the_figures(void)
{
    shmem_heap *heap = heap_new();
    int64_t size, max, blocks, bytes;
    CHECK_EQ(heap->meta->marker, 0x12345678);
    CHECK(ShmemHeap_alloc_block(heap, 1000, 1) != NULL);
    void *block = ShmemHeap_alloc_block(heap, 5000, 1);
    CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    CHECK(ShmemHeap_alloc_block(heap, 20, 1) != NULL);
    CHECK_EQ(ShmemHeap_get_info(heap, &size, &max, &blocks, &bytes), 0);
    CHECK_EQ(blocks, 3);
    CHECK_EQ(heap->stats->total_num_allocations, 3);
    CHECK_EQ(heap->stats->num_blocks, 3);
    CHECK_EQ(heap->stats->max_fill * sizeof(heap_element), max);
    CHECK_EQ(heap->stats->total_num_alloc_elems * sizeof(heap_element), bytes);
    CHECK_EQ(heap->stats->num_elements, heap->stats->total_num_alloc_elems);
    CHECK_EQ(heap->meta->full_size, size / 8);
    CHECK_EQ(heap->meta->capacity, ShmemHeap_get_capacity(heap) / 8);
    CHECK_EQ(heap->meta->num_elements, heap->meta->capacity);
    CHECK_EQ(heap->meta->first_block_index + heap->meta->limit, heap->meta->full_size);
    CHECK_EQ(heap->meta->lock + heap->meta->stats_index, 0);
    block = ShmemHeap_alloc_block(heap, 8, 1);
    CHECK_PTR(Pointer_add_offset(heap->first_block, ShmemHeap_offset_from_pointer(heap, block), 1),
              block);
    CHECK_EQ(ShmemHeap_delete(heap), 0);
    CHECK(heap->meta == NULL && heap->stats == NULL && heap->first_block == NULL);
}

/* The fields of a clone that came first appear with the heap. */
static void the_fields_of_an_early_clone(void)
{
    void *memory = memory_new(MEMORY_LEN);
    shmem_heap *early = ShmemHeap_clone(memory);
    CHECK(early != NULL && early->first_block == NULL);
    CHECK_EQ(early->meta->marker, 0);
    shmem_heap *heap = ShmemHeap_init_from_scratch(memory, MEMORY_LEN);
    CHECK_EQ(ShmemHeap_get_size(early), ShmemHeap_get_size(heap));
    CHECK_PTR(early->first_block, heap->first_block);
    CHECK_EQ(early->meta->marker, 0x12345678);
}

static void pointers_move_by_elements(void)
{
    char bytes[100];
    CHECK_PTR(Pointer_add_offset(bytes + 50, 3, 1), bytes + 53);
    CHECK_PTR(Pointer_add_offset(bytes + 50, 3, 0), bytes + 53);
    CHECK_PTR(Pointer_add_offset(bytes + 50, 3, 8), bytes + 74);
    CHECK_PTR(Pointer_add_offset(bytes + 50, -3, 16), bytes + 2);
    CHECK_EQ(Pointer_offset(bytes + 50, bytes + 53, 1), 3);
    CHECK_EQ(Pointer_offset(bytes + 50, bytes + 53, 0), 3);
    CHECK_EQ(Pointer_offset(bytes + 50, bytes + 74, 8), 3);
    CHECK_EQ(Pointer_offset(bytes + 50, bytes + 73, 8), 2);
    CHECK(Pointer_offset(bytes + 50, bytes + 2, 16) == -3);
    CHECK(Pointer_offset(bytes + 50, bytes + 49, 16) == -1);
}

static ShmemHeap_array form(int32_t rank)
{
    ShmemHeap_array array = {.type = SHMEM_HEAP_REAL, .kind = 8, .rank = rank, .element = 8};
    return array;
}

static void arrays_without_elements(void)
{
    static const int64_t extents[][3] = {
        {0, 1, 1}, {5, 0, 7}, {0, 0, 0}, {1LL << 40, 1LL << 10, 0}};
    shmem_heap *heap = heap_new();
    for (size_t i = 0; i < sizeof extents / sizeof *extents; i++) {
        ShmemHeap_array array = form(3), found, at;
        void *ptr = ShmemHeap_array_alloc(heap, &array, 0, NULL, 3, extents[i], 1, 0);
        CHECK(ptr != NULL);
        CHECK_EQ(array.status, SHMEM_HEAP_ALLOC_SUCCESS);
        CHECK(memcmp(array.extents, extents[i], sizeof extents[i]) == 0);
        CHECK_PTR(ShmemHeap_array_find(heap, array.offset, &found), ptr);
        CHECK_PTR(ShmemHeap_array_at(ptr, &at), heap);
        CHECK(memcmp(&found, &array, sizeof found) == 0 && memcmp(&at, &array, sizeof at) == 0);
        CHECK_PTR(ShmemHeap_array_resolve(heap, &array), ptr);
        CHECK_EQ(ShmemHeap_array_free(heap, &array), 0);
        CHECK_PTR(ShmemHeap_array_at(ptr, &at), NULL);
        CHECK_EQ(at.status, SHMEM_HEAP_ALLOC_INVALID);
    }
    static const int64_t beyond[] = {2, 0}, below[] = {-1}, lower[] = {1}, upper[] = {0};
    static const int64_t huge[] = {1LL << 40, 1LL << 40, 0};
    ShmemHeap_array array = form(3);
    CHECK_PTR(ShmemHeap_array_alloc(heap, &array, 0, NULL, 3, huge, 1, 0), NULL);
    CHECK_EQ(array.status, SHMEM_HEAP_ALLOC_FAILED);
    array = form(1);
    CHECK_PTR(ShmemHeap_array_alloc(heap, &array, 0, NULL, 2, beyond, 1, 0), NULL);
    CHECK_EQ(array.status, SHMEM_HEAP_INVALID_BOUNDS);
    array = form(1);
    CHECK_PTR(ShmemHeap_array_alloc(heap, &array, 0, NULL, 1, below, 1, 0), NULL);
    CHECK_EQ(array.status, SHMEM_HEAP_INVALID_BOUNDS);
    array = form(1);
    CHECK_PTR(ShmemHeap_array_alloc(heap, &array, 1, lower, 1, upper, 1, 0), NULL);
    CHECK_EQ(array.status, SHMEM_HEAP_INVALID_BOUNDS);
}

/* Among several heaps, the one that has the array. */
static void arrays_are_found_by_address(void)
{
    shmem_heap *heaps[5];
    int64_t extent = 10;
    for (int i = 0; i < 5; i++)
        heaps[i] = heap_new();
    for (int i = 0; i < 5; i++) {
        ShmemHeap_array array = form(1), at;
        char *ptr = ShmemHeap_array_alloc(heaps[i], &array, 0, NULL, 1, &extent, 1, 0);
        CHECK_PTR(ShmemHeap_array_at(ptr, &at), heaps[i]);
        CHECK_PTR(ShmemHeap_array_at(ptr + 16, &at), NULL);
        CHECK_PTR(ShmemHeap_array_at(NULL, &at), NULL);
        CHECK_PTR(ShmemHeap_array_at(&at, &at), NULL);
        CHECK_EQ(ShmemHeap_delete(heaps[i]), 0);
        CHECK_PTR(ShmemHeap_array_at(ptr, &at), NULL);
    }
}

/* What the environment says first, then what the program says. */
static void the_default_timeout(void)
{
    CHECK_EQ(setenv("SHMEM_HEAP_ALLOC_TIMEOUT_MS", "250", 1), 0);
    CHECK_EQ(ShmemHeap_alloc_timeout(), 250);
    CHECK_EQ(setenv("SHMEM_HEAP_ALLOC_TIMEOUT_MS", "7", 1), 0);
    CHECK_EQ(ShmemHeap_alloc_timeout(), 250);
    ShmemHeap_set_alloc_timeout(-1);
    CHECK_EQ(ShmemHeap_alloc_timeout(), -1);
    ShmemHeap_set_alloc_timeout(0);
    CHECK_EQ(ShmemHeap_alloc_timeout(), 0);
}

struct scene {
    shmem_heap *heap;
    struct test_barrier barrier;
    int64_t count, holders;
};

static void count_alone(struct scene *scene)
{
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(ShmemHeap_lock(scene->heap), 0);
        CHECK_EQ(__atomic_add_fetch(&scene->holders, 1, __ATOMIC_RELAXED), 1);
        scene->count++; /* not atomic: the lock orders it */
        CHECK_EQ(__atomic_sub_fetch(&scene->holders, 1, __ATOMIC_RELAXED), 0);
        CHECK_EQ(ShmemHeap_unlock(scene->heap), 0);
    }
}

static void *count_in_thread(void *scene)
{
    count_alone(scene);
    return NULL;
}

static void count_in_process(void *scene) { count_alone(scene); }

static struct scene *scene_new(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->heap = heap_new();
    return scene;
}

static void one_thread_of_all_processes_at_a_time(void)
{
    struct scene *scene = scene_new();
    pid_t children[3];
    for (int i = 0; i < 3; i++)
        children[i] = test_fork(count_in_process, scene);
    test_threads(3, count_in_thread, scene);
    for (int i = 0; i < 3; i++)
        test_join(children[i]);
    CHECK_EQ(scene->count, 6 * 200);
}

static void the_lock_is_refused(void)
{
    struct scene *scene = scene_new();
    CHECK_REFUSED(ShmemHeap_unlock(scene->heap) != 0, EPERM);
    CHECK_EQ(ShmemHeap_lock(scene->heap), 0);
    CHECK_REFUSED(ShmemHeap_lock(scene->heap) != 0, EDEADLK);
    CHECK(ShmemHeap_alloc_block(scene->heap, 100, 0) !=
          NULL); /* needs no lock, and waits for none */
    CHECK_EQ(ShmemHeap_unlock(scene->heap), 0);
    CHECK_REFUSED(ShmemHeap_unlock(scene->heap) != 0, EPERM);
    ShmemHeap_lock_f(scene->heap);
    CHECK_REFUSED(ShmemHeap_lock(scene->heap) != 0, EDEADLK);
    ShmemHeap_unlock_f(scene->heap);
    CHECK_REFUSED(ShmemHeap_unlock(scene->heap) != 0, EPERM);
    CHECK_REFUSED(ShmemHeap_lock(NULL) != 0, EINVAL);
    CHECK_REFUSED(ShmemHeap_unlock(NULL) != 0, EINVAL);
    CHECK_EQ(ShmemHeap_delete(scene->heap), 0);
    CHECK_REFUSED(ShmemHeap_lock(scene->heap) != 0, EINVAL);
}

/* The lock's object gets the place of a block that was in use. */
static void the_lock_works_whatever_lay_in_its_place(void)
{
    shmem_heap *heap = heap_new();
    void *block = ShmemHeap_alloc_block(heap, 4000, 0);
    CHECK(block != NULL);
    memset(block, 0xa5, 4000);
    CHECK_EQ(ShmemHeap_free_block(heap, block), 0);
    CHECK_EQ(ShmemHeap_lock(heap), 0);
    CHECK_REFUSED(ShmemHeap_lock(heap) != 0, EDEADLK);
    CHECK_EQ(ShmemHeap_unlock(heap), 0);
}

static void lock_and_stay(void *context)
{
    struct scene *scene = context;
    CHECK_EQ(ShmemHeap_lock(scene->heap), 0);
    test_barrier_wait(&scene->barrier);
    for (;;)
        pause();
}

static void take_from_the_dead(int waited_for)
{
    struct scene *scene = scene_new();
    siginfo_t info;
    test_barrier_begin(&scene->barrier, 2);
    pid_t holder = test_fork(lock_and_stay, scene);
    test_barrier_wait(&scene->barrier);
    CHECK_REFUSED(ShmemHeap_unlock(scene->heap) != 0, EPERM);
    if (waited_for) {
        test_kill(holder);
    } else {
        test_tolerate_crashes(1);
        CHECK_EQ(kill(holder, SIGKILL), 0);
        CHECK_EQ(waitid(P_PID, (id_t)holder, &info, WEXITED | WNOWAIT), 0);
    }
    CHECK_EQ(ShmemHeap_lock(scene->heap), 0);
    CHECK_EQ(ShmemHeap_unlock(scene->heap), 0);
    CHECK_EQ(ShmemHeap_check(scene->heap, NULL, NULL, NULL, NULL), 0);
    if (!waited_for)
        CHECK_EQ(WTERMSIG(test_wait(holder)), SIGKILL);
}

static void the_lock_of_a_dead_holder_is_taken(void) { take_from_the_dead(1); }

/* Its entry in /proc is still there. */
static void the_lock_of_a_zombie_is_taken(void) { take_from_the_dead(0); }

static const struct test tests[] = {
    TEST(the_size_is_what_was_given),
    TEST(a_named_heap_has_the_size_given),
    TEST(the_fields_tell_the_figures),
    TEST(the_fields_of_an_early_clone),
    TEST(pointers_move_by_elements),
    TEST(arrays_without_elements),
    TEST(arrays_are_found_by_address),
    TEST(the_default_timeout),
    TEST(one_thread_of_all_processes_at_a_time),
    TEST(the_lock_is_refused),
    TEST(the_lock_works_whatever_lay_in_its_place),
    TEST(the_lock_of_a_dead_holder_is_taken),
    TEST(the_lock_of_a_zombie_is_taken),
};
TEST_MAIN(tests)
