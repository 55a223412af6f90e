/* busy.c: a program to be recorded, whose calls are known: busy WHAT. Built without the compiler's
 * knowledge of malloc, which would leave out objects that are not used.
 *
 * SPDX-License-Identifier: Apache-2.0
 * */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 1000 };

/* 1 + 1 + 1 + 1 + 1 objects with sizes that no other call requests; one realloc; all freed. */
static void one_of_each(void)
{
    void *aligned = NULL;
    void *a = malloc(70001), *b = calloc(7, 10001), *c = aligned_alloc(64, 70016),
         *d = memalign(128, 70003);
    if (posix_memalign(&aligned, 256, 70005))
        abort();
    a = realloc(a, 140001);
    free(a);
    free(b);
    free(c);
    free(d);
    free(aligned);
}

static void *work(void *argument)
{
    void *held[16] = {0};
    for (size_t i = 0; i < ROUNDS; i++) {
        free(held[i % 16]);
        held[i % 16] = malloc(i % 300 + 1);
        memset(held[i % 16], 1, i % 300 + 1);
    }
    for (size_t i = 0; i < 16; i++)
        free(held[i]);
    return argument;
}

static int threads(void)
{
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, work, NULL))
            return 1;
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    return 0;
}

/* The child frees what its parent made, makes something itself, and dies by a signal. */
static int child(void)
{
    int status;
    void *inherited = malloc(50001);
    pid_t pid = fork();
    if (pid == 0) {
        free(inherited);
        work(NULL);
        raise(SIGKILL);
    }
    free(inherited);
    return waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "each"))
        return one_of_each(), 0;
    if (!strcmp(what, "threads"))
        return threads();
    if (!strcmp(what, "child"))
        return child();
    if (!strcmp(what, "exit"))
        _exit(work(NULL) ? 1 : 7);
    if (!strcmp(what, "signal"))
        raise(SIGTERM);
    if (!strcmp(what, "exec"))
        return execl("/proc/self/exe", "busy", "each", (char *)NULL);
    return 1;
}
