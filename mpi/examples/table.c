/* table.c: the ranks of a node share one table instead of having a copy each. Each rank looks the
 * table up by its name, fills its part, and reads the whole. SPDX-License-Identifier: Apache-2.0 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "shmheap_mpi.h"

enum { ENTRIES = 1000000 };

static void quit(const char *what)
{
    perror(what);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* Each rank computes the entries whose number it is, modulo the number of ranks. */
static void fill(double *table, int rank, int ranks)
{
    for (int i = rank; i < ENTRIES; i += ranks)
        table[i] = 1.0 / (1 + i);
}

static double sum(const double *table)
{
    double total = 0;
    for (int i = 0; i < ENTRIES; i++)
        total += table[i];
    return total;
}

int main(int argc, char **argv)
{
    shmheap_options options = {.len = ENTRIES * sizeof(double) + (1 << 16)};
    shmheap_memory_handle heap;
    shmheap_stats stats;
    int rank, ranks;
    MPI_Init(&argc, &argv);
    if (argc != 2 || argv[1][0] != '/') {
        if (argc == 2)
            fprintf(stderr, "table: the name must begin with a slash: /%s\n", argv[1]);
        fprintf(stderr, "usage: mpirun -n RANKS table /NAME\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    if (shmheap_mpi_open(&heap, argv[1], &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) != 0)
        quit(argv[1]);
    MPI_Comm node = shmheap_mpi_communicator(heap);
    MPI_Comm_rank(node, &rank);
    MPI_Comm_size(node, &ranks);
    double *table = shmheap_alloc_named(heap, "table", ENTRIES * sizeof *table);
    if (table == NULL)
        quit("table");
    fill(table, rank, ranks);
    MPI_Barrier(node);
    printf("rank %d of %d: sum %.6f\n", rank, ranks, sum(table));
    MPI_Barrier(node);
    if (rank == 0 && shmheap_stat(heap, &stats) == 0)
        printf("%llu bytes in use for %d ranks\n", (unsigned long long)stats.used_bytes, ranks);
    MPI_Barrier(node);
    shmheap_free(heap, table);
    if (shmheap_mpi_close(heap) != 0)
        quit(argv[1]);
    MPI_Finalize();
    return 0;
}
