/* ranks_test.c: ranks share named blocks; bad input is refused on all. ranks_test NAME SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shmheap_mpi.h"

#define CHECK(x) ((x) ? (void)0 : (fprintf(stderr, "line %d: %s, errno %d\n", __LINE__, #x, errno), (void)MPI_Abort(MPI_COMM_WORLD, 1)))

enum { BLOCKS = 1024 };

static char name[64];

static void one_word(shmheap_memory_handle mem, int rank)
{
    MPI_Comm comm = shmheap_mpi_communicator(mem);
    volatile unsigned *word = shmheap_alloc_named(mem, "word", sizeof *word);
    CHECK(word);
    if (rank == 0)
        *word = 0xDEADBEEF;
    MPI_Barrier(comm);
    CHECK(*word == 0xDEADBEEF);
    MPI_Barrier(comm);
    CHECK((errno = 0, shmheap_free(mem, (void *)word), errno) == 0);
    MPI_Barrier(comm);
    errno = 0;
    CHECK(!shmheap_find(mem, "word", NULL) && errno == ENOENT);
}

static void many(shmheap_memory_handle mem, int rank)
{
    static unsigned char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    char block[16];
    srand(7);
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = 1 + (size_t)rand() % 2000;
        snprintf(block, sizeof block, "block%d", i);
        CHECK((blocks[i] = shmheap_alloc_named(mem, block, sizes[i])));
        if (i % 4 == rank)
            memset(blocks[i], i % 251, sizes[i]);
    }
    MPI_Barrier(shmheap_mpi_communicator(mem));
    for (int i = 0; i < BLOCKS; i++)
        for (size_t at = 0; at < sizes[i]; at++)
            CHECK(blocks[i][at] == i % 251);
    MPI_Barrier(shmheap_mpi_communicator(mem));
    srand(100 + (unsigned)rank);
    for (int left = BLOCKS; left > 0; left--) {
        int which = rand() % left;
        CHECK((errno = 0, shmheap_free(mem, blocks[which]), errno) == 0);
        blocks[which] = blocks[left - 1];
    }
    MPI_Barrier(shmheap_mpi_communicator(mem));
}

static void bad_input(void)
{
    shmheap_memory_handle mem;
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[0] = '/', longest[sizeof longest - 1] = 0;
    CHECK(shmheap_mpi_open(&mem, "", NULL, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == -1 && errno == EINVAL);
    CHECK(shmheap_mpi_open(&mem, longest, NULL, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == -1 && errno == ENAMETOOLONG);
    CHECK(shmheap_mpi_open(&mem, name, NULL, MPI_COMM_WORLD, 9) == -1 && errno == EINVAL);
    CHECK(shmheap_mpi_close((shmheap_memory_handle){0}) == -1 && errno == EINVAL);
}

static void session(int rank, int scope)
{
    shmheap_options options = {.len = 4 << 20};
    shmheap_memory_handle mem, second;
    shmheap_stats before, after;
    CHECK(shmheap_mpi_open_f(&mem, name, &options, MPI_Comm_c2f(MPI_COMM_WORLD), scope) == 0);
    CHECK(shmheap_mpi_open(&second, name, &options, MPI_COMM_WORLD, scope) == -1 && errno == EEXIST);
    one_word(mem, rank);
    many(mem, rank);
    CHECK(shmheap_stat(mem, &before) == 0);
    MPI_Barrier(MPI_COMM_WORLD);
    many(mem, rank);
    CHECK(shmheap_stat(mem, &after) == 0);
    CHECK(after.used_bytes == before.used_bytes && after.largest_free == before.largest_free);
    CHECK(!shmheap_alloc_named(mem, "oversize", 8 << 20) && errno == ENOMEM);
    CHECK(shmheap_mpi_close(mem) == 0);
}

int main(int argc, char **argv)
{
    int rank, pid = (int)getpid();
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Bcast(&pid, 1, MPI_INT, 0, MPI_COMM_WORLD);
    snprintf(name, sizeof name, "/shmheap-mpi-%d", pid);
    bad_input();
    if (rank == 0) { /* a stale heap of another size, to be taken over */
        shmheap_memory_handle stale = shmheap_create(name, 4096);
        CHECK(shmheap_valid(stale));
        shmheap_disconnect(stale);
    }
    session(rank, SHMHEAP_MPI_NODE);
    session(rank, SHMHEAP_MPI_SOCKET);
    MPI_Finalize();
    return 0;
}
