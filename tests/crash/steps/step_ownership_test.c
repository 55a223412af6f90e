/* A process dies after each single instruction of the calls by which objects change hands.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene.h"

enum { LEN = 100, MARK = 77, CACHED_LEN = 128 << 10 };

static void share(struct scene *scene) { shmheap_ptr_to_handle(scene->mem, scene->objects[2]); }

static void take_handle(struct scene *scene)
{
    scene->handle = shmheap_ptr_to_handle(scene->mem, scene->objects[2]);
    CHECK(scene->handle.bits != 0);
}

static void resolve(struct scene *scene)
{
    CHECK(shmheap_handle_to_ptr(scene->mem, scene->handle) != NULL);
}

/* The handle that was taken before is good after every death, and so is one taken now. */
static void check_handle(struct scene *scene, unsigned stage)
{
    shmheap_object_handle handle = shmheap_ptr_to_handle(scene->mem, scene->objects[2]);
    CHECK_PTR(shmheap_handle_to_ptr(scene->mem, handle), scene->objects[2]);
    CHECK(scene->handle.bits == 0 || scene->handle.bits == handle.bits);
    CHECK(stage <= 1);
}

static void child_has_object(struct scene *scene)
{
    scene->ptrs[0] = shmheap_alloc(scene->mem, LEN);
    CHECK(scene->ptrs[0] != NULL);
    test_fill(scene->ptrs[0], LEN, MARK);
}

static void send(struct scene *scene) { shmheap_send(scene->mem, scene->ptrs[0]); }

/* Not yet sent, it went with its holder; in transit, it stays, whole. */
static void check_sent(struct scene *scene, unsigned stage)
{
    if (stage == 1)
        CHECK(test_filled(scene->ptrs[0], LEN, MARK));
}

static void survivor_sends(struct scene *scene)
{
    char *ptr = shmheap_alloc(scene->mem, LEN);
    CHECK(ptr != NULL);
    test_fill(ptr, LEN, MARK);
    scene->handle = shmheap_send(scene->mem, ptr);
    CHECK(scene->handle.bits != 0);
}

static void receive(struct scene *scene) { shmheap_receive(scene->mem, scene->handle); }

/* An object still in transit can be claimed, once; one that the dead process claimed cannot. */
static void check_received(struct scene *scene, unsigned stage)
{
    if (stage == 0) {
        char *ptr = shmheap_receive(scene->mem, scene->handle);
        CHECK(ptr != NULL && test_filled(ptr, LEN, MARK));
    }
    CHECK_REFUSED(shmheap_receive(scene->mem, scene->handle) == NULL, ESTALE);
}

/* A process that holds two objects between others, one behind them, one of which a handle was taken
 * and one received. */
static void holds_and_dies(void *context)
{
    struct scene *scene = context;
    for (unsigned i = 0; i < 4; i++)
        CHECK((scene->ptrs[i] = shmheap_alloc(scene->mem, i < 2 ? SCENE_OBJECT_LEN : 500)) != NULL);
    CHECK(shmheap_ptr_to_handle(scene->mem, scene->ptrs[3]).bits != 0);
    CHECK(shmheap_receive(scene->mem, scene->handle) != NULL);
}

static void a_process_died(struct scene *scene)
{
    survivor_sends(scene);
    test_in_child(holds_and_dies, scene);
    scene->count = (unsigned)test_stat(scene->mem).used_blocks;
}

static void caches_and_dies(void *context)
{
    struct scene *scene = context;
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    CHECK_EQ(shmheap_open_fd(&scene->own, shmheap_fd(scene->mem), &options), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(shmheap_try_free(scene->own, shmheap_alloc(scene->own, LEN)), 0);
}

/* Two lines of dead threads, and blocks that they kept, go too. */
static void a_caching_process_died(struct scene *scene)
{
    a_process_died(scene);
    uint64_t used = test_stat(scene->mem).used_blocks;
    test_in_child(caches_and_dies, scene);
    test_in_child(caches_and_dies, scene);
    CHECK(test_stat(scene->mem).used_blocks >= used + 4);
}

static void reap(struct scene *scene) { shmheap_reap(scene->mem, 0); }
static void reap_shared(struct scene *scene) { shmheap_reap(scene->mem, SHMHEAP_REAP_SHARED); }

/* Five objects go, in the end. */
static void check_reaped(struct scene *scene, unsigned stage)
{
    CHECK_EQ(test_stat(scene->mem).used_blocks, scene->count - 5);
    CHECK(stage <= 1);
}

static const struct scene_call calls[] = {
    {.text = "ptr_to_handle", .operate = share, .afterwards = check_handle, .without_lock = 1},
    {.text = "handle_to_ptr",
     .build = take_handle,
     .operate = resolve,
     .afterwards = check_handle,
     .without_lock = 1},
    {.text = "send",
     .prepare = child_has_object,
     .operate = send,
     .afterwards = check_sent,
     .without_lock = 1},
    {.text = "receive",
     .build = survivor_sends,
     .operate = receive,
     .afterwards = check_received,
     .without_lock = 1},
    {.text = "reap",
     .build = a_process_died,
     .operate = reap,
     .afterwards = check_reaped,
     .loose = 1},
    {.text = "reap, in memory without a file",
     .build = a_process_died,
     .operate = reap,
     .afterwards = check_reaped,
     .loose = 1,
     .in_memory = 1},
    {.text = "reap, with the line of a cache",
     .build = a_caching_process_died,
     .operate = reap,
     .afterwards = check_reaped,
     .loose = 1,
     .len = CACHED_LEN},
    {.text = "reap, what is shared too",
     .build = a_process_died,
     .operate = reap_shared,
     .afterwards = check_reaped,
     .loose = 1},
};

static void holding_at_every_instruction(void) { scene_sweep(calls, sizeof calls / sizeof *calls); }

static const struct test tests[] = {TEST(holding_at_every_instruction)};
TEST_MAIN(tests)
