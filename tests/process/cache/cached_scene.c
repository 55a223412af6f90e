/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/cache/cached_scene.h"

#include <fcntl.h>
#include <unistd.h>

shmheap_memory_handle connect_cached(const char *name)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, name, &options), 0);
    return mem;
}

struct scene *scene_begin(size_t alignment)
{
    struct scene *scene = test_shared(sizeof *scene);
    const shmheap_options options = {.len = LEN,
                                     .alignment = alignment,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_CACHED};
    scene->name = test_name();
    CHECK(pipe2(scene->ready, O_CLOEXEC) == 0 && pipe2(scene->go, O_CLOEXEC) == 0);
    CHECK_EQ(shmheap_open(&scene->mem, scene->name, &options), 0);
    scene->looker = test_connect(scene->name);
    return scene;
}

void scene_end(struct scene *scene)
{
    shmheap_disconnect(scene->mem);
    CHECK_EQ(shmheap_reap(scene->looker, SHMHEAP_REAP_SHARED), 0);
    test_check_empty(scene->looker);
    for (unsigned end = 0; end < 2; end++)
        CHECK(close(scene->ready[end]) == 0 && close(scene->go[end]) == 0);
    shmheap_destroy(scene->name, scene->looker);
    test_unshare(scene, sizeof *scene);
}

void say(const int *to) { CHECK_EQ(write(to[1], "w", 1), 1); }

void hear(const int *from)
{
    char byte;
    CHECK_EQ(read(from[0], &byte, 1), 1);
}

size_t choose_len(struct test_random *random) { return test_random_below(random, 500); }

void fill_caches(shmheap_memory_handle mem, uint64_t stream)
{
    struct test_random random = test_random_begin(stream);
    void *ptrs[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++)
        ptrs[i] = shmheap_alloc(mem, choose_len(&random));
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
}
