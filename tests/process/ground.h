/* ground.h: a heap of each kind of memory, and processes with connections of their own to it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PROCESS_GROUND_H
#define TESTS_PROCESS_GROUND_H

#include "tests/support/test.h"

enum ground_kind {
    GROUND_NAME,
    GROUND_FILE,
    GROUND_ANONYMOUS,
    GROUND_MEMORY, /* of the caller, shared */
    GROUND_KINDS
};

enum { GROUND_LEN = 1 << 20, GROUND_MAX_LEN = 16 << 20 };

/* struct ground is a heap; mem is the connection of the process that made it, which is the test.
 * Heaps with a file may grow. */
struct ground {
    enum ground_kind kind;
    const char *name; /* NULL: none */
    void *memory;     /* NULL: there is a file */
    shmheap_memory_handle mem;
};

struct ground ground_begin(enum ground_kind kind);
void ground_end(struct ground *ground);

/* ground_join is a connection of the calling process's own, a child of the test. */
shmheap_memory_handle ground_join(const struct ground *ground, unsigned flags);

/* A peer: a child with a connection of its own that does something, says so, and waits for its end.
 * The struct is in shared memory. */
enum { PEER_OBJECTS = 3 };

struct peer {
    const struct ground *ground;
    void (*before)(struct peer *peer); /* before it connects; NULL: nothing */
    void (*act)(struct peer *peer);    /* when it holds PEER_OBJECTS objects; NULL: nothing */
    unsigned flags;
    shmheap_memory_handle mem;
    pid_t pid, children[8];
    unsigned child_count;
    struct test_barrier done;
};

struct peer *peer_begin(const struct ground *ground, void (*before)(struct peer *),
                        void (*act)(struct peer *));
void peer_end(struct peer *peer);

/* A child of the peer that waits for its end, after use(mem) where use is not NULL. */
void peer_fork(struct peer *peer, void (*use)(shmheap_memory_handle mem));

/* The peer, or a child of it that init has got, is killed and gone. */
void peer_kill(struct peer *peer);
void peer_kill_children(struct peer *peer);

/* So many connections live and are dead, as the test's own connection sees them. */
#define CHECK_LIVING(ground, living, died)                                                         \
    ground_check_living(__FILE__, __LINE__, (ground), (living), (died))
void ground_check_living(const char *file, int line, const struct ground *ground, unsigned living,
                         unsigned died);

#endif
