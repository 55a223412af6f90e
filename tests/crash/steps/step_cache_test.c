/* A process dies after each single instruction of the calls on a connection with SHMHEAP_CACHED.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene.h"

/* So little stays free that the cache holds the least, a 64th of the heap: 128 blocks of 16
 * bytes. */
enum { LEN = 128 << 10, FREE = 1500, SMALL = 8, OTHER = 24, SMALLS = 132 };

/* How many objects of SMALL bytes are freed until the next free has to flush. Found out once,
 * before all. */
static unsigned frees_until_flush;

static void connect(struct scene *scene)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    CHECK_EQ(shmheap_open_fd(&scene->own, shmheap_fd(scene->mem), &options), 0);
}

static void *get(struct scene *scene, size_t len)
{
    void *ptr = shmheap_alloc(scene->own, len);
    CHECK(ptr != NULL);
    return ptr;
}

/* The cache is there, with blocks of another size. */
static void connect_and_use(struct scene *scene)
{
    connect(scene);
    CHECK_EQ(shmheap_try_free(scene->own, get(scene, OTHER)), 0);
}

static void has_some(struct scene *scene)
{
    connect_and_use(scene);
    scene->ptrs[0] = get(scene, SMALL);
}

/* The first of them. */
static void frees(struct scene *scene, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(shmheap_try_free(scene->own, scene->ptrs[i]), 0);
}

static void has_many(struct scene *scene)
{
    connect(scene);
    CHECK_EQ(shmheap_alloc_many(scene->own, SMALL, SMALLS, scene->ptrs), SMALLS);
    get(scene, test_stat(scene->own).largest_free - FREE);
}

static void is_full(struct scene *scene)
{
    has_many(scene);
    frees(scene, frees_until_flush);
}

/* As many as fill the cache: not in the order of their addresses, so that they are sorted. */
static void is_full_in_disorder(struct scene *scene)
{
    has_many(scene);
    for (unsigned i = 0; i < frees_until_flush; i++)
        CHECK_EQ(shmheap_try_free(scene->own,
                                  scene->ptrs[i % 2 ? i / 2 : frees_until_flush - 1 - i / 2]),
                 0);
}

static void is_full_and_shared(struct scene *scene)
{
    is_full(scene);
    CHECK(shmheap_ptr_to_handle(scene->own, scene->ptrs[frees_until_flush]).bits != 0);
}

/* Blocks of several sizes in the cache, and objects in use, of which one is shared. */
static void has_all(struct scene *scene)
{
    is_full_and_shared(scene);
    for (unsigned i = 0; i < OTHER / SMALL; i++)
        get(scene, SMALL);
    CHECK_EQ(shmheap_try_free(scene->own, get(scene, OTHER)), 0);
    scene->ptrs[0] = get(scene, OTHER * 2);
}

static void alloc(struct scene *scene) { shmheap_alloc(scene->own, SMALL); }
static void share_first(struct scene *scene) { shmheap_ptr_to_handle(scene->own, scene->ptrs[0]); }
static void free_first(struct scene *scene) { shmheap_free(scene->own, scene->ptrs[0]); }
static void free_flushing(struct scene *scene)
{
    shmheap_free(scene->own, scene->ptrs[frees_until_flush]);
}

/* In between the old object and the new one are there. */
static void grow_first(struct scene *scene)
{
    if (scene_whole(scene))
        shmheap_realloc(scene->own, scene->ptrs[0], OTHER);
    else
        get(scene, OTHER);
}

static void disconnect(struct scene *scene) { shmheap_disconnect(scene->own); }
static void alloc_asking(struct scene *scene)
{
    CHECK_REFUSED(shmheap_alloc(scene->own, LEN - 1024) == NULL, ENOMEM);
}
static void nothing(struct scene *scene) { CHECK(shmheap_valid(scene->own)); }

