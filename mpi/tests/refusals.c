/* refusals.c: an error on one rank is an error on all, no rank waits, and nothing stays behind.
 * Also names in use, and names that another process removes or replaces by force.
 *
 * -Wl,--wrap: the library's calls of shmheap_socket come here. MPI_Bcast comes through MPI's
 * profiling interface.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"

static const shmheap_options options = {.len = 1 << 20};
static int last; /* this is the last rank */

int __wrap_shmheap_socket(void);
static int socket_error;

/* Socket 0, or an error. */
int __wrap_shmheap_socket(void)
{
    if (socket_error == 0)
        return 0;
    errno = socket_error;
    return -1;
}

/* The action between making the heap and the joining of the other ranks. */
static void (*before_bcast)(void);

int MPI_Bcast(void *buffer, int count, MPI_Datatype type, int root, MPI_Comm comm)
{
    if (before_bcast)
        before_bcast();
    return PMPI_Bcast(buffer, count, type, root, comm);
}

static void barrier(void) { MPI_Barrier(MPI_COMM_WORLD); }

static int opened(shmheap_memory_handle *mem, const char *name, const shmheap_options *with,
                  int scope)
{
    int result = shmheap_mpi_open(mem, name, with, MPI_COMM_WORLD, scope);
    CHECK(shmheap_valid(*mem) == (result == 0));
    return result;
}

/* No rank makes a heap before all have checked. */
static void gone(const char *name)
{
    CHECK(!check_there(name));
    barrier();
}

static void refused_with(const char *name, const shmheap_options *with, int scope, int error)
{
    shmheap_memory_handle mem;
    CHECK_REFUSED(opened(&mem, name, with, scope) == -1, error);
    gone(name ? name : "");
}

static void arguments_that_differ(const char *name)
{
    char other[100];
    shmheap_options with[] = {{.len = 1 << 21},
                              {.len = 1 << 20, .max_len = 1 << 21},
                              {.len = 1 << 20, .alignment = 8},
                              {.len = 1 << 20, .mode = 0640},
                              {.len = 1 << 20, .flags = SHMHEAP_REAP},
                              {.len = 0}};
    for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
        refused_with(name, last ? &with[i] : &options, SHMHEAP_MPI_NODE, EPROTO);
        refused_with(name, last ? &options : &with[i], SHMHEAP_MPI_NODE, EPROTO);
    }
    refused_with(name, last ? NULL : &options, SHMHEAP_MPI_NODE, EPROTO);
    refused_with(name, &options, last ? SHMHEAP_MPI_SOCKET : SHMHEAP_MPI_NODE, EPROTO);
    snprintf(other, sizeof other, "%s.other", name);
    refused_with(last ? other : name, &options, SHMHEAP_MPI_NODE, EPROTO);
}

/* Options that may differ among ranks. */
static void arguments_that_may_differ(const char *name)
{
    shmheap_options own = {.len = 1 << 20,
                           .flags = SHMHEAP_CACHED | SHMHEAP_HUGE_PAGES | SHMHEAP_CREATE,
                           .timeout_ms = 5};
    shmheap_memory_handle mem;
    CHECK(opened(&mem, name, last ? &own : &options, SHMHEAP_MPI_NODE) == 0);
    CHECK(shmheap_mpi_close(mem) == 0);
    gone(name);
}

static void arguments_out_of_range(const char *name)
{
    static const unsigned flags[] = {SHMHEAP_ANONYMOUS, SHMHEAP_FILE, SHMHEAP_READ_ONLY,
                                     SHMHEAP_SOCKET, 1u << 30};
    shmheap_options wrong = options;
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[0] = '/', longest[sizeof longest - 1] = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        wrong.flags = flags[i];
        refused_with(name, &wrong, SHMHEAP_MPI_NODE, EINVAL);
    }
    wrong.flags = SHMHEAP_READ_ONLY;
    refused_with(name, last ? &wrong : &options, SHMHEAP_MPI_NODE, EINVAL);
    refused_with(name, last ? &options : &wrong, SHMHEAP_MPI_NODE, EINVAL);
    refused_with(last ? NULL : name, &options, SHMHEAP_MPI_NODE, EINVAL);
    refused_with(last ? name : NULL, &options, SHMHEAP_MPI_NODE, EINVAL);
    refused_with(last ? "" : name, &options, SHMHEAP_MPI_NODE, EINVAL);
    refused_with(name, &options, last ? 9 : SHMHEAP_MPI_NODE, EINVAL);
    refused_with(last ? longest : name, &options, SHMHEAP_MPI_NODE, ENAMETOOLONG);
    longest[254] = 0; /* .socketN does not fit behind it */
    refused_with(longest, &options, SHMHEAP_MPI_SOCKET, ENAMETOOLONG);
    wrong = (shmheap_options){.len = 1};
    refused_with(name, &wrong, SHMHEAP_MPI_NODE, EINVAL);
}

