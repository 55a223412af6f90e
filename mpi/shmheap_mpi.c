/* shmheap_mpi.c: collective open and close. SPDX-License-Identifier: Apache-2.0 */
#include "shmheap_mpi.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agree.h"
#include "attached.h"

enum {
    IMPLIED = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER,
    REFUSED = SHMHEAP_ANONYMOUS | SHMHEAP_FILE | SHMHEAP_READ_ONLY,
    OWN = SHMHEAP_CACHED | SHMHEAP_HUGE_PAGES /* may differ among ranks */
};

/* The maker's message to the other ranks. */
struct made {
    uint64_t id;
    int error;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* Whether ranks can agree over comm. */
static int communicates(MPI_Comm comm)
{
    int begun = 0, ended = 1, between = 1;
    if (MPI_Initialized(&begun) != MPI_SUCCESS || !begun || MPI_Finalized(&ended) != MPI_SUCCESS ||
        ended)
        return 0;
    return comm != MPI_COMM_NULL && MPI_Comm_test_inter(comm, &between) == MPI_SUCCESS && !between;
}

static int arguments_check(const shmheap_memory_handle *out, const char *name,
                           const shmheap_options *options, int scope)
{
    unsigned refused = scope == SHMHEAP_MPI_SOCKET ? REFUSED : REFUSED | SHMHEAP_SOCKET;
    if (!out || !name || !*name || (scope != SHMHEAP_MPI_NODE && scope != SHMHEAP_MPI_SOCKET))
        return EINVAL;
    if (options->flags & refused)
        return EINVAL;
    return strlen(name) < AGREE_NAME_ROOM ? 0 : ENAMETOOLONG;
}

static struct agree_terms terms_of(const char *name, const shmheap_options *options, int scope)
{
    struct agree_terms terms;
    memset(&terms, 0, sizeof terms);
    strcpy(terms.name, name);
    terms.len = options->len;
    terms.max_len = options->max_len;
    terms.alignment = options->alignment;
    terms.flags = options->flags & ~(unsigned)(IMPLIED | OWN | SHMHEAP_SOCKET);
    terms.mode = options->mode;
    terms.scope = (uint64_t)scope;
    return terms;
}

static int terms_check(const shmheap_memory_handle *out, const char *name,
                       const shmheap_options *options, MPI_Comm comm, int scope)
{
    static const struct agree_terms none;
    int error = arguments_check(out, name, options, scope);
    struct agree_terms terms = error ? none : terms_of(name, options, scope);
    return agree_terms(&terms, error, comm);
}

/* Sets the name in /dev/shm, and the socket, which is 0 for scope node. */
static int place(struct shared *shared, const char *name, int scope, int *socket)
{
    int len;
    *socket = scope == SHMHEAP_MPI_SOCKET ? shmheap_socket() : 0;
    if (*socket < 0)
        return errno;
    if (scope == SHMHEAP_MPI_SOCKET)
        len = snprintf(shared->name, sizeof shared->name, "%s.socket%d", name, *socket);
    else
        len = snprintf(shared->name, sizeof shared->name, "%s", name);
    return (size_t)len < sizeof shared->name ? 0 : ENAMETOOLONG;
}

/* Sets the communicator of the ranks that share, and this rank in it. */
static int split(struct shared *shared, MPI_Comm comm, int scope, int socket)
{
    MPI_Comm node;
    if (MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node) != MPI_SUCCESS)
        return EIO;
    if (scope == SHMHEAP_MPI_NODE) {
        shared->comm = node;
    } else {
        if (MPI_Comm_split(node, socket, 0, &shared->comm) != MPI_SUCCESS)
            shared->comm = MPI_COMM_NULL;
        MPI_Comm_free(&node);
    }
    return shared->comm != MPI_COMM_NULL &&
                   MPI_Comm_rank(shared->comm, &shared->rank) == MPI_SUCCESS
               ? 0
               : EIO;
}

static struct made make(struct shared *shared, const char *name, shmheap_options options)
{
    struct made made;
    shmheap_stats stats;
    memset(&made, 0, sizeof made);
    options.flags |= IMPLIED;
    if (shmheap_open(&shared->mem, name, &options) != 0 || shmheap_stat(shared->mem, &stats) != 0)
        made.error = errno;
    else
        made.id = stats.id;
    return made;
}

/* No process takes the heap over while the maker is connected, but one may have removed its name by
 * force. */
static int join(struct shared *shared, const char *name, shmheap_options options, uint64_t id)
{
    shmheap_stats stats;
    options.flags &= ~(unsigned)IMPLIED;
    if (shmheap_open(&shared->mem, name, &options) != 0 || shmheap_stat(shared->mem, &stats) != 0)
        return errno;
    return stats.id == id ? 0 : ESTALE;
}

