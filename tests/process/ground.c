/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/ground.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct ground ground_begin(enum ground_kind kind)
{
    struct ground ground = {.kind = kind};
    shmheap_options options = {
        .len = GROUND_LEN, .max_len = GROUND_MAX_LEN, .flags = SHMHEAP_CREATE};
    if (kind == GROUND_MEMORY) {
        ground.memory = test_shared(GROUND_LEN);
        CHECK_EQ(shmheap_create_at(&ground.mem, ground.memory, GROUND_LEN, NULL), 0);
        return ground;
    }
    options.flags |= kind == GROUND_FILE        ? SHMHEAP_FILE
                     : kind == GROUND_ANONYMOUS ? SHMHEAP_ANONYMOUS
                                                : 0;
    ground.name = kind == GROUND_FILE ? test_path() : kind == GROUND_NAME ? test_name() : NULL;
    CHECK_EQ(shmheap_open(&ground.mem, ground.name, &options), 0);
    return ground;
}

void ground_end(struct ground *ground)
{
    shmheap_destroy(ground->name, ground->mem);
    if (ground->memory != NULL)
        test_unshare(ground->memory, GROUND_LEN);
}

shmheap_memory_handle ground_join(const struct ground *ground, unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = {.flags = flags | (ground->kind == GROUND_FILE ? SHMHEAP_FILE : 0)};
    if (ground->kind == GROUND_MEMORY)
        CHECK_EQ(shmheap_attach_at(&mem, ground->memory, GROUND_LEN), 0);
    else if (ground->kind == GROUND_ANONYMOUS)
        CHECK_EQ(shmheap_open_fd(&mem, shmheap_fd(ground->mem), &options), 0);
    else
        CHECK_EQ(shmheap_open(&mem, ground->name, &options), 0);
    return mem;
}

void ground_check_living(const char *file, int line, const struct ground *ground, unsigned living,
                         unsigned died)
{
    shmheap_stats stats = test_stat(ground->mem);
    if (stats.processes != living || stats.dead != died)
        test_fail(file, line, "kind %u: %u connections live and %u are dead; right were %u and %u",
                  (unsigned)ground->kind, stats.processes, stats.dead, living, died);
}

static void peer_lives(void *context)
{
    struct peer *peer = context;
    if (peer->before != NULL)
        peer->before(peer);
    peer->mem = ground_join(peer->ground, peer->flags);
    for (unsigned i = 0; i < PEER_OBJECTS; i++)
        CHECK(shmheap_alloc(peer->mem, 100) != NULL);
    if (peer->act != NULL)
        peer->act(peer);
    test_barrier_wait(&peer->done);
    for (;;)
        pause();
}

struct peer *peer_begin(const struct ground *ground, void (*before)(struct peer *),
                        void (*act)(struct peer *))
{
    struct peer *peer = test_shared(sizeof *peer);
    peer->ground = ground;
    peer->before = before;
    peer->act = act;
    test_barrier_begin(&peer->done, 2);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0); /* the peer's children become the test's */
    peer->pid = test_fork(peer_lives, peer);
    test_barrier_wait(&peer->done);
    return peer;
}

void peer_end(struct peer *peer) { test_unshare(peer, sizeof *peer); }

void peer_fork(struct peer *peer, void (*use)(shmheap_memory_handle mem))
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (use != NULL)
            use(peer->mem);
        CHECK_EQ(write(ready[1], "r", 1), 1);
        for (;;)
            pause();
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    CHECK(close(ready[0]) == 0 && close(ready[1]) == 0);
    peer->children[peer->child_count++] = pid;
}

void peer_kill(struct peer *peer) { test_kill(peer->pid); }

void peer_kill_children(struct peer *peer)
{
    for (unsigned i = 0; i < peer->child_count; i++)
        test_kill(peer->children[i]);
    peer->child_count = 0;
}
