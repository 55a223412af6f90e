/* ranks.c: ranks share words and a thousand named blocks, by scope node and socket, under
 * communicators of C and Fortran. SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"

enum { BLOCKS = 1024, LEN = 4 << 20 };

static const shmheap_options options = {.len = LEN};

static void barrier(shmheap_memory_handle mem) { MPI_Barrier(shmheap_mpi_communicator(mem)); }

static int rank_in(MPI_Comm comm)
{
    int own = -1;
    MPI_Comm_rank(comm, &own);
    return own;
}

static shmheap_stats figures(shmheap_memory_handle mem)
{
    shmheap_stats stats;
    CHECK(shmheap_stat(mem, &stats) == 0);
    return stats;
}

static void one_word(shmheap_memory_handle mem)
{
    volatile unsigned *word = shmheap_alloc_named(mem, "word", sizeof *word);
    CHECK(word != NULL);
    barrier(mem);
    if (rank_in(shmheap_mpi_communicator(mem)) == 0)
        *word = 0xDEADBEEF;
    barrier(mem);
    CHECK(*word == 0xDEADBEEF);
    barrier(mem);
    CHECK(shmheap_try_free(mem, (void *)word) == 0);
    barrier(mem);
    CHECK_REFUSED(shmheap_find(mem, "word", NULL) == NULL, ENOENT);
}

/* Each rank takes all blocks, fills its share, reads all, and frees them in an order of its own. */
static void many_blocks(shmheap_memory_handle mem, unsigned seed)
{
    static unsigned char *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    char name[16];
    int own = rank_in(shmheap_mpi_communicator(mem)), count;
    MPI_Comm_size(shmheap_mpi_communicator(mem), &count);
    srand(seed);
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = 1 + (size_t)rand() % 2000;
        snprintf(name, sizeof name, "block%d", i);
        blocks[i] = shmheap_alloc_named(mem, name, sizes[i]);
        CHECK(blocks[i] != NULL);
        if (i % count == own)
            memset(blocks[i], 1 + i % 251, sizes[i]);
    }
    barrier(mem);
    for (int i = 0; i < BLOCKS; i++)
        for (size_t at = 0; at < sizes[i]; at++)
            CHECK(blocks[i][at] == 1 + i % 251);
    barrier(mem);
    srand(seed + 1 + (unsigned)own);
    for (int left = BLOCKS; left > 0; left--) {
        int which = rand() % left;
        CHECK(shmheap_try_free(mem, blocks[which]) == 0);
        blocks[which] = blocks[left - 1];
    }
    barrier(mem);
}

static void many_blocks_and_nothing_lost(shmheap_memory_handle mem, unsigned seed)
{
    shmheap_stats before = figures(mem), after;
    barrier(mem);
    many_blocks(mem, seed);
    after = figures(mem);
    printf("rank %d: used %llu bytes, then %llu; largest free %llu, then %llu\n", rank,
           (unsigned long long)before.used_bytes, (unsigned long long)after.used_bytes,
           (unsigned long long)before.largest_free, (unsigned long long)after.largest_free);
    CHECK(after.used_bytes == before.used_bytes);
    CHECK(after.largest_free == before.largest_free);
    CHECK(shmheap_check(mem, NULL) == 0);
    barrier(mem);
}

static void oversize_is_refused(shmheap_memory_handle mem)
{
    uint64_t before = figures(mem).used_bytes;
    barrier(mem);
    CHECK_REFUSED(shmheap_alloc_named(mem, "oversize", 2 * LEN) == NULL, ENOMEM);
    CHECK_REFUSED(shmheap_find(mem, "oversize", NULL) == NULL, ENOENT);
    CHECK_REFUSED(shmheap_alloc(mem, LEN) == NULL, ENOMEM);
    barrier(mem);
    CHECK(figures(mem).used_bytes == before);
    barrier(mem);
}

static void use_and_close(shmheap_memory_handle mem, unsigned seed)
{
    one_word(mem);
    many_blocks_and_nothing_lost(mem, seed);
    oversize_is_refused(mem);
    CHECK(shmheap_mpi_close(mem) == 0);
}

static void node(unsigned seed)
{
    const char *name = check_name();
    shmheap_memory_handle mem;
    int same;
    CHECK(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == 0);
    MPI_Comm_compare(shmheap_mpi_communicator(mem), MPI_COMM_WORLD, &same);
    CHECK(same == MPI_CONGRUENT);
    CHECK(figures(mem).processes == (unsigned)ranks);
    use_and_close(mem, seed);
    CHECK(!check_there(name));
}

static void communicators_of_fortran(unsigned seed)
{
    shmheap_memory_handle mem;
    CHECK(shmheap_mpi_open_f(&mem, check_name(), &options, MPI_Comm_c2f(MPI_COMM_WORLD),
                             SHMHEAP_MPI_NODE) == 0);
    CHECK(MPI_Comm_f2c(shmheap_mpi_communicator_f(mem)) == shmheap_mpi_communicator(mem));
    use_and_close(mem, seed);
}

/* Binds this rank to one of its processors, and so to one socket, on any machine. */
static cpu_set_t bind_to_one(void)
{
    cpu_set_t before, one;
    CHECK(sched_getaffinity(0, sizeof before, &before) == 0);
    int wanted = rank % CPU_COUNT(&before), cpu = 0;
    while (!CPU_ISSET(cpu, &before) || wanted-- > 0)
        cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    return before;
}

static void socket_heaps(unsigned seed)
{
    char full[80];
    const char *name = check_name();
    shmheap_memory_handle mem;
    cpu_set_t before = bind_to_one();
    int sharing, here, socket = shmheap_socket();
    if (socket < 0) {
        CHECK_REFUSED(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_SOCKET) ==
                          -1,
                      ENOTSUP);
        printf("rank %d: scope socket is not tested here: the system tells no sockets apart\n",
               rank);
        return;
    }
    CHECK(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_SOCKET) == 0);
    snprintf(full, sizeof full, "%s.socket%d", name, socket);
    CHECK(check_there(full) && !check_there(name));
    MPI_Comm_size(shmheap_mpi_communicator(mem), &sharing);
    MPI_Allreduce(&socket, &here, 1, MPI_INT, MPI_BAND, shmheap_mpi_communicator(mem));
    CHECK(here == socket && figures(mem).processes == (unsigned)sharing);
    printf("rank %d: socket %d, %d ranks share its heap\n", rank, socket, sharing);
    use_and_close(mem, seed);
    CHECK(!check_there(full));
    CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
}

/* Two halves of the job, each with a heap of its own, open both at once. */
static void halves(unsigned seed)
{
    char name[80];
    shmheap_memory_handle all, own;
    MPI_Comm half;
    const char *base = check_name();
    CHECK(shmheap_mpi_open(&all, base, &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == 0);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, 0, &half);
    snprintf(name, sizeof name, "%s.half%d", base, rank % 2);
    CHECK(shmheap_mpi_open(&own, name, &options, half, SHMHEAP_MPI_NODE) == 0);
    MPI_Comm_free(&half);
    CHECK(figures(own).id != figures(all).id &&
          figures(own).processes == (unsigned)(ranks + 1 - rank % 2) / 2);
    use_and_close(own, seed + (unsigned)rank % 2);
    use_and_close(all, seed);
}

int main(int argc, char **argv)
{
    check_begin(&argc, &argv);
    unsigned seed = check_seed();
    node(seed);
    communicators_of_fortran(seed);
    socket_heaps(seed);
    halves(seed);
    MPI_Finalize();
    return 0;
}