/* The lowest rank makes the heap, the other ranks join. */
static int connect_all(struct shared *shared, const char *name, const shmheap_options *options)
{
    struct made made;
    memset(&made, 0, sizeof made);
    if (shared->rank == 0)
        made = make(shared, name, *options);
    if (MPI_Bcast(&made, (int)sizeof made, MPI_BYTE, 0, shared->comm) != MPI_SUCCESS)
        return EIO;
    return made.error || shared->rank == 0 ? made.error : join(shared, name, *options, made.id);
}

/* Removes the name if it still is this heap's. Call while connected: no process can then take the
 * name over in between. */
static int remove_name(const struct shared *shared)
{
    struct stat own, there;
    int fd = shm_open(shared->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int same = fstat(shmheap_fd(shared->mem), &own) == 0 && fstat(fd, &there) == 0 &&
               own.st_dev == there.st_dev && own.st_ino == there.st_ino;
    close(fd);
    if (!same)
        return ESTALE;
    return shmheap_unlink(shared->name) == 0 ? 0 : errno;
}

/* This rank's part of closing, or of undoing an opening that another rank could not follow. */
static int part(struct shared *shared)
{
    int error = 0;
    if (!shmheap_valid(shared->mem))
        return 0;
    if (shared->rank == 0)
        error = remove_name(shared);
    shmheap_disconnect(shared->mem);
    return error;
}

/* Removes the name if no process is connected. */
static int remove_unused(const char *name)
{
    return shmheap_unlink_unused(name) == 0 || errno == EBUSY || errno == ENOENT ? 0 : errno;
}

static int open_shared(struct shared *shared, const char *name, const shmheap_options *options,
                       MPI_Comm comm, int scope)
{
    int socket;
    shmheap_options of_scope = *options;
    if (scope == SHMHEAP_MPI_SOCKET)
        of_scope.flags |= SHMHEAP_SOCKET;
    int error = agree_error(place(shared, name, scope, &socket), comm);
    if (!error)
        error = agree_error(split(shared, comm, scope, socket), comm);
    if (error)
        return error;
    error = agree_error(connect_all(shared, name, &of_scope), comm);
    if (error) {
        part(shared);
        /* No rank returns before the heap that one made is gone. */
        agree_error(0, comm);
    }
    return error;
}

static void drop(struct shared *shared)
{
    if (shared && shared->comm != MPI_COMM_NULL)
        MPI_Comm_free(&shared->comm);
    free(shared);
}

int shmheap_mpi_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options,
                     MPI_Comm comm, int scope)
{
    static const shmheap_options defaults;
    if (out)
        *out = (shmheap_memory_handle){0};
    if (!communicates(comm))
        return fail(EINVAL);
    if (!options)
        options = &defaults;
    int error = terms_check(out, name, options, comm, scope);
    if (error)
        return fail(error);
    struct shared *shared = calloc(1, sizeof *shared);
    if (shared)
        shared->comm = MPI_COMM_NULL;
    error = agree_error(shared ? 0 : ENOMEM, comm);
    if (!error)
        error = open_shared(shared, name, options, comm, scope);
    if (error) {
        drop(shared);
        return fail(error);
    }
    attached_add(shared);
    *out = shared->mem;
    return 0;
}

int shmheap_mpi_open_f(shmheap_memory_handle *out, const char *name, const shmheap_options *options,
                       MPI_Fint comm, int scope)
{
    return shmheap_mpi_open(out, name, options, MPI_Comm_f2c(comm), scope);
}

MPI_Comm shmheap_mpi_communicator(shmheap_memory_handle mem)
{
    MPI_Comm comm = attached_communicator(mem);
    if (comm == MPI_COMM_NULL)
        errno = EINVAL;
    return comm;
}

MPI_Fint shmheap_mpi_communicator_f(shmheap_memory_handle mem)
{
    return MPI_Comm_c2f(shmheap_mpi_communicator(mem));
}

int shmheap_mpi_close(shmheap_memory_handle mem)
{
    struct shared *shared = attached_take(mem);
    if (!shared)
        return fail(EINVAL);
    int error = agree_error(part(shared), shared->comm);
    if (error == EIO) /* perhaps the rank that removes the name is dead */
        remove_unused(shared->name);
    drop(shared);
    return error ? fail(error) : 0;
}

int shmheap_mpi_leave(shmheap_memory_handle mem)
{
    struct shared *shared = attached_take(mem);
    if (!shared)
        return fail(EINVAL);
    shmheap_disconnect(shared->mem);
    int error = remove_unused(shared->name);
    free(shared);
    return error ? fail(error) : 0;
}
