/* What a process held when it forked its child may know by pointers: it is not reaped while the
 * child lives and keeps the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/process/ground.h"

enum { TABLE_LEN = 1000 };

static void check_reaped(const struct ground *ground, long objects)
{
    CHECK_EQ(shmheap_reap(ground->mem, SHMHEAP_REAP_SHARED), objects);
    CHECK_SOUND(ground->mem);
}

/* The peer is killed, then its children: what it held goes at once, or only with them. */
static void check_claims(enum ground_kind kind, void (*act)(struct peer *), int claimed,
                         long childs_objects)
{
    struct ground ground = ground_begin(kind);
    struct peer *peer = peer_begin(&ground, NULL, act);
    check_reaped(&ground, 0);
    peer_kill(peer);
    check_reaped(&ground, claimed ? 0 : PEER_OBJECTS);
    peer_kill_children(peer);
    check_reaped(&ground, (claimed ? PEER_OBJECTS : 0) + childs_objects);
    test_check_empty(ground.mem);
    peer_end(peer);
    ground_end(&ground);
}

/* Children -------------------------------------------------------------- */

static void forks_idle(struct peer *peer) { peer_fork(peer, NULL); }

static void a_child_that_never_used_the_heap(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++)
        check_claims(kind, forks_idle, 1, 0);
}

static void take_one(shmheap_memory_handle mem) { CHECK(shmheap_alloc(mem, 50) != NULL); }
static void forks_busy(struct peer *peer) { peer_fork(peer, take_one); }

static void a_child_that_holds_an_object(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++)
        check_claims(kind, forks_busy, 1, 1);
}

static void forks_several(struct peer *peer)
{
    for (unsigned i = 0; i < 4; i++)
        peer_fork(peer, i % 2 ? take_one : NULL);
}

static void several_children(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++)
        check_claims(kind, forks_several, 1, 2);
}

static void leave(shmheap_memory_handle mem) { shmheap_disconnect(mem); }
static void forks_one_that_leaves(struct peer *peer) { peer_fork(peer, leave); }

static void take_one_and_leave(shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, 50);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    shmheap_disconnect(mem);
}
static void forks_one_that_leaves_after_use(struct peer *peer)
{
    peer_fork(peer, take_one_and_leave);
}

static void a_child_that_disconnected_has_no_claim(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        check_claims(kind, forks_one_that_leaves, 0, 0);
        check_claims(kind, forks_one_that_leaves_after_use, 0, 0);
    }
}

/* The child says so by a program that it has become. */
static void forks_and_execs(struct peer *peer)
{
    int ready[2];
    char byte;
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(dup2(ready[1], STDOUT_FILENO) == STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", "echo r; exec tail -f /dev/null", (char *)NULL);
        CHECK(!"exec");
    }
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    peer->children[peer->child_count++] = pid;
}

/* In memory without a file exec is not to be seen. */
static void a_child_that_called_exec_has_no_claim(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++)
        check_claims(kind, forks_and_execs, kind == GROUND_MEMORY, 0);
}

/* Grandchildren --------------------------------------------------------- */

static pid_t *grandchild; /* in shared memory */

/* The grandchild says that it is there: without a file its claim begins with its handler of
 * fork. */
static void fork_again(shmheap_memory_handle mem)
{
    pid_t pid = fork();
    CHECK(pid >= 0 && shmheap_valid(mem));
    if (pid == 0)
        __atomic_store_n(grandchild, getpid(), __ATOMIC_SEQ_CST);
}

static void take_one_and_fork_again(shmheap_memory_handle mem)
{
    take_one(mem);
    fork_again(mem);
}

static void forks_two_generations(struct peer *peer) { peer_fork(peer, fork_again); }
static void forks_two_generations_of_users(struct peer *peer)
{
    peer_fork(peer, take_one_and_fork_again);
}

/* The peer is killed, then its child: the grandchild claims what both held. */
static void check_generations(enum ground_kind kind, void (*act)(struct peer *),
                              long childs_objects)
{
    struct ground ground = ground_begin(kind);
    *grandchild = 0;
    struct peer *peer = peer_begin(&ground, NULL, act);
    while (__atomic_load_n(grandchild, __ATOMIC_SEQ_CST) == 0)
        sched_yield(); /* the child may be there before its own child */
    peer_kill(peer);
    check_reaped(&ground, 0);
    peer_kill_children(peer);
    check_reaped(&ground, 0);
    test_kill(*grandchild);
    check_reaped(&ground, PEER_OBJECTS + childs_objects);
    test_check_empty(ground.mem);
    peer_end(peer);
    ground_end(&ground);
}

