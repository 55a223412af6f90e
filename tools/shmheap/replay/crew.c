/* crew.c: starts, watches and reaps the worker processes of a replay.
 *
 * The parent waits for SIGCHLD with a timeout, at which it draws the progress, and reaps ended
 * workers. So it notices every death, and no process waits for a dead worker.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/replay/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/shmheap/worker/clock.h"
#include "tools/shmheap/replay/progress.h"
#include "tools/shmheap/command_line/say.h"

enum { REDRAW_NS = 100 * 1000 * 1000 };

static void watched_signals(sigset_t *set)
{
    static const int signals[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(set, signals[i]);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* PR_SET_PDEATHSIG: a worker does not outlive its parent. */
static void become_worker(const struct plan *plan, unsigned index, const int *ready, const int *go,
                          pid_t parent)
{
    sigset_t set;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(STATUS_FAILED);
    watched_signals(&set);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    close(ready[0]);
    close(go[1]);
    _exit(worker_run(plan, index, ready[1], go[0]));
}

static int fork_workers(struct crew *crew, const struct plan *plan, const int *ready, const int *go)
{
    pid_t parent = getpid();
    fflush(NULL);
    for (unsigned i = 0; i < plan->processes; i++) {
        pid_t pid = fork();
        if (pid == 0)
            become_worker(plan, i, ready, go, parent);
        if (pid < 0)
            return fail("cannot start process %u of %llu: %s; use fewer --processes", i + 1,
                        (unsigned long long)plan->processes, strerror(errno));
        crew->member[i].pid = pid;
        crew->count = ++crew->alive;
    }
    return 0;
}

int crew_start(struct crew *crew, const struct plan *plan)
{
    sigset_t set;
    int ready[2], go[2];
    char byte;
    memset(crew, 0, sizeof *crew);
    crew->ready_fd = crew->go_fd = -1;
    watched_signals(&set);
    /* Some parents leave SIGCHLD ignored; waitpid() would then find no children. */
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (pipe2(ready, O_CLOEXEC))
        return fail("cannot create a pipe: %s", strerror(errno));
    crew->ready_fd = ready[0];
    if (pipe2(go, O_CLOEXEC)) {
        close(ready[1]);
        return fail("cannot create a pipe: %s", strerror(errno));
    }
    crew->go_fd = go[1];
    int status = fork_workers(crew, plan, ready, go);
    close(ready[1]);
    close(go[0]);
    /* read() returns at end of file: each worker has closed its end of the pipe or died. */
    while (!status && read(crew->ready_fd, &byte, 1) < 0 && errno == EINTR)
        continue;
    return status;
}

static void execute(struct crew *crew, const struct plan *plan, struct crew_member *member)
{
    progress_note(
        plan,
        "process %u (pid %d) stopped before an alloc; single-stepping until it holds the lock",
        VICTIM + 1, (int)member->pid);
    execution_run(&crew->execution, plan->mem, member->pid, plan->board[VICTIM].slot,
                  plan->kill_steps, &member->wait_status);
    member->ended = 1;
    crew->alive--;
    if (crew->execution.done)
        progress_note(plan, "process %u was killed by SIGKILL while it held the heap's lock",
                      VICTIM + 1);
    else
        progress_note(plan, "process %u ended before it could be killed with the lock held",
                      VICTIM + 1);
}

static void member_changed(struct crew *crew, const struct plan *plan, struct crew_member *member,
                           int wait_status)
{
    unsigned index = (unsigned)(member - crew->member);
    member->wait_status = wait_status;
    if (WIFSTOPPED(wait_status)) {
        if (plan->kill_one && index == VICTIM)
            execute(crew, plan, member);
        return;
    }
    member->ended = 1;
    crew->alive--;
    if (WIFSIGNALED(wait_status))
        progress_note(plan, "process %u (pid %d) was killed by signal %d", index + 1,
                      (int)member->pid, WTERMSIG(wait_status));
}

static void reap(struct crew *crew, const struct plan *plan)
{
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG | __WALL)) > 0)
        for (unsigned i = 0; i < crew->count; i++)
            if (crew->member[i].pid == pid && !crew->member[i].ended)
                member_changed(crew, plan, &crew->member[i], wait_status);
}

static void kill_all(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        if (!crew->member[i].ended)
            kill(crew->member[i].pid, SIGKILL);
}

void crew_watch(struct crew *crew, const struct plan *plan)
{
    static const struct timespec redraw = {0, REDRAW_NS};
    sigset_t set;
    watched_signals(&set);
    crew->started_ns = now_ns();
    close_fd(&crew->go_fd);
    while (crew->alive) {
        int got = sigtimedwait(&set, NULL, &redraw);
        if (got > 0 && got != SIGCHLD && !crew->interrupted) {
            crew->interrupted = got;
            kill_all(crew);
        }
        reap(crew, plan);
        progress_draw(plan, crew_calls(plan), crew->alive, now_ns() - crew->started_ns);
    }
    crew->ended_ns = now_ns();
    progress_end(plan);
}

void crew_end(struct crew *crew)
{
    kill_all(crew);
    for (unsigned i = 0; i < crew->count; i++)
        while (!crew->member[i].ended && waitpid(crew->member[i].pid, NULL, __WALL) < 0 &&
               errno == EINTR)
            continue;
    close_fd(&crew->go_fd);
    close_fd(&crew->ready_fd);
}

uint64_t crew_calls(const struct plan *plan)
{
    uint64_t calls = 0;
    for (unsigned i = 0; i < plan->processes; i++)
        calls += __atomic_load_n(&plan->board[i].calls, __ATOMIC_RELAXED);
    return calls;
}
