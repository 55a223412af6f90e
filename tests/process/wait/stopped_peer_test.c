/* A peer is stopped while it holds a heap's lock: calls that need the lock fail within their
 * limit, and nothing else waits for it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum {
    LEN = 8 << 20,
    LIMIT_MS = 300,
    THREADS = 4,
    STOP_BEFORE = 3 /* the store inside an alloc */
};

/* The hook is called before each store to shared memory. */
void (*shmheap_store_hook)(void);
static unsigned stores;

static void stop_here(void)
{
    if (++stores == STOP_BEFORE)
        raise(SIGSTOP);
}

/* Two heaps; the lock of the first is the stopped peer's. */
struct scene {
    const char *name, *other_name;
    shmheap_memory_handle mem, other;
    pid_t peer;
};

static void stop_inside(void *context)
{
    shmheap_memory_handle mem = test_connect(context);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    shmheap_store_hook = stop_here;
    CHECK(shmheap_alloc(mem, 100) != NULL);
    shmheap_store_hook = NULL;
    CHECK_LE(STOP_BEFORE, stores);
}

static struct scene scene_begin(void)
{
    const shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_CACHED};
    struct scene scene = {.name = test_name(), .other_name = test_name()};
    CHECK_EQ(shmheap_open(&scene.mem, scene.name, &options), 0);
    CHECK_EQ(shmheap_open(&scene.other, scene.other_name, &options), 0);
    return scene;
}

static void peer_stops(struct scene *scene)
{
    int status;
    scene->peer = test_fork(stop_inside, (void *)(uintptr_t)scene->name);
    CHECK_EQ(waitpid(scene->peer, &status, WUNTRACED), scene->peer);
    CHECK(WIFSTOPPED(status));
}

/* The peer has been stopped all the time; it goes on, and the heaps are sound. */
static void scene_end(struct scene *scene)
{
    CHECK_EQ(waitpid(scene->peer, NULL, WNOHANG | WCONTINUED), 0);
    CHECK_EQ(kill(scene->peer, SIGCONT), 0);
    test_join(scene->peer);
    scene->mem.heap->lock_limit_ms = 30000;
    CHECK(shmheap_alloc(scene->mem, 100) != NULL);
    CHECK_SOUND(scene->mem);
    CHECK_SOUND(scene->other);
    CHECK_LE(test_stat(scene->mem).dead, 1); /* the peer */
    shmheap_destroy(scene->name, scene->mem);
    shmheap_destroy(scene->other_name, scene->other);
}

static void use(shmheap_memory_handle mem)
{
    for (unsigned i = 0; i < 100; i++) {
        void *ptr = shmheap_alloc(mem, 100);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
}

static void calls_fail_within_their_limit(void)
{
    struct scene scene = scene_begin();
    peer_stops(&scene);
    shmheap_memory_handle fresh =
        test_connect(scene.name); /* connecting needs a slot, not the lock */
    fresh.heap->lock_limit_ms = LIMIT_MS;
    CHECK_REFUSED(shmheap_alloc(fresh, 100) == NULL, ETIMEDOUT);
    CHECK_REFUSED(shmheap_reap(fresh, 0) == -1, ETIMEDOUT);
    CHECK_REFUSED(shmheap_check(fresh, NULL) == -1, ETIMEDOUT);
    CHECK_REFUSED(shmheap_alloc_named(fresh, "name", 100) == NULL, ETIMEDOUT);
    CHECK_REFUSED(shmheap_alloc_many(fresh, 100, 1, &(void *){NULL}) == 0, ETIMEDOUT);
    shmheap_disconnect(fresh);
    scene_end(&scene);
}

/* Threads that used the heap end, with blocks in their caches. */
struct ending {
    struct scene *scene;
    pthread_barrier_t used, end;
};

static void *use_and_end(void *context)
{
    struct ending *ending = context;
    use(ending->scene->mem);
    pthread_barrier_wait(&ending->used);
    pthread_barrier_wait(&ending->end);
    return NULL;
}

static void *use_other(void *context)
{
    use(*(shmheap_memory_handle *)context);
    return NULL;
}

static void use_in_child(void *context) { use(*(shmheap_memory_handle *)context); }

static void threads_end_and_fork_and_another_heap_go_on(void)
{
    struct scene scene = scene_begin();
    struct ending ending = {.scene = &scene};
    pthread_t threads[THREADS];
    pthread_barrier_init(&ending.used, NULL, THREADS + 1);
    pthread_barrier_init(&ending.end, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_and_end, &ending), 0);
    pthread_barrier_wait(&ending.used);
    peer_stops(&scene);
    pthread_barrier_wait(&ending.end);
    for (unsigned i = 0; i < 5; i++) { /* while the threads end */
        test_in_child(use_in_child, &scene.other);
        test_threads(2, use_other, &scene.other);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    pthread_barrier_destroy(&ending.used);
    pthread_barrier_destroy(&ending.end);
    scene_end(&scene);
}

/* A process that exits gives back caches; it does not wait for the lock for long. */
static void use_and_exit(void *context)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    struct scene *scene = context;
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, scene->name, &options), 0);
    use(mem);
    peer_stops(scene);
    exit(0);
}

static void exit_comes_back(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) ==
          0); /* the stopped peer, a child of the process that exits, becomes ours */
    *scene = scene_begin();
    test_in_child(use_and_exit, scene);
    scene_end(scene);
    test_unshare(scene, sizeof *scene);
}

static const struct test tests[] = {TEST(calls_fail_within_their_limit),
                                    TEST(threads_end_and_fork_and_another_heap_go_on),
                                    TEST(exit_comes_back)};
TEST_MAIN(tests)