static void grandchildren(void)
{
    grandchild = test_shared(sizeof *grandchild);
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        check_generations(kind, forks_two_generations, 0);
        check_generations(kind, forks_two_generations_of_users, 1);
    }
    test_unshare(grandchild, sizeof *grandchild);
}

/* The peer's child has left, and its slot is free: each of that child's own children claims what
 * the peer holds. */
enum { GRANDCHILDREN = 3 };
static pid_t *several; /* in shared memory */

static void fork_several_and_leave(shmheap_memory_handle mem)
{
    for (unsigned i = 0; i < GRANDCHILDREN; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            __atomic_store_n(&several[i], getpid(), __ATOMIC_SEQ_CST);
            for (;;)
                pause();
        }
        while (__atomic_load_n(&several[i], __ATOMIC_SEQ_CST) == 0)
            sched_yield();
    }
    shmheap_disconnect(mem);
}

static void forks_one_that_forks_and_leaves(struct peer *peer)
{
    peer_fork(peer, fork_several_and_leave);
}

static void grandchildren_of_a_child_that_left(void)
{
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        several = test_shared(GRANDCHILDREN * sizeof *several);
        struct ground ground = ground_begin(kind);
        struct peer *peer = peer_begin(&ground, NULL, forks_one_that_forks_and_leaves);
        check_reaped(&ground, 0); /* frees the slot */
        peer_kill(peer);
        peer_kill_children(peer);
        for (unsigned i = 0; i < GRANDCHILDREN; i++) {
            check_reaped(&ground, 0);
            test_kill(several[i]);
        }
        check_reaped(&ground, PEER_OBJECTS);
        test_check_empty(ground.mem);
        peer_end(peer);
        ground_end(&ground);
        test_unshare(several, GRANDCHILDREN * sizeof *several);
    }
}

/* daemon(3) ------------------------------------------------------------- */

struct daemon_scene {
    const struct ground *ground;
    pid_t pid;
    struct test_barrier step;
};

static void fill_table_and_become_daemon(void *context)
{
    struct daemon_scene *scene = context;
    shmheap_memory_handle mem = ground_join(scene->ground, 0);
    char *table = shmheap_alloc(mem, TABLE_LEN);
    CHECK(table != NULL);
    test_fill(table, TABLE_LEN, 5);
    pid_t parent = getpid();
    CHECK_EQ(daemon(1, 1), 0);
    while (getppid() == parent)
        sched_yield(); /* its end must not be the one that sends the signal */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    scene->pid = getpid();
    test_barrier_wait(&scene->step); /* the parent is gone; the test reaps, and fills the heap */
    test_barrier_wait(&scene->step);
    CHECK(test_filled(table, TABLE_LEN, 5));
    CHECK_EQ(shmheap_try_free(mem, table), 0);
    CHECK(shmheap_alloc(mem, TABLE_LEN) != NULL);
    test_barrier_wait(&scene->step);
    for (;;)
        pause();
}

static void fill(shmheap_memory_handle mem)
{
    for (char *ptr; (ptr = shmheap_alloc(mem, TABLE_LEN - 100)) != NULL;)
        memset(ptr, 'X', TABLE_LEN - 100);
}

static void a_daemon_keeps_the_table_of_its_parent(void)
{
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    for (enum ground_kind kind = 0; kind < GROUND_KINDS; kind++) {
        struct ground ground = ground_begin(kind);
        struct daemon_scene *scene = test_shared(sizeof *scene);
        scene->ground = &ground;
        test_barrier_begin(&scene->step, 2);
        test_in_child(fill_table_and_become_daemon, scene);
        test_barrier_wait(&scene->step);
        check_reaped(&ground, 0);
        fill(ground.mem);
        check_reaped(&ground, 0);
        test_barrier_wait(&scene->step);
        test_barrier_wait(&scene->step);
        test_kill(scene->pid);
        check_reaped(&ground, 1);
        test_unshare(scene, sizeof *scene);
        ground_end(&ground);
    }
}

static const struct test tests[] = {TEST(a_child_that_never_used_the_heap),
                                    TEST(a_child_that_holds_an_object),
                                    TEST(several_children),
                                    TEST(a_child_that_disconnected_has_no_claim),
                                    TEST(a_child_that_called_exec_has_no_claim),
                                    TEST(grandchildren),
                                    TEST(grandchildren_of_a_child_that_left),
                                    TEST(a_daemon_keeps_the_table_of_its_parent)};
TEST_MAIN(tests)
