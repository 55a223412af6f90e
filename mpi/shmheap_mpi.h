/* shmheap_mpi.h: one heap for the ranks of a communicator that can share memory.
 * SPDX-License-Identifier: Apache-2.0
 *
 * All calls but shmheap_mpi_communicator are collective over the communicator given to open, made between MPI_Init and
 * MPI_Finalize, by one thread of each rank. They agree: what fails on one rank fails on all, with one errno. */
#ifndef SHMHEAP_MPI_H
#define SHMHEAP_MPI_H

#include <mpi.h>

#include "shmheap.h"

#ifdef __cplusplus
extern "C" {
#endif

enum shmheap_mpi_scope {
    SHMHEAP_MPI_NODE = 0,  /* one heap for each node on which comm has ranks, called name */
    SHMHEAP_MPI_SOCKET = 1 /* one for each CPU package of each node, called name.socketN, N the package's id */
};

/* shmheap_mpi_open makes the heaps, of options' sizes (flags: SHMHEAP_CREATE and _EXCLUSIVE are implied), and connects each rank to its own. A heap of
 * that name to which nobody is connected and which is the caller's own is replaced by a new one.
 * Success: 0. Failure on all ranks: -1, nothing made, *out invalid, errno the greatest of all ranks' errors: as for shmheap_open, and
 *   EINVAL  out or name NULL, name empty, unknown scope, flags SHMHEAP_ANONYMOUS, _FILE or _READ_ONLY;
 *   ENAMETOOLONG  the name has more than 255 bytes with what the scope adds;
 *   EXDEV   scope socket, and the cores that some rank may run on belong to two packages: bind ranks to sockets;
 *   EEXIST  somebody lives on a heap of that name. */
int shmheap_mpi_open(shmheap_memory_handle *out, const char *name, const shmheap_options *options, MPI_Comm comm, int scope);

/* The same with a communicator of Fortran. */
int shmheap_mpi_open_f(shmheap_memory_handle *out, const char *name, const shmheap_options *options, MPI_Fint comm, int scope);

/* shmheap_mpi_communicator is the communicator of those who share mem; it lives until mem is closed and is not to be
 * freed. MPI_COMM_NULL, errno EINVAL: mem was not got from shmheap_mpi_open. */
MPI_Comm shmheap_mpi_communicator(shmheap_memory_handle mem);

/* shmheap_mpi_close disconnects the ranks that share mem (collective over their communicator) and removes the name, once.
 * Success: 0. Failure: -1, errno EINVAL as above; or on all what removing the name reported: mem is closed then too. */
int shmheap_mpi_close(shmheap_memory_handle mem);

#ifdef __cplusplus
}
#endif
#endif
