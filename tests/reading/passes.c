/* passes.c: a program whose functions measured_* do what docs/reading.md leads through.
 *
 * reading_test.sh runs it under callgrind, which tells the files that each of them passes. It has
 * the whole core in it, compiled with the lines of its files, however the build is configured.
 * SPDX-License-Identifier: Apache-2.0 */
#include "c/shmheap.c"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { LIVE = 2000, ROUNDS = 4000, SIZES = 40, LEN = 1 << 20 };

static void *live[LIVE];
static shmheap_memory_handle mem;

/* Not static: so each keeps its name. */
void *measured_alloc(size_t size);
int measured_free(void *ptr);
void *measured_recovery(void);

NOINLINE void *measured_alloc(size_t size) { return shmheap_alloc(mem, size); }

NOINLINE int measured_free(void *ptr) { return shmheap_try_free(mem, ptr); }

/* The first call after a death inside the lock. */
NOINLINE void *measured_recovery(void) { return shmheap_alloc(mem, 100); }

static int failed(const char *what)
{
    perror(what);
    return 1;
}

static size_t size_of(unsigned step) { return 8 + (step * 2654435761u >> 7) % SIZES * 8; }

/* Allocs and frees with this many live objects: a few leave the free set a list, many make it
 * binned. Each object but the first count is allocated and freed by the measured functions. */
static int churn(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if ((live[i] = shmheap_alloc(mem, size_of(i))) == NULL)
            return failed("shmheap_alloc");
    for (unsigned step = 0; step < ROUNDS; step++) {
        void **place = &live[(step * 40503u >> 3) % count];
        if (measured_free(*place) != 0)
            return failed("measured_free");
        if ((*place = measured_alloc(size_of(step + count))) == NULL)
            return failed("measured_alloc");
    }
    return 0;
}

/* A child dies while it holds the lock. */
static int die_inside(void)
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(heap_lock(mem.heap) == 0 ? 3 : 1);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return failed("fork");
    return WIFEXITED(status) && WEXITSTATUS(status) == 3 ? 0 : failed("the child took no lock");
}

int main(void)
{
    shmheap_stats stats;
    void *region = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (region == MAP_FAILED)
        return failed("mmap");
    if (shmheap_create_at(&mem, region, LEN, NULL) != 0)
        return failed("shmheap_create_at");
    if (churn(30) != 0 || churn(LIVE) != 0 || die_inside() != 0)
        return 1;
    if (measured_recovery() == NULL)
        return failed("measured_recovery");
    if (shmheap_stat(mem, &stats) != 0 || stats.recoveries != 1)
        return failed("there was no recovery");
    shmheap_disconnect(mem);
    return 0;
}
