/* fork() and its kin.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

enum { BUSY_THREADS = 2, BUSY_FORKS = 10, MEET_MS = 20 };

/* Both work on, and so does a grandchild, which is then killed. */
void event_fork_child(void)
{
    unsigned child = helper_new(), grandchild = helper_new();
    ask(stage->subject, act_fork, child);
    peer_await_start(child);
    ask(child, act_check_parent, 0);
    tell(child, act_fill, 6);
    ask(stage->subject, act_churn, 50);
    answer(child);
    ask(child, act_churn, 50);
    ask(child, act_fork, grandchild);
    peer_await_start(grandchild);
    ask(grandchild, act_fill, 4);
    ask(grandchild, act_check_parent, 0);
    oracle_run();
    peer_kill(grandchild);
}

/* fork() in one thread while another opens. The opener does not wait for the fork to be
 * complete, which the library may hold up until the opening is; it only gives it the time of
 * MEET_MS to fall into the middle. */
static sem_t in_the_middle, forked;
static pthread_t forker;
static unsigned fork_helper_of_child;

static void *fork_once_told(void *unused)
{
    (void)unused;
    while (sem_wait(&in_the_middle) != 0)
        continue;
    pid_t pid = fork();
    EXPECT(pid >= 0, "fork() is expected to succeed while another thread opens a heap: %s",
           strerror(errno));
    if (pid == 0)
        peer_become(fork_helper_of_child);
    sem_post(&forked);
    return NULL;
}

static void middle_reached(void)
{
    struct timespec limit;
    sem_post(&in_the_middle);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += MEET_MS * 1000000L;
    limit.tv_sec += limit.tv_nsec / 1000000000L;
    limit.tv_nsec %= 1000000000L;
    sem_timedwait(&forked, &limit);
}

void fork_opening_begin(void)
{
    fork_helper_of_child = helper_new();
    stage->fork_helper = fork_helper_of_child;
    peer_expect_child(fork_helper_of_child);
    sem_init(&in_the_middle, 0, 0);
    sem_init(&forked, 0, 0);
    EXPECT(pthread_create(&forker, NULL, fork_once_told, NULL) == 0,
           "a thread is expected to be made");
    hook_set(1 + stage->seed % 12, middle_reached);
}

void fork_opening_end(void)
{
    hook_clear();
    sem_post(&in_the_middle); /* where there were fewer stores */
    pthread_join(forker, NULL);
}

/* The helper lives, and knows nothing of the heap; the subject's death is seen all the same. */
void event_fork_opening(void)
{
    peer_await_start(stage->fork_helper);
    stage->peers[stage->fork_helper].end = END_LIVES;
    peer_kill(stage->subject);
    oracle_run();
    kill(stage->peers[stage->fork_helper].pid, SIGKILL);
    peer_await_end(stage->fork_helper, END_DEAD);
}

static volatile int busy_stop;
static void *busy(void *unused)
{
    (void)unused;
    while (!busy_stop) {
        void *ptr = shmheap_alloc(mem, 100);
        EXPECT(ptr != NULL || errno == ENOMEM,
               "an allocation is expected to succeed while other threads fork; errno "
               "%d",
               errno);
        shmheap_free(mem, ptr);
    }
    return NULL;
}

static void busy_child(void)
{
    void *ptr = shmheap_alloc(mem, 50);
    EXPECT(ptr != NULL || errno == ENOMEM,
           "a child that was forked while threads were inside calls is expected to "
           "allocate; errno %d (%s)",
           errno, strerror(errno));
    check_sound("in a child that was forked while threads were inside calls");
    shmheap_free(mem, ptr);
    shmheap_disconnect(mem);
    _exit(0);
}

static long act_fork_busy(uint64_t unused)
{
    pthread_t threads[BUSY_THREADS];
    int status = 0;
    (void)unused;
    busy_stop = 0;
    for (unsigned i = 0; i < BUSY_THREADS; i++)
        EXPECT(pthread_create(&threads[i], NULL, busy, NULL) == 0,
               "a thread is expected to be made");
    for (unsigned i = 0; i < BUSY_FORKS; i++) {
        pid_t pid = fork();
        EXPECT(pid >= 0, "fork() is expected to succeed: %s", strerror(errno));
        if (pid == 0)
            busy_child();
        EXPECT(waitpid(pid, &status, 0) == pid && status == 0,
               "a child that was forked while threads were inside "
               "calls is expected to end well; its status is %#x",
               status);
    }
    busy_stop = 1;
    for (unsigned i = 0; i < BUSY_THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

void event_fork_busy(void) { ask(stage->subject, act_fork_busy, 0); }

/* clone(2) runs none of the handlers that fork() runs. */
static long act_raw_clone(uint64_t index)
{
    peer_expect_child((unsigned)index);
    stage->peers[index].claims_unsure = 1;
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    EXPECT(pid >= 0, "clone(2) is expected to succeed: %s", strerror(errno));
    if (pid == 0)
        peer_become((unsigned)index);
    return 0;
}

void event_raw_clone(void)
{
    unsigned child = helper_new();
    ask(stage->subject, act_raw_clone, child);
    peer_await_start(child);
    ask(child, act_first_change, 0);
    ask(child, act_fill, 3);
    ask(stage->subject, act_churn, 50);
    oracle_run();
    peer_kill(child);
}

int spawned_main(const char *text)
{
    DIR *entries = opendir("/proc/self/fd");
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        char path[300], target[300];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t len = readlink(path, target, sizeof target - 1);
        target[len > 0 ? len : 0] = 0;
        if (strstr(target, text) != NULL)
            return 1;
    }
    return 0;
}

static long act_spawn(uint64_t unused)
{
    int status = 0;
    (void)unused;
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/proc/self/exe", "seams_test", "--spawned", stage->place.tag, (char *)NULL);
        _exit(2);
    }
    EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid, "vfork() is expected to succeed: %s",
           strerror(errno));
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0,
           "a program that was executed is expected to have no "
           "descriptor of the heap; its status is %#x",
           status);
    return 0;
}

void event_spawn(void)
{
    ask(stage->subject, act_spawn, 0);
    ask(stage->subject, act_churn, 50);
}

void fork_with_less(void)
{
    unsigned child = helper_new();
    ask(stage->subject, act_fork, child);
    peer_await_start(child);
    long error = ask(child, act_first_change, 0);
    if (error == 0)
        ask(child, act_check_parent, 0);
    ask(stage->subject, act_churn, 50);
    oracle_run();
    peer_kill(child);
}
