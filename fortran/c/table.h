/* table.h: the connections of this process, each a shmem_heap. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_TABLE_H
#define FORTRAN_C_TABLE_H

#include "ShmemHeap.h"
#include "shmheap.h"

/* Private to the process. The entries are never freed, so that any pointer can be told to be one or not. */
struct shmem_heap {
    shmheap_memory_handle mem;
    char *name;    /* NULL: in the caller's memory */
    void *awaited; /* NULL, or memory in which no heap was yet when it was cloned */
    size_t awaited_len;
    int taken;
};

/* A new entry for mem, which it disconnects when there is no room (NULL, errno EMFILE or ENOMEM). name is copied. */
shmem_heap *table_add(shmheap_memory_handle mem, const char *name);

/* A new entry for the heap that somebody is about to make in this memory, aligned for one: each call looks again whether it is there. NULL:
 * no room, errno EMFILE. */
shmem_heap *table_await(void *memory, size_t len);

/* 1: an entry whose connection is open. 0: anything else, also pointers to nowhere, errno EINVAL; or the heap is not there yet,
 * errno EAGAIN. */
int table_valid(shmem_heap *heap);

/* 1: what table_valid accepts, or a heap that is not there yet. 0: errno EINVAL. */
int table_known(shmem_heap *heap);

/* Takes a known entry out and ends its connection; its name is the caller's then, to be freed. */
char *table_remove(shmem_heap *heap);

#endif
