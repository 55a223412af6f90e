/* death.c: a rank is killed inside a call that allocates. The starter lets the other ranks live;
 * they go on, without a call of MPI. death FOLDER VICTIM STORE: rank VICTIM dies before its
 * STORE-th store to the heap's memory. Each survivor makes a file in FOLDER.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/base/platform.h"
#include "check.h"

enum { OBJECTS = 200 };

void (*shmheap_store_hook)(void);
static int stores_left;

static void die_at_store(void)
{
    if (--stores_left == 0)
        kill(getpid(), SIGKILL);
}

/* For the survivors alone; in a file that ls does not show. */
static pthread_barrier_t *survivors_barrier(const char *folder)
{
    char path[400];
    pthread_barrierattr_t shared;
    snprintf(path, sizeof path, "%s/.barrier", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
    pthread_barrier_t *barrier = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(barrier != MAP_FAILED);
    close(fd);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) {
        pthread_barrierattr_init(&shared);
        pthread_barrierattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
        CHECK(pthread_barrier_init(barrier, &shared, (unsigned)ranks - 1) == 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    return barrier;
}

/* Allocates by all means, and never returns. */
static void allocate_till_death(shmheap_memory_handle mem, int store)
{
    stores_left = store;
    shmheap_store_hook = die_at_store;
    for (unsigned turn = 0;; turn++) {
        void *plain = shmheap_alloc(mem, 16 + turn % 1000),
             *named = shmheap_alloc_named(mem, "last word", 64);
        CHECK(plain != NULL && named != NULL);
        CHECK(shmheap_try_free(mem, plain) == 0 && shmheap_try_free(mem, named) == 0);
    }
}

static void wait_for_death(int pidfd)
{
    struct pollfd end = {.fd = pidfd, .events = POLLIN};
    CHECK(poll(&end, 1, 60000) == 1);
    close(pidfd);
}

static void go_on(shmheap_memory_handle mem)
{
    unsigned char *mine[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        mine[i] = shmheap_alloc(mem, (size_t)(1 + i * 7));
        CHECK(mine[i] != NULL);
        memset(mine[i], 1 + rank, (size_t)(1 + i * 7));
    }
    char *last_word = shmheap_alloc_named(mem, "last word", 64);
    CHECK(last_word != NULL);
    for (int i = 0; i < OBJECTS; i++) {
        for (int at = 0; at < 1 + i * 7; at++)
            CHECK(mine[i][at] == 1 + rank);
        CHECK(shmheap_try_free(mem, mine[i]) == 0);
    }
    CHECK(shmheap_try_free(mem, last_word) == 0);
}

/* All objects of the dead rank are freed: nothing is in use. */
static void inherit(shmheap_memory_handle mem, unsigned char *kept)
{
    shmheap_stats stats;
    CHECK(shmheap_reap(mem, 0) >= 0);
    CHECK_REFUSED(shmheap_find(mem, "last word", NULL) == NULL, ENOENT);
    for (int at = 0; at < 500; at++)
        CHECK(kept[at] == 77);
    CHECK(shmheap_try_free(mem, kept) == 0);
    CHECK(shmheap_check(mem, NULL) == 0 && shmheap_stat(mem, &stats) == 0);
    printf("rank %d: %llu recoveries, %u ranks live, %llu blocks in use\n", rank,
           (unsigned long long)stats.recoveries, stats.processes,
           (unsigned long long)stats.used_blocks);
    fflush(stdout); /* _exit does not */
    CHECK(stats.processes == (unsigned)ranks - 1 && stats.used_blocks == 0);
}

static void report(const char *folder)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%d", folder, rank);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    close(fd);
}

static void survive(shmheap_memory_handle mem, int pidfd, pthread_barrier_t *barrier, int heir,
                    const char *folder)
{
    unsigned char *kept = shmheap_find(mem, "kept", NULL);
    wait_for_death(pidfd);
    go_on(mem);
    pthread_barrier_wait(barrier);
    if (rank == heir)
        inherit(mem, kept);
    pthread_barrier_wait(barrier);
    CHECK(shmheap_mpi_leave(mem) == 0);
    report(folder);
    /* A starter may end the survivors as soon as one has ended without MPI_Finalize. */
    pthread_barrier_wait(barrier);
    _exit(0);
}

int main(int argc, char **argv)
{
    const shmheap_options options = {.len = 4 << 20};
    shmheap_memory_handle mem;
    signal(SIGPIPE, SIG_IGN); /* the starter, or the reader of the output, may be gone */
    check_begin(&argc, &argv);
    CHECK(argc == 4);
    int victim = atoi(argv[2]), pid = (int)getpid(), heir = victim == 0;
    CHECK(victim < ranks);
    CHECK(shmheap_mpi_open(&mem, check_name(), &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == 0);
    pthread_barrier_t *barrier = survivors_barrier(argv[1]);
    if (rank == heir) {
        void *kept = shmheap_alloc_named(mem, "kept", 500);
        CHECK(kept != NULL);
        memset(kept, 77, 500);
    }
    MPI_Bcast(&pid, 1, MPI_INT, victim, MPI_COMM_WORLD);
    int pidfd = rank == victim ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    CHECK(rank == victim || pidfd >= 0);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == victim)
        allocate_till_death(mem, atoi(argv[3]));
    survive(mem, pidfd, barrier, heir, argv[1]);
}
