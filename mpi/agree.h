/* agree.h: how the ranks of a communicator agree. Each call is collective over comm.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_MPI_AGREE_H
#define SHMHEAP_MPI_AGREE_H

#include <mpi.h>
#include <stdint.h>

enum { AGREE_NAME_ROOM = 256 };

/* struct agree_terms holds the arguments that must be the same on all ranks. It is compared as
 * bytes, so it begins as zeros: no padding differs. */
struct agree_terms {
    char name[AGREE_NAME_ROOM]; /* padded with zeros */
    uint64_t len, max_len, alignment, flags, mode, scope;
};

/* agree_error returns the greatest error of all ranks (0: none); EIO if MPI fails and its error
 * handler returns. */
int agree_error(int error, MPI_Comm comm);

/* agree_terms returns agree_error of the ranks' own errors or, if there are none, EPROTO if terms
 * differ. */
int agree_terms(const struct agree_terms *own, int error, MPI_Comm comm);

#endif
