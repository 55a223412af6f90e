// umpire/config.hpp for programs that include it: all of shmheap_umpire.hpp, with MPI where the
// compiler finds it.
//
// SPDX-License-Identifier: Apache-2.0
#pragma once

// g++ 12 skips a program's own #include of a missing file without an error if __has_include has
// named the same file before. So this names mpi.h in another way.
#if !defined(SHMHEAP_WITH_MPI) && __has_include(<./mpi.h>)
#define SHMHEAP_WITH_MPI
#endif
#define UMPIRE_ENABLE_IPC_SHARED_MEMORY
#define UMPIRE_DEFAULT_SHARED_MEMORY_RESOURCE "POSIX"
#if defined(SHMHEAP_WITH_MPI)
#define UMPIRE_ENABLE_MPI
#endif

#include "../../shmheap_umpire.hpp"
