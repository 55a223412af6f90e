/* With caches a thread stores headers without the lock. Here another connection changes the same
 * object just before each such store: whatever that is, the headers still lead to the end of the
 * heap, and no other object is touched.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/src/block/block.h"
#include "tests/support/test.h"

enum { HEAP = 256 << 10, LONG = 1000, SHORT = 40, AROUND = 3, STORES_MOST = 400 };

void (*shmheap_store_hook)(void);

/* struct scene is private: an object, its neighbours, and the two connections that work on it. */
struct scene {
    shmheap_memory_handle mem, other;
    char *before[AROUND], *object, *behind[AROUND], *hole;
    char *object_there;  /* the same as the other connection sees it */
    uint64_t stores, at; /* the other call comes before this store of the first */
    void (*call)(struct scene *scene);
    shmheap_object_handle handle;
    char *allocated;
    int came, moved;
};
static struct scene *scene_now;

static uint64_t lock_word(const struct scene *scene)
{
    return *(const volatile uint64_t *)(const volatile void *)&scene->mem.heap->control->lock;
}

/* A store under the lock is nothing that another connection could come between. */
static void other_comes(void)
{
    struct scene *scene = scene_now;
    if (lock_word(scene) != 0 || scene->stores++ != scene->at)
        return;
    shmheap_store_hook = NULL;
    scene->came = 1;
    scene->call(scene);
}

static char *object_in(shmheap_memory_handle mem, size_t len, uint64_t mark)
{
    char *object = shmheap_alloc(mem, len);
    CHECK(object);
    test_fill(object, len, mark);
    return object;
}

/* The object, with a hole behind it where with_hole says so; its neighbours are another's, so that
 * no cache has them. */
