/* agree.h: what the ranks of a communicator must know of each other. Each call is collective over comm.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_MPI_AGREE_H
#define SHMHEAP_MPI_AGREE_H

#include <mpi.h>
#include <stdint.h>

enum { AGREE_NAME_ROOM = 256 };

/* struct agree_terms is what a rank was called with, as far as it has to be the same on all. Sent as bytes: no padding that would
 * differ, since it begins as zeros. */
struct agree_terms {
    char name[AGREE_NAME_ROOM]; /* zeros behind it */
    uint64_t len, max_len, alignment, flags, mode, scope;
};

/* agree_error is the greatest of all ranks' errors (0: none); EIO where MPI fails and its error handler returns. */
int agree_error(int error, MPI_Comm comm);

/* agree_terms is agree_error of what is wrong with each rank's own call; or, when nothing is, EPROTO when terms differ. */
int agree_terms(const struct agree_terms *own, int error, MPI_Comm comm);

#endif
