/* ShmemHeap_memory.h: a heap of ShmemHeap.h in memory of the test.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FORTRAN_SHMEMHEAP_MEMORY_H
#define TESTS_FORTRAN_SHMEMHEAP_MEMORY_H

#include "ShmemHeap.h"
#include "tests/support/test.h"

enum { MEMORY_LEN = 1 << 20 };

/* MEMORY_LEN bytes; behind them nothing is mapped. */
char *memory_new(void);

shmem_heap *heap_new(void);

void check_empty(shmem_heap *heap);

void check_calls_refused(shmem_heap *heap);

void check_refused(shmem_heap *heap);

#endif
