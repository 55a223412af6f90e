/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/crash/scene/scene_heap.h"

static void heap_make(struct scene *scene)
{
    const struct scene_call *call = scene->call;
    if (call->in_memory) {
        CHECK_EQ(shmheap_create_at(&scene->mem, scene->memory, SCENE_MEMORY, NULL), 0);
        return;
    }
    shmheap_options options = {.len = call->len != 0 ? call->len : SCENE_LEN,
                               .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE};
    options.max_len = call->len != 0 ? call->len : SCENE_MAX_LEN;
    if (!call->named_heap)
        options.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
    CHECK_EQ(shmheap_open(&scene->mem, scene->name, &options), 0);
}

int is_free_object(unsigned i) { return i == 1 || i == 3 || i == 7 || i == 9; }

void scene_build(struct scene *scene)
{
    if (scene->call->bins)
        test_choose_list_max(0);
    heap_make(scene);
    if (scene->call->bins)
        test_choose_list_max(LIST_MAX);
    for (unsigned i = 0; i < SCENE_OBJECTS; i++) {
        scene->objects[i] = shmheap_alloc(scene->mem, SCENE_OBJECT_LEN);
        CHECK(scene->objects[i] != NULL);
        test_fill(scene->objects[i], SCENE_OBJECT_LEN, i);
    }
    for (unsigned i = 0; i < SCENE_OBJECTS; i++)
        if (is_free_object(i))
            CHECK_EQ(shmheap_try_free(scene->mem, scene->objects[i]), 0);
    if (scene->call->build)
        scene->call->build(scene);
}

void scene_clear(struct scene *scene)
{
    if (scene->call->named_heap)
        shmheap_destroy(scene->name, scene->mem);
    else
        shmheap_disconnect(scene->mem);
}

/* A change to and fro, so that the stepped part has nothing to do but the operation: slot, thread
 * id, page faults. */
static void warm_up(struct scene *scene)
{
    void *ptr = shmheap_alloc(scene->mem, 2000);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(scene->mem, ptr), 0);
}

void child_prepares(void *context)
{
    struct scene *scene = context;
    (scene->call->prepare ? scene->call->prepare : warm_up)(scene);
}

void child_operates(void *context)
{
    struct scene *scene = context;
    scene->call->operate(scene);
}

int scene_whole(const struct scene *scene)
{
    return scene->stage == (scene->call->stages != 0 ? scene->call->stages : 1);
}

static unsigned free_before_the_top(const struct scene *scene)
{
    return (unsigned)test_stat(scene->mem).free_blocks - 1;
}

static void build_free(struct scene *scene, unsigned most)
{
    for (unsigned i = 0; i < SCENE_PTRS; i++)
        CHECK((scene->ptrs[i] = shmheap_alloc(scene->mem, SCENE_LIST_LEN)) != NULL);
    for (scene->count = 1; free_before_the_top(scene) < most; scene->count += 2)
        CHECK_EQ(shmheap_try_free(scene->mem, scene->ptrs[scene->count]), 0);
    CHECK_LE(scene->count, SCENE_PTRS - 2);
}

void scene_build_full_list(struct scene *scene) { build_free(scene, LIST_MAX); }

void scene_build_last_in_bins(struct scene *scene)
{
    build_free(scene, LIST_MAX + 1);
    while (test_stat(scene->mem).free_blocks > LIST_MAX / 4)
        CHECK(shmheap_alloc(scene->mem, SCENE_LIST_LEN) != NULL);
}
