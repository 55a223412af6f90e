/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cache/caches.h"

uint64_t most_of_a_thread(shmheap_memory_handle mem)
{
    uint64_t part = test_stat(mem).len / HEAP_PART;
    return part < KEPT_MOST ? part : KEPT_MOST;
}

size_t choose_len(struct test_random *random)
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

void fill_caches(shmheap_memory_handle mem, size_t objects, struct test_random *random)
{
    void **ptrs = calloc(objects, sizeof *ptrs);
    CHECK(ptrs != NULL);
    for (size_t i = 0; i < objects; i++)
        ptrs[i] = shmheap_alloc(mem, choose_len(random));
    for (size_t i = 0; i < objects; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    free(ptrs);
}

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

void crew_start(struct crew *crew, pthread_t *threads)
{
    test_barrier_begin(&crew->filled, THREADS + 1);
    test_barrier_begin(&crew->looked, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, fill_and_wait, crew), 0);
    test_barrier_wait(&crew->filled);
}

void crew_join(struct crew *crew, pthread_t *threads)
{
    test_barrier_wait(&crew->looked);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    test_barrier_end(&crew->filled);
    test_barrier_end(&crew->looked);
}
