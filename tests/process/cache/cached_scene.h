/* cached_scene.h: processes with cached connections to one heap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROCESS_CACHED_SCENE_H
#define TESTS_PROCESS_CACHED_SCENE_H

#include "tests/support/test.h"

enum {
    LEN = 4 << 20,
    OBJECTS = 2000,
    ROUNDS = 30000,
    HELD = 100,
    TURNS = 60,
    SHARED_MAX = 4000,
    LINE = 256
};

/* struct scene is shared. */
struct scene {
    const char *name;
    shmheap_memory_handle mem;    /* of the test's own process, with caches */
    shmheap_memory_handle looker; /* without */
    int ready[2], go[2];
    volatile int stop;
    uint64_t steps;
    unsigned slot;
    uint64_t offsets[2][SHARED_MAX]; /* that the parent and the child were given */
    uint64_t line[LINE];             /* handles */
};

shmheap_memory_handle connect_cached(const char *name);

struct scene *scene_begin(size_t alignment);

/* Nothing is left once the caching connection of this process is closed as well. */
void scene_end(struct scene *scene);

void say(const int *to);

void hear(const int *from);

size_t choose_len(struct test_random *random);

void fill_caches(shmheap_memory_handle mem, uint64_t stream);

#endif
