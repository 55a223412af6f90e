/* table.h: the connections of this process, each a shmem_heap. SPDX-License-Identifier: Apache-2.0
 */
#ifndef FORTRAN_C_TABLE_H
#define FORTRAN_C_TABLE_H

#include "ShmemHeap.h"
#include "io-server/shmem_heap.h"
#include "shmheap.h"

/* Private to the process. The entries are never freed, so that any pointer can be told to be one or
 * not. */
struct entry {
    shmem_heap shown; /* what the program sees: its address is the shmem_heap */
    heap_metadata meta;
    heap_stats stats;
    shmheap_memory_handle mem;
    char *name;    /* NULL: in the caller's memory */
    size_t given;  /* bytes of that memory; 0: the heap has a file, or is not there yet */
    void *awaited; /* NULL, or memory in which no heap was yet when it was cloned */
    size_t awaited_skip,
        awaited_len; /* a heap in it begins after skip bytes; the bytes from awaited on */
    uint64_t *lock;  /* ShmemHeap_lock's word in the heap, once it was asked for */
    int taken;
};

/* The entry of a shmem_heap that table_valid or table_known accepted. */
static inline struct entry *entry_of(shmem_heap *heap) { return (struct entry *)(void *)heap; }

static inline shmheap_memory_handle mem_of(shmem_heap *heap) { return entry_of(heap)->mem; }

/* A new entry for mem, which it disconnects when there is no room (NULL, errno EMFILE or ENOMEM).
 * name is copied; given is 0 for a heap that has a file. */
shmem_heap *table_add(shmheap_memory_handle mem, const char *name, size_t given);

/* A new entry for the heap that another process is about to make in this memory, skip bytes after
 * its start: each call looks again whether it is there. NULL: no room, errno EMFILE. */
shmem_heap *table_await(void *memory, size_t skip, size_t len);

/* 1: an entry whose connection is open. 0: anything else, also pointers to nowhere, errno EINVAL;
 * or the heap is not there yet, errno EAGAIN. */
int table_valid(shmem_heap *heap);

/* The next connection after heap (NULL: the first) that is open. NULL: there is none. */
shmem_heap *table_next(shmem_heap *heap);

/* 1: what table_valid accepts, or a heap that is not there yet. 0: errno EINVAL. */
int table_known(shmem_heap *heap);

/* Takes a known entry out and ends its connection; its name is the caller's then, to be freed. */
char *table_remove(shmem_heap *heap);

#endif
