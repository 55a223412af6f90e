/* check.h: common parts of the tests of ranks. SPDX-License-Identifier: Apache-2.0 */
#ifndef MPI_TESTS_CHECK_H
#define MPI_TESTS_CHECK_H

#include <errno.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "mpi/shmheap_mpi.h"

/* On failure the job ends with status 1. */
#define CHECK(condition)                                                                           \
    ((condition) ? (void)0                                                                         \
                 : ((void)fprintf(stderr, "%s:%d: %s is false, errno %d (%s)\n", __FILE__,         \
                                  __LINE__, #condition, errno, strerror(errno)),                   \
                    (void)MPI_Abort(MPI_COMM_WORLD, 1)))

/* The expression is true if the call failed; errno, 0 before, is the call's. */
#define CHECK_REFUSED(failed, error)                                                               \
    (errno = 0, check_refused(__FILE__, __LINE__, #failed, (failed), (error)))

void check_refused(const char *file, int line, const char *text, int failed, int error);

/* Of MPI_COMM_WORLD. */
extern int rank, ranks;

/* check_begin calls MPI_Init. */
void check_begin(int *argc, char ***argv);

/* A name that no other job has, the same on all ranks; lives until the next call. Collective. */
const char *check_name(void);

/* A number that differs from run to run unless SHMHEAP_TEST_SEED is set, the same on all ranks;
 * printed. Collective. */
unsigned check_seed(void);

/* Whether a file has that name. */
int check_there(const char *name);

#endif
