/* killed.c: killed NAME die: a rank is killed, and the job with it; its heap stays. killed NAME
 * again: the next job replaces the heap. SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <unistd.h>

#include "check.h"

static void die(shmheap_memory_handle mem)
{
    for (int i = 0; i < 100; i++)
        CHECK(shmheap_alloc(mem, 1000) != NULL);
    CHECK(shmheap_alloc_named(mem, "of the dead", 100) != NULL);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == ranks - 1)
        kill(getpid(), SIGKILL);
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK(!"reached");
}

static void look(shmheap_memory_handle mem)
{
    shmheap_stats stats;
    CHECK(shmheap_stat(mem, &stats) == 0);
    CHECK(stats.len == 2 << 20 && stats.used_blocks == 0 && stats.allocs == 0 && stats.dead == 0);
    CHECK_REFUSED(shmheap_find(mem, "of the dead", NULL) == NULL, ENOENT);
    MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
    shmheap_memory_handle mem;
    check_begin(&argc, &argv);
    CHECK(argc == 3);
    int dies = strcmp(argv[2], "die") == 0;
    const shmheap_options options = {.len = dies ? 1 << 20 : 2 << 20};
    CHECK(shmheap_mpi_open(&mem, argv[1], &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == 0);
    dies ? die(mem) : look(mem);
    CHECK(shmheap_mpi_close(mem) == 0);
    MPI_Finalize();
    return 0;
}
