/* table.h: the connections of this process, each a shmem_heap. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_TABLE_H
#define FORTRAN_C_TABLE_H

#include "ShmemHeap.h"
#include "shmheap.h"

/* Private to the process. The entries are never freed, so that any pointer can be told to be one or not. */
struct shmem_heap {
    shmheap_memory_handle mem;
    char *name; /* NULL: in the caller's memory */
    int taken;
};

/* A new entry for mem, which it disconnects when there is no room (NULL, errno EMFILE or ENOMEM). name is copied. */
shmem_heap *table_add(shmheap_memory_handle mem, const char *name);

/* 1: an entry whose connection is open. 0: anything else, also pointers to nowhere; errno EINVAL. */
int table_valid(const shmem_heap *heap);

/* Takes a valid entry out; its name is the caller's then, to be freed. */
char *table_remove(shmem_heap *heap);

#endif
