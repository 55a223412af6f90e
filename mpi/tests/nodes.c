/* nodes.c: a job on two nodes. This machine plays both: even ranks live on node 0, odd ones on node
 * 1, each with a /dev/shm of its own. MPI_Comm_split_type comes through MPI's profiling interface;
 * shm_open and shm_unlink replace those of the C library.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static const shmheap_options options = {.len = 1 << 20};
static int same_folder; /* the nodes' ranks see each other's names after all */
static int unlinks;
static char name[80];

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *out)
{
    (void)type, (void)info;
    return PMPI_Comm_split(comm, rank % 2, key, out);
}

/* Where a node has its names; the names of MPI stay in /dev/shm. */
static const char *path_on_node(const char *shm_name, char *path, size_t room)
{
    int is_ours = strncmp(shm_name, "/shmheap-mpi-", 13) == 0;
    snprintf(path, room, "/dev/shm%s%s", shm_name,
             is_ours && !same_folder ? rank % 2 ? ".node1" : ".node0" : "");
    return path;
}

int shm_open(const char *shm_name, int oflags, mode_t mode)
{
    char path[200];
    return open(path_on_node(shm_name, path, sizeof path), oflags | O_CLOEXEC | O_NOFOLLOW, mode);
}

int shm_unlink(const char *shm_name)
{
    char path[200];
    int result = unlink(path_on_node(shm_name, path, sizeof path));
    unlinks += result == 0;
    return result;
}

static int sum(int own)
{
    int all;
    MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    return all;
}

static void each_node_has_its_heap(void)
{
    shmheap_memory_handle mem;
    int count, place;
    unlinks = 0;
    CHECK(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == 0);
    MPI_Comm_size(shmheap_mpi_communicator(mem), &count);
    MPI_Comm_rank(shmheap_mpi_communicator(mem), &place);
    CHECK(count == ranks / 2 && place == rank / 2);
    int *node = shmheap_alloc_named(mem, "node", sizeof *node);
    CHECK(node != NULL);
    if (place == 0)
        *node = rank % 2;
    MPI_Barrier(shmheap_mpi_communicator(mem));
    CHECK(*node == rank % 2);
    CHECK(shmheap_try_free(mem, node) == 0);
    /* A node's ranks close by themselves; each heap's name goes once. */
    CHECK(shmheap_mpi_close(mem) == 0);
    CHECK(!check_there(name));
    CHECK(sum(unlinks) == 2);
}

/* On node 1 a process uses a heap of that name: node 0 keeps no heap either. */
static void what_fails_on_one_node_fails_on_all(void)
{
    shmheap_memory_handle mem, other = {NULL};
    if (rank == 1)
        CHECK(shmheap_valid(other = shmheap_create(name, 4096)));
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK_REFUSED(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == -1,
                  EEXIST);
    CHECK(check_there(name) == rank % 2);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1)
        shmheap_destroy(name, other);
    MPI_Barrier(MPI_COMM_WORLD);
    CHECK(!check_there(name));
}

/* The MPI says two nodes, /dev/shm is one: one makes the heap, the other finds it taken. */
static void nodes_that_are_not(void)
{
    shmheap_memory_handle mem;
    same_folder = 1;
    CHECK_REFUSED(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == -1,
                  EEXIST);
    CHECK(!check_there(name));
    same_folder = 0;
}

int main(int argc, char **argv)
{
    check_begin(&argc, &argv);
    snprintf(name, sizeof name, "%s", check_name());
    each_node_has_its_heap();
    what_fails_on_one_node_fails_on_all();
    nodes_that_are_not();
    each_node_has_its_heap();
    MPI_Finalize();
    return 0;
}
