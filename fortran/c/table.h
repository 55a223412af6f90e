/* table.h: the connections of this process, each a shmem_heap, and the other calls that the files
 * of this folder make of one another.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_TABLE_H
#define FORTRAN_C_TABLE_H

#include <stddef.h>

#include "ShmemHeap.h"
#include "io-server/shmem_heap.h"
#include "shmheap.h"

/* Private to the process. Entries are never freed, so that any pointer can be compared with
 * them. */
struct entry {
    shmem_heap shown; /* what the program sees: its address is the shmem_heap */
    heap_metadata meta;
    heap_stats stats;
    shmheap_memory_handle mem;
    char *name;    /* NULL: in the caller's memory */
    size_t given;  /* bytes of that memory; 0: the heap has a file, or is not there yet */
    void *awaited; /* NULL, or memory in which no heap was yet when it was cloned */
    size_t awaited_skip, awaited_len; /* bytes before a heap in it; bytes from awaited on */
    uint64_t *lock;                   /* ShmemHeap_lock's word in the heap, after the first use */
    int taken;
};

/* The entry of a shmem_heap that table_valid or table_known accepted. */
static inline struct entry *entry_of(shmem_heap *heap) { return (struct entry *)(void *)heap; }

static inline shmheap_memory_handle mem_of(shmem_heap *heap) { return entry_of(heap)->mem; }

/* Makes an entry for mem. If there is no room, it disconnects mem (NULL, errno EMFILE or ENOMEM).
 * It copies name. given is 0 for a heap that has a file. */
shmem_heap *table_add(shmheap_memory_handle mem, const char *name, size_t given);

/* Makes an entry for the heap that another process is about to make in this memory, skip bytes
 * after its start. Each call looks whether the heap is there. NULL: no room, errno EMFILE. */
shmem_heap *table_await(void *memory, size_t skip, size_t len);

/* 1: an entry whose connection is open. 0: anything else, also an invalid pointer (errno EINVAL),
 * or a heap that is not there yet (errno EAGAIN). */
int table_valid(shmem_heap *heap);

/* Returns the next open connection after heap (NULL: the first), or NULL. */
shmem_heap *table_next(shmem_heap *heap);

/* 1: table_valid accepts it, or the heap is not there yet. 0: errno EINVAL. */
int table_known(shmem_heap *heap);

/* Removes a known entry and ends its connection. Returns its name, which the caller frees. */
char *table_remove(shmem_heap *heap);

/* given.c: the bytes of the caller's memory that a heap was made with. */

/* Notes the bytes from memory on, for processes that connect later. skip bytes of them lie before
 * the heap. */
void given_write(shmheap_memory_handle mem, void *memory, size_t skip, size_t bytes);

/* Returns the noted bytes, or, without a note, the bytes up to the end of the heap's segment. reach
 * bytes from memory on can be read. */
size_t given_read(shmheap_memory_handle mem, const void *memory, size_t skip, size_t reach);

/* block.c: the calls on blocks that array.c makes. */

/* Does as ShmemHeap_alloc_block_wait, but writes no note: the block's old contents may look like
 * one. */
void *block_alloc(shmem_heap *heap, size_t num_bytes, int32_t timeout_ms);

/* Keeps len bytes in the block at ptr, which the caller has just allocated:
 * ShmemHeap_set_block_meta without checks. handle is the block's. 0, or -1: too small. */
int block_keep(shmem_heap *heap, void *ptr, const void *bytes, uint32_t len, uint64_t handle);

#endif