static void out_is_null_on_one_rank(const char *name)
{
    shmheap_memory_handle mem;
    CHECK_REFUSED(shmheap_mpi_open(last ? NULL : &mem, name, &options, MPI_COMM_WORLD,
                                   SHMHEAP_MPI_NODE) == -1,
                  EINVAL);
    gone(name);
}

static void communicators_that_cannot_agree(const char *name)
{
    shmheap_memory_handle mem;
    MPI_Comm half, between;
    CHECK_REFUSED(shmheap_mpi_open(&mem, name, &options, MPI_COMM_NULL, SHMHEAP_MPI_NODE) == -1,
                  EINVAL);
    MPI_Comm_split(MPI_COMM_WORLD, rank % 2, 0, &half);
    MPI_Intercomm_create(half, 0, MPI_COMM_WORLD, 1 - rank % 2, 1, &between);
    CHECK_REFUSED(shmheap_mpi_open(&mem, name, &options, between, SHMHEAP_MPI_NODE) == -1, EINVAL);
    MPI_Comm_free(&between);
    MPI_Comm_free(&half);
    gone(name);
}

static void handles_that_are_not_ours(const char *name)
{
    shmheap_memory_handle mem, none = {NULL}, plain;
    CHECK(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == 0);
    plain = shmheap_connect(name);
    barrier();
    CHECK_REFUSED(shmheap_mpi_close(none) == -1, EINVAL);
    CHECK_REFUSED(shmheap_mpi_leave(plain) == -1, EINVAL);
    CHECK_REFUSED(shmheap_mpi_communicator(plain) == MPI_COMM_NULL, EINVAL);
    CHECK(shmheap_valid(plain));
    shmheap_disconnect(plain);
    CHECK(shmheap_mpi_close(mem) == 0);
    CHECK_REFUSED(shmheap_mpi_close(mem) == -1, EINVAL);
    CHECK_REFUSED(shmheap_mpi_communicator(mem) == MPI_COMM_NULL, EINVAL);
    gone(name);
}

/* On one rank there is no address space left for the heap: on the maker, or on a rank that
 * joins. */
static void no_memory_on(int which, const char *name)
{
    const shmheap_options large = {.len = (size_t)1 << 40, .flags = SHMHEAP_SPARSE};
    struct rlimit before, limit;
    shmheap_memory_handle mem;
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    limit = before;
    limit.rlim_cur = (rlim_t)1 << 39;
    if (rank == which)
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    CHECK_REFUSED(opened(&mem, name, &large, SHMHEAP_MPI_NODE) == -1, ENOMEM);
    gone(name);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
}

static void sockets_that_cannot_be_told(const char *name)
{
    socket_error = last ? EXDEV : 0;
    refused_with(name, &options, SHMHEAP_MPI_SOCKET, EXDEV);
    socket_error = rank == 0 ? ENOTSUP : 0;
    refused_with(name, &options, SHMHEAP_MPI_SOCKET, ENOTSUP);
    socket_error = 0;
}