static void scene_begin(struct scene *scene, size_t len, int with_hole)
{
    const struct shmheap_options options = {
        .len = HEAP, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    const struct shmheap_options plain = {.flags = 0};
    memset(scene, 0, sizeof *scene);
    CHECK_EQ(shmheap_open(&scene->mem, NULL, &options), 0);
    CHECK_EQ(shmheap_open_fd(&scene->other, shmheap_fd(scene->mem), &plain), 0);
    shmheap_free(scene->mem,
                 object_in(scene->mem, SHORT, 0)); /* the thread has its cache from here on */
    for (int i = 0; i < AROUND; i++)
        scene->before[i] = object_in(scene->other, LONG, 1);
    scene->object = object_in(scene->mem, len, 2);
    scene->hole = with_hole ? object_in(scene->other, LONG, 0) : NULL;
    for (int i = 0; i < AROUND; i++)
        scene->behind[i] = object_in(scene->other, LONG, 3);
    if (scene->hole)
        shmheap_free(scene->other, scene->hole);
    scene->object_there =
        (char *)shmheap_underlying(scene->other) + test_offset(scene->mem, scene->object);
}

static int add_size(const shmheap_block_info *block, void *context)
{
    *(uint64_t *)context += block->size;
    return 0;
}

/* The headers lead to the end, and what lies around is as it was. */
static void check_scene(struct scene *scene)
{
    uint64_t sum = 0;
    CHECK_EQ(shmheap_walk(scene->other, add_size, &sum), 0);
    CHECK_EQ(sum, scene->mem.heap->end << scene->mem.heap->shift);
    for (int i = 0; i < AROUND; i++)
        CHECK(test_filled(scene->before[i], LONG, 1) && test_filled(scene->behind[i], LONG, 3));
}

static void scene_end(struct scene *scene)
{
    shmheap_disconnect(scene->other);
    shmheap_disconnect(scene->mem);
}

static void take_handle(struct scene *scene)
{
    scene->handle = shmheap_ptr_to_handle(scene->mem, scene->object);
}
static void free_it(struct scene *scene) { shmheap_free(scene->mem, scene->object); }
static void send_it(struct scene *scene) { shmheap_send(scene->mem, scene->object); }
static void alloc_after_free(struct scene *scene)
{
    scene->allocated = shmheap_alloc(scene->mem, SHORT);
}

static void other_shrinks(struct scene *scene)
{
    scene->moved = shmheap_realloc(scene->other, scene->object_there, SHORT) != scene->object_there;
}
static void other_grows(struct scene *scene)
{
    scene->moved =
        shmheap_realloc(scene->other, scene->object_there, LONG + 500) != scene->object_there;
}
static void other_frees(struct scene *scene) { shmheap_free(scene->other, scene->object_there); }
static void other_sends(struct scene *scene) { shmheap_send(scene->other, scene->object_there); }
static void other_reaps(struct scene *scene)
{
    CHECK(shmheap_reap(scene->other, SHMHEAP_REAP_SHARED) >= 0);
}

/* The place is another object's then, which ends elsewhere: where the old one ended is the new
 * one's contents. */
static void other_frees_and_allocates(struct scene *scene)
{
    shmheap_free(scene->other, scene->object_there);
    object_in(scene->other, LONG + 300, 4);
}

static void other_wants_all(struct scene *scene) { CHECK(!shmheap_alloc(scene->other, HEAP)); }

/* Does mine, and call before the at-th of its stores outside the lock: 1, or 0 where there are
 * fewer. */
static int race(struct scene *scene, void (*mine)(struct scene *), void (*call)(struct scene *),
                uint64_t at)
{
    scene_now = scene;
    scene->call = call;
    scene->at = at;
    shmheap_store_hook = other_comes;
    mine(scene);
    shmheap_store_hook = NULL;
    return scene->came;
}

/* No misuse: one connection takes a handle while another changes the length in place. */
static void a_handle_is_taken_during_a_realloc(void)
{
    static void (*const resizes[])(struct scene *) = {other_shrinks, other_grows};
    for (size_t i = 0; i < sizeof resizes / sizeof *resizes; i++) {
        struct scene scene;
        uint64_t at = 0;
        for (int more = 1; more && at < STORES_MOST; at++) {
            scene_begin(&scene, LONG, 1);
            more = race(&scene, take_handle, resizes[i], at);
            CHECK(!scene.moved);
            check_scene(&scene);
            CHECK_SOUND(scene.mem);
            CHECK_PTR(shmheap_handle_to_ptr(scene.mem, scene.handle), scene.object);
            CHECK(test_filled(scene.object, SHORT, 2));
            CHECK_EQ(shmheap_try_free(scene.mem, scene.object), 0);
            CHECK_SOUND(scene.mem);
            scene_end(&scene);
        }
        CHECK(at > 1 && at < STORES_MOST);
    }
}

/* Misuse, and what looks for blocks in caches. */
static void an_object_is_changed_by_two_at_once(void)
{
    static void (*const firsts[])(struct scene *) = {take_handle, free_it, send_it,
                                                     alloc_after_free};
    static void (*const calls[])(struct scene *) = {other_shrinks,  other_grows,
                                                    other_frees,    other_sends,
                                                    other_reaps,    other_frees_and_allocates,
                                                    other_wants_all};
    uint64_t races = 0;
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
        for (size_t k = 0; k < 2 * (sizeof calls / sizeof *calls); k++)
            for (uint64_t at = 0, more = 1; more && at < STORES_MOST; at++) {
                struct scene scene;
                size_t len = firsts[i] == alloc_after_free ? SHORT : LONG;
                scene_begin(&scene, len, k % 2);
                if (firsts[i] == alloc_after_free)
                    shmheap_free(scene.mem,
                                 scene.object); /* its header says cached when the alloc begins */
                more = (uint64_t)race(&scene, firsts[i], calls[k / 2], at);
                races += more;
                check_scene(&scene);
                scene_end(&scene);
            }
    printf("  %llu races\n", (unsigned long long)races);
    CHECK(races > 0);
}

static const struct test tests[] = {TEST(a_handle_is_taken_during_a_realloc),
                                    TEST(an_object_is_changed_by_two_at_once)};
TEST_MAIN(tests)
