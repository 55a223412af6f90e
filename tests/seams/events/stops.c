/* The subject is stopped, mostly inside the heap's lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

enum { STORES = 40, PAIRS = 100 };

void proc_read(pid_t pid, const char *file, char *text, size_t room)
{
    char path[60];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, room - 1) : 0;
    text[got > 0 ? got : 0] = 0;
    for (ssize_t i = 0; i < got; i++)
        if (text[i] == 0)
            text[i] = ' ';
    if (fd >= 0)
        close(fd);
}

static void stand_still(void) { raise(SIGSTOP); }
static long act_stop_at_store(uint64_t stores)
{
    hook_set(stores, stand_still);
    return act_until_hook(0);
}

/* A thread of the witness that has used the heap, with a cache where the row has caches, and ends
 * while the subject is stopped. */
static pthread_t user;
static pthread_barrier_t used, may_end;
static void *use(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < PAIRS; i++)
        shmheap_free(mem, shmheap_alloc(mem, 8));
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&may_end);
    return NULL;
}

static long act_thread_uses(uint64_t unused)
{
    (void)unused;
    pthread_barrier_init(&used, NULL, 2);
    pthread_barrier_init(&may_end, NULL, 2);
    EXPECT(pthread_create(&user, NULL, use, NULL) == 0, "a thread is expected to be made");
    pthread_barrier_wait(&used);
    return 0;
}

static long act_thread_join(uint64_t unused)
{
    (void)unused;
    pthread_join(user, NULL);
    return 0;
}

/* What needs no lock of this heap: handles, fork(), other heaps. */
static long act_while_stopped(uint64_t unused)
{
    shmheap_memory_handle other;
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    int status = 0;
    (void)unused;
    pthread_barrier_wait(&may_end);
    act_check(0);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
           "fork() is expected to work while a peer that may hold the lock is stopped");
    EXPECT(shmheap_open(&other, NULL, &options) == 0,
           "another heap is expected to be made while a peer is stopped");
    for (unsigned i = 0; i < PAIRS; i++)
        shmheap_free(other, shmheap_alloc(other, 100));
    shmheap_disconnect(other);
    return 0;
}

void event_stop(void)
{
    char line[200] = "";
    pid_t pid = stage->peers[stage->subject].pid;
    ask(stage->witness, act_thread_uses, 0);
    tell(stage->subject, act_stop_at_store, 1 + stage->seed % STORES);
    for (char *state = NULL; (state == NULL || state[2] != 'T') && !stage->ended;
         state = strrchr(line, ')')) {
        proc_read(pid, "stat", line, sizeof line);
        sched_yield();
    }
    ask(stage->witness, act_while_stopped, 0);
    tell(stage->witness, act_first_change, 0); /* waits for the lock, if the subject has it */
    EXPECT(kill(pid, SIGCONT) == 0, "the stopped process is expected to be there");
    answer(stage->witness);
    answer(stage->subject);
    ask(stage->witness, act_thread_join, 0);
}