/* Names of a job that was killed, and of a live process. */
static void heaps_of_that_name(const char *name)
{
    shmheap_memory_handle other = {NULL}, mem, again;
    shmheap_stats stats;
    if (last)
        CHECK(shmheap_valid(other = shmheap_create(name, 4096)));
    barrier();
    CHECK_REFUSED(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == -1, EEXIST);
    CHECK(check_there(name));
    barrier();
    if (last) {
        CHECK(shmheap_alloc(other, 100) != NULL);
        shmheap_disconnect(other);
    }
    barrier();
    CHECK(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == 0);
    CHECK(shmheap_stat(mem, &stats) == 0 && stats.len >= options.len && stats.used_blocks == 0);
    CHECK_REFUSED(opened(&again, name, &options, SHMHEAP_MPI_NODE) == -1, EEXIST);
    CHECK(check_there(name));
    barrier();
    CHECK(shmheap_mpi_close(mem) == 0);
    gone(name);
}

static const char *contested;
static shmheap_memory_handle replacement;

static void remove_what_was_made(void)
{
    if (rank == 0 && check_there(contested))
        CHECK(shm_unlink(contested) == 0);
}

static void replace_what_was_made(void)
{
    if (rank == 0 && check_there(contested) && !shmheap_valid(replacement)) {
        CHECK(shm_unlink(contested) == 0);
        CHECK(shmheap_valid(replacement = shmheap_create(contested, 4096)));
    }
}

static void taken_away_while_connecting(const char *name)
{
    shmheap_memory_handle mem;
    contested = name;
    before_bcast = remove_what_was_made;
    refused_with(name, &options, SHMHEAP_MPI_NODE, ENOENT);
    before_bcast = replace_what_was_made;
    CHECK_REFUSED(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == -1, ESTALE);
    before_bcast = NULL;
    CHECK(check_there(name)); /* another process's name stays */
    barrier();
    shmheap_destroy(rank == 0 ? name : NULL, replacement);
    replacement = (shmheap_memory_handle){NULL};
    barrier();
    gone(name);
}

static void taken_away_before_closing(const char *name)
{
    shmheap_memory_handle mem, other;
    CHECK(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == 0);
    if (last)
        CHECK(shmheap_unlink(name) == 0);
    barrier();
    CHECK_REFUSED(shmheap_mpi_close(mem) == -1, ENOENT);
    CHECK(!shmheap_valid(mem));
    CHECK(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == 0);
    if (last)
        CHECK(shmheap_unlink(name) == 0 && shmheap_valid(other = shmheap_create(name, 4096)));
    barrier();
    CHECK_REFUSED(shmheap_mpi_close(mem) == -1, ESTALE);
    CHECK(check_there(name));
    barrier();
    if (last)
        shmheap_destroy(name, other);
    barrier();
    gone(name);
}

static void the_last_to_leave_removes_the_name(const char *name)
{
    shmheap_memory_handle mem;
    CHECK(opened(&mem, name, &options, SHMHEAP_MPI_NODE) == 0);
    if (rank == 0) /* the maker is not needed for it */
        CHECK(shmheap_mpi_leave(mem) == 0);
    barrier();
    CHECK(check_there(name) == (ranks > 1));
    barrier();
    if (rank != 0)
        CHECK(shmheap_mpi_leave(mem) == 0);
    barrier();
    gone(name);
}

int main(int argc, char **argv)
{
    shmheap_memory_handle mem;
    char name[80];
    CHECK_REFUSED(
        shmheap_mpi_open(&mem, "/early", &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == -1, EINVAL);
    check_begin(&argc, &argv);
    last = rank == ranks - 1;
    snprintf(name, sizeof name, "%s", check_name());
    arguments_that_differ(name);
    arguments_that_may_differ(name);
    arguments_out_of_range(name);
    out_is_null_on_one_rank(name);
    communicators_that_cannot_agree(name);
    handles_that_are_not_ours(name);
    no_memory_on(0, name);
    no_memory_on(ranks - 1, name);
    sockets_that_cannot_be_told(name);
    heaps_of_that_name(name);
    taken_away_while_connecting(name);
    taken_away_before_closing(name);
    the_last_to_leave_removes_the_name(name);
    MPI_Finalize();
    CHECK_REFUSED(shmheap_mpi_open(&mem, name, &options, MPI_COMM_WORLD, SHMHEAP_MPI_NODE) == -1,
                  EINVAL);
    return 0;
}
