/* agree.c: how ranks agree. SPDX-License-Identifier: Apache-2.0 */
#include "agree.h"

#include <errno.h>
#include <string.h>

int agree_error(int error, MPI_Comm comm)
{
    int greatest = error;
    if (MPI_Allreduce(&error, &greatest, 1, MPI_INT, MPI_MAX, comm) != MPI_SUCCESS)
        return EIO;
    return greatest;
}

int agree_terms(const struct agree_terms *own, int error, MPI_Comm comm)
{
    /* The errors come first: a call that is wrong by itself is not reported as one that differs. */
    struct agree_terms first = *own;
    error = agree_error(error, comm);
    if (error)
        return error;
    if (MPI_Bcast(&first, (int)sizeof first, MPI_BYTE, 0, comm) != MPI_SUCCESS)
        error = EIO;
    else if (memcmp(&first, own, sizeof first) != 0)
        error = EPROTO;
    return agree_error(error, comm);
}