static int find_cached(const shmheap_process_info *process, void *context)
{
    if (process->self)
        *(uint64_t *)context = process->cached_blocks;
    return 0;
}

static uint64_t cached_blocks(const struct scene *scene)
{
    uint64_t blocks = 0;
    CHECK_EQ(shmheap_processes(scene->own, find_cached, &blocks), 0);
    return blocks;
}

/* In a child, as later: scene->count is the number. */
static void count_frees(void *context)
{
    struct scene *scene = context;
    uint64_t cached;
    has_many(scene);
    scene->count = 0;
    do {
        cached = cached_blocks(scene);
        CHECK(scene->count < SMALLS);
        CHECK_EQ(shmheap_try_free(scene->own, scene->ptrs[scene->count++]), 0);
    } while (cached_blocks(scene) > cached);
    scene->count--;
}

static void find_flush(void)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->mem = test_anonymous(LEN, 0, 0);
    test_in_child(count_frees, scene);
    frees_until_flush = scene->count;
    printf("  the cache is flushed by free number %u\n", frees_until_flush + 1);
    CHECK(frees_until_flush > 1);
    shmheap_disconnect(scene->mem);
    test_unshare(scene, sizeof *scene);
}

static const struct scene_call calls[] = {
    {.text = "cached alloc, the thread's first",
     .prepare = connect,
     .operate = alloc,
     .len = LEN,
     .loose = 1},
    {.text = "cached alloc, refilling",
     .prepare = connect_and_use,
     .operate = alloc,
     .len = LEN,
     .loose = 1},
    {.text = "cached alloc, from the cache",
     .prepare = has_some,
     .operate = alloc,
     .len = LEN,
     .without_lock = 1},
    {.text = "cached free, into the cache",
     .prepare = has_some,
     .operate = free_first,
     .len = LEN,
     .without_lock = 1},
    {.text = "cached realloc, into the cache's block",
     .prepare = has_some,
     .operate = grow_first,
     .len = LEN,
     .stages = 2,
     .without_lock = 1},
    {.text = "ptr_to_handle, of an object from the cache",
     .prepare = has_some,
     .operate = share_first,
     .len = LEN,
     .without_lock = 1},
    {.text = "cached free, flushing, in disorder",
     .prepare = is_full_in_disorder,
     .operate = free_flushing,
     .len = LEN,
     .loose = 1},
    {.text = "cached free, flushing",
     .prepare = is_full,
     .operate = free_flushing,
     .len = LEN,
     .loose = 1},
    {.text = "cached free, flushing, of what is shared",
     .prepare = is_full_and_shared,
     .operate = free_flushing,
     .len = LEN,
     .loose = 1},
};

static const struct scene_call calls_asking[] = {
    {.text = "cached alloc, failing, which takes what is cached",
     .prepare = has_all,
     .operate = alloc_asking,
     .len = LEN,
     .loose = 1},
};

static const struct scene_call calls_end[] = {
    {.text = "disconnect, emptying the cache",
     .prepare = has_all,
     .operate = disconnect,
     .len = LEN,
     .loose = 1},
    {.text = "end of a thread, emptying its cache",
     .prepare = has_all,
     .operate = nothing,
     .len = LEN,
     .loose = 1,
     .in_thread = 1},
};

static void cached_calls_at_every_instruction(void)
{
    find_flush();
    scene_sweep(calls, sizeof calls / sizeof *calls);
}

static void asking_at_every_instruction(void)
{
    find_flush();
    scene_sweep(calls_asking, sizeof calls_asking / sizeof *calls_asking);
}

static void ends_at_every_instruction(void)
{
    find_flush();
    scene_sweep(calls_end, sizeof calls_end / sizeof *calls_end);
}

static const struct test tests[] = {TEST(cached_calls_at_every_instruction),
                                    TEST(asking_at_every_instruction),
                                    TEST(ends_at_every_instruction)};
TEST_MAIN(tests)
