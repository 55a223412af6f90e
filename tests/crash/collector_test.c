/* A process finds all slots taken, most by a dead process, and dies before each store by which it
 * frees them. An allocation that finds no other memory gets what the first dead process held.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { BYTES = 1 << 13, OBJECT_LEN = 100, TAKEN_MAX = BYTES / 16 };

void (*shmheap_store_hook)(void);
static uint64_t stores_left;

static void die_at_store(void)
{
    if (stores_left-- == 0)
        kill(getpid(), SIGKILL);
}

/* struct scene is shared: the heap, and before which store the collector dies. */
struct scene {
    void *memory;
    uint64_t store;
    int ended; /* 1: the collector has a slot */
};

static void take_all_slots_and_die(void *context)
{
    const struct scene *scene = context;
    shmheap_memory_handle mem;
    while (shmheap_attach_at(&mem, scene->memory, BYTES) == 0)
        CHECK(shmheap_alloc(mem, OBJECT_LEN) != NULL);
    CHECK_EQ(errno, EAGAIN);
    _exit(0); /* without its destructors: as a death */
}

static void collect(void *context)
{
    struct scene *scene = context;
    shmheap_memory_handle mem;
    stores_left = scene->store;
    shmheap_store_hook = die_at_store;
    CHECK_EQ(shmheap_attach_at(&mem, scene->memory, BYTES), 0);
    shmheap_store_hook = NULL;
    scene->ended = 1;
    kill(getpid(), SIGKILL);
}

/* Else there are used blocks that no allocation reaps. */
static void check_all_to_be_had(shmheap_memory_handle mem)
{
    void *taken[TAKEN_MAX];
    size_t count = test_take_all(mem, taken, TAKEN_MAX);
    CHECK_EQ(test_stat(mem).used_blocks, count);
    CHECK_SOUND(mem);
    for (size_t i = 0; i < count; i++)
        CHECK_EQ(shmheap_try_free(mem, taken[i]), 0);
    test_check_empty(mem);
}

static void what_the_dead_held_is_found(void)
{
    const shmheap_options options = {.flags = SHMHEAP_REAP};
    struct scene *scene = test_shared(sizeof *scene);
    for (scene->store = 0; !scene->ended; scene->store++) {
        shmheap_memory_handle mem;
        scene->memory = test_shared(BYTES);
        CHECK_EQ(shmheap_create_at(&mem, scene->memory, BYTES, &options), 0);
        test_in_child(take_all_slots_and_die, scene);
        CHECK(test_stat(mem).dead > 1);
        int status = test_wait(test_fork(collect, scene));
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check_all_to_be_had(mem);
        shmheap_disconnect(mem);
        test_unshare(scene->memory, BYTES);
    }
    printf("  %llu deaths\n", (unsigned long long)scene->store);
    test_unshare(scene, sizeof *scene);
}

static const struct test tests[] = {TEST(what_the_dead_held_is_found)};
TEST_MAIN(tests)
