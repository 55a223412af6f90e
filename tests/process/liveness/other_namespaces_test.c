/* Memory of the caller, used by processes in other PID and time namespaces: their pids and start
 * times mean nothing here, so they count as alive, never as dead.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process/ground.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80 /* Linux 5.6 */
#endif

/* struct scene is in shared memory. */
struct scene {
    const struct ground *ground;
    int spaces; /* for unshare(2) */
    int skipped;
    struct test_barrier there, end;
};

static void hold(struct scene *scene)
{
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    shmheap_memory_handle mem = ground_join(scene->ground, 0);
    CHECK(shmheap_alloc(mem, 100) != NULL);
    test_barrier_wait(&scene->there);
    for (;;)
        pause();
}

/* The namespaces are those of its children. */
static void keep(void *context)
{
    struct scene *scene = context;
    if (unshare(CLONE_NEWUSER | scene->spaces) != 0) {
        scene->skipped = 1;
        test_barrier_wait(&scene->there);
        return;
    }
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        hold(scene);
    test_barrier_wait(&scene->end);
    test_kill(pid);
}

static void check_never_dead(const char *what, int spaces)
{
    struct ground ground = ground_begin(GROUND_MEMORY);
    struct scene *scene = test_shared(sizeof *scene);
    scene->ground = &ground;
    scene->spaces = spaces;
    test_barrier_begin(&scene->there, 2);
    test_barrier_begin(&scene->end, 2);
    pid_t keeper = test_fork(keep, scene);
    test_barrier_wait(&scene->there);
    if (scene->skipped) {
        printf("  skipped: this kernel or sandbox lets us make no %s namespace\n", what);
    } else {
        CHECK_LIVING(&ground, 2, 0);
        CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0);
        test_barrier_wait(&scene->end);
    }
    test_join(keeper);
    if (!scene->skipped) { /* it is gone, which cannot be seen from here */
        CHECK_LIVING(&ground, 2, 0);
        CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0);
        CHECK_EQ(test_stat(ground.mem).used_blocks, 1);
    }
    CHECK_SOUND(ground.mem);
    test_unshare(scene, sizeof *scene);
    ground_end(&ground);
}

static void another_pid_namespace(void) { check_never_dead("PID", CLONE_NEWPID); }
static void another_time_namespace(void) { check_never_dead("time", CLONE_NEWTIME); }

static const struct test tests[] = {TEST(another_pid_namespace), TEST(another_time_namespace)};
TEST_MAIN(tests)
