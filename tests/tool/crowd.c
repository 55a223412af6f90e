/* crowd.c: processes that share a heap: crowd NAME LEN BLOCKS [busy]. Makes the heap, sparse, with
 * BLOCKS blocks of many sizes and states from four processes, and names that a page or a terminal
 * might take for its own language. One process dies, one disconnects. Says "ready" and stays until
 * its standard input ends. busy: two processes go on to allocate and free.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <shmheap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 4, KEPT = 64, OLDER = 16 };

static const char *const names[] = {"matrix",      "<script>alert(1)</script>", "a&b\"c'",
                                    "caf\xc3\xa9", "bad\xff\x1b[31m",           "]]></svg>"};

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 8;
}

static size_t size_of(unsigned *seed, size_t mean)
{
    size_t most = mean << next(seed) % 4;
    return 1 + next(seed) % (most ? most : 1);
}

static void fill(shmheap_memory_handle mem, unsigned process, size_t blocks, size_t mean)
{
    void *older[OLDER] = {NULL}; /* freed later, so that holes are left */
    unsigned seed = process + 1;
    for (size_t i = 0; i < blocks; i++) {
        void **place = &older[next(&seed) % OLDER];
        void *object = shmheap_alloc(mem, size_of(&seed, mean));
        if (!object)
            return;
        switch (next(&seed) % 8) {
            case 0:
            case 1:
                shmheap_free(mem, *place);
                *place = object;
                break;
            case 2:
                shmheap_ptr_to_handle(mem, object);
                break;
            case 3:
                shmheap_send(mem, object);
                break;
            default:
                break;
        }
    }
}

static void work(shmheap_memory_handle mem, unsigned process)
{
    void *kept[KEPT] = {NULL};
    unsigned seed = process;
    for (;;)
        for (int i = 0; i < KEPT; i++) {
            shmheap_free(mem, kept[i]);
            kept[i] = shmheap_alloc(mem, size_of(&seed, 200));
            usleep(500);
        }
}

/* Process 0 dies, process 1 disconnects; the other ones stay. */
static void child(const char *name, unsigned process, size_t blocks, size_t mean, int is_busy)
{
    static char programs[][12] = {"mortal", "leaver", "writer", "reader<&>"};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    program_invocation_short_name = programs[process];
    shmheap_memory_handle mem = shmheap_connect(name);
    if (!shmheap_valid(mem))
        _exit(1);
    fill(mem, process, blocks, mean);
    if (process == 1)
        shmheap_disconnect(mem);
    if (write(STDOUT_FILENO, "x", 1) != 1 || process < 2)
        _exit(0);
    if (is_busy)
        work(mem, process);
    for (;;)
        pause();
}

/* Waits for the x of each child. They fill the heap one after another. */
static int start(const char *name, size_t len, size_t blocks, int is_busy, pid_t *pids)
{
    int pipes[2];
    size_t mean = blocks ? len / 6 / blocks : 1;
    for (unsigned i = 0; i < PROCESSES; i++) {
        char byte;
        if (pipe(pipes) || (pids[i] = fork()) < 0)
            return -1;
        if (pids[i] == 0) {
            dup2(pipes[1], STDOUT_FILENO);
            child(name, i, blocks / PROCESSES, mean < 8192 ? mean : 8192, is_busy);
        }
        close(pipes[1]);
        if (read(pipes[0], &byte, 1) != 1)
            return -1;
        close(pipes[0]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    pid_t pids[PROCESSES];
    shmheap_memory_handle mem;
    if (argc < 4)
        return 2;
    const shmheap_options options = {.len = strtoull(argv[2], NULL, 10),
                                     .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_SPARSE};
    if (shmheap_open(&mem, argv[1], &options) ||
        start(argv[1], options.len, strtoull(argv[3], NULL, 10), argc > 4, pids)) {
        perror("crowd");
        return 1;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!shmheap_alloc_named(mem, names[i], options.len / 200 + 100 * i))
            perror(names[i]);
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    for (unsigned i = 2; i < PROCESSES; i++)
        kill(pids[i], SIGKILL);
    while (wait(NULL) > 0)
        continue;
    shmheap_disconnect(mem);
    return 0;
}
