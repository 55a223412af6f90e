/* The participants of a row: how they are started, told what to do, and waited for.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/seams/seams.h"

#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURN_IDLE, TURN_TOLD, TURN_ANSWERED, SLICE_MS = 20, WAIT_MS = 60000 };

struct stage *stage;
unsigned self = NO_PEER;
shmheap_memory_handle mem;

struct peer *me(void) { return &stage->peers[self]; }

int row_named(void) { return row_value(MEMORY) <= MEMORY_FILE_HUGE; }
int row_file(void) { return row_named() && !row_is(MEMORY, MEMORY_SHM); }
int row_callers(void) { return row_is(MEMORY, MEMORY_SHARED) || row_is(MEMORY, MEMORY_ARRAY); }

static void text_write(volatile int *what, const char *format, va_list arguments)
{
    char text[sizeof stage->text];
    int nothing = 0;
    vsnprintf(text, sizeof text, format, arguments);
    if (__atomic_compare_exchange_n(&stage->ended, &nothing, 1, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        memcpy(stage->text, text, sizeof text);
        __atomic_store_n(what, 1, __ATOMIC_RELEASE);
    }
}

void seams_fail(const char *file, int line, const char *format, ...)
{
    char longer[500];
    const char *name = strrchr(file, '/');
    va_list arguments;
    snprintf(longer, sizeof longer, "%s (participant %d, %s:%d)", format,
             self == NO_PEER ? -1 : (int)self, name ? name + 1 : file, line);
    va_start(arguments, format);
    text_write(&stage->failed, longer, arguments);
    va_end(arguments);
    _exit(REFUSED_STATUS);
}

void seams_skip(enum factor lacking, const char *format, ...)
{
    va_list arguments;
    stage->lacking = lacking;
    va_start(arguments, format);
    text_write(&stage->skipped, format, arguments);
    va_end(arguments);
    _exit(REFUSED_STATUS);
}

static long futex(volatile uint32_t *word, int op, uint32_t value, const struct timespec *limit)
{
    return syscall(SYS_futex, word, op, value, limit, NULL, 0);
}

static void futex_wait(volatile uint32_t *word, uint32_t value, int limit_ms)
{
    struct timespec limit = {limit_ms / 1000, limit_ms % 1000 * 1000000L};
    futex(word, FUTEX_WAIT, value, &limit);
}

static void futex_set(volatile uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    futex(word, FUTEX_WAKE, INT32_MAX, NULL);
}

static uint32_t load(volatile uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }

void go_wait(void)
{
    while (load(&stage->go) == 0)
        futex_wait(&stage->go, 0, WAIT_MS);
}

void go_all(void) { futex_set(&stage->go, 1); }

/* The participant's side. */

void peer_serve(void)
{
    for (;;) {
        struct peer *peer = me();
        for (uint32_t turn; (turn = load(&peer->turn)) != TURN_TOLD;)
            futex_wait(&peer->turn, turn, WAIT_MS);
        long (*act)(uint64_t) = peer->act;
        peer->answer = act(peer->argument);
        futex_set(&me()->turn, TURN_ANSWERED);
    }
}

void peer_resume(void)
{
    me()->answer = 0;
    futex_set(&me()->turn, TURN_ANSWERED);
    peer_serve();
}

void peer_expect_child(unsigned index)
{
    struct peer *child = &stage->peers[index];
    int claims = 0;
    for (unsigned i = 0; i < OBJECTS_MAX; i++)
        if (me()->objects[i].state == OBJECT_LIVES)
            claims |= 1 << i;
    child->parent = self;
    child->claims = claims;
    child->end = me()->end;
    child->fds_known = me()->fds_known;
    child->fds_before = me()->fds_before;
}

void peer_become(unsigned index)
{
    self = index;
    me()->has_slot = 0;
    me()->pid = (pid_t)syscall(SYS_getpid);
    futex_set(&me()->turn, TURN_ANSWERED);
    peer_serve();
}

long act_fork(uint64_t index)
{
    peer_expect_child((unsigned)index);
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork() is expected to succeed: %s", strerror(errno));
    if (pid == 0)
        peer_become((unsigned)index);
    return pid;
}

/* The director's side. */

unsigned helper_new(void)
{
    EXPECT(stage->helpers < HELPERS, "the row has too many helpers");
    return CROWD_MAX + stage->helpers++;
}

void peer_start(unsigned index)
{
    stage->peers[index].parent = NO_PEER;
    stage->peers[index].fds_known = 1;
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork() is expected to succeed: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* the director ends: so does the row */
        peer_become(index);
    }
    stage->peers[index].pid = pid;
    peer_await_start(index);
}

void peer_await_start(unsigned index) { answer(index); }

void tell_act(unsigned index, long (*act)(uint64_t), const char *name, uint64_t argument)
{
    struct peer *peer = &stage->peers[index];
    peer->act = act;
    peer->act_name = name;
    peer->argument = argument;
    futex_set(&peer->turn, TURN_TOLD);
}

const char *peer_waited_for(unsigned *index)
{
    for (; *index < PEERS_MAX; ++*index)
        if (stage->peers[*index].turn == TURN_TOLD && stage->peers[*index].end != END_DEAD)
            return stage->peers[*index].act_name;
    return NULL;
}

/* 1: there; 0: a zombie, or gone. */
static int process_runs(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return 0;
    struct pollfd poller = {fd, POLLIN, 0};
    int ended = poll(&poller, 1, 0) == 1;
    close(fd);
    return !ended;
}

int peer_running(unsigned index)
{
    const struct peer *peer = &stage->peers[index];
    return peer->pid != 0 && peer->end != END_DEAD && peer->end != END_LEFT &&
           process_runs(peer->pid);
}

/* A participant that was to answer has ended. */
static void ended_unasked(unsigned index)
{
    int status = 0;
    const char *act = stage->peers[index].act_name;
    int known = waitpid(stage->peers[index].pid, &status, WNOHANG) > 0;
    int by_signal = known && WIFSIGNALED(status);
    EXPECT(0, "participant %u is expected to live and to answer %s; it has ended%s%.0d", index,
           act != NULL ? act : "its start",
           !known      ? ", how is known to its parent alone"
           : by_signal ? " by signal "
                       : " with status ",
           !known      ? 0
           : by_signal ? WTERMSIG(status)
                       : WEXITSTATUS(status));
}

long answer(unsigned index)
{
    struct peer *peer = &stage->peers[index];
    for (uint32_t turn; (turn = load(&peer->turn)) != TURN_ANSWERED;) {
        futex_wait(&peer->turn, turn, SLICE_MS);
        if (stage->ended)
            _exit(REFUSED_STATUS);
        int runs = peer->pid == 0 || process_runs(peer->pid);
        if (!runs && load(&peer->turn) != TURN_ANSWERED)
            ended_unasked(index);
    }
    return peer->answer;
}

int peer_await_end(unsigned index, enum end end)
{
    struct peer *peer = &stage->peers[index];
    int status = 0, fd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
    struct pollfd poller = {fd, POLLIN, 0};
    if (fd >= 0) {
        while (poll(&poller, 1, SLICE_MS) != 1)
            if (stage->ended)
                _exit(REFUSED_STATUS);
        close(fd);
    }
    if (stage->ended)
        _exit(REFUSED_STATUS);
    peer->end = end;
    return waitpid(peer->pid, &status, WNOHANG) == peer->pid ? status : -1;
}

int peer_kill(unsigned index)
{
    EXPECT(kill(stage->peers[index].pid, SIGKILL) == 0,
           "participant %u is expected to be there still", index);
    return peer_await_end(index, END_DEAD);
}
