/* ShmemHeap.h: the heap calls that IO servers of weather models are written against, over
 * shmheap.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A shmem_heap is this process's connection to a heap; the pointer means nothing elsewhere. Blocks
 * travel as offsets, in bytes from the start of the heap, positive, the same in every process. Any
 * process may free any block. Programs that include io-server/shmem_heap.h find these calls there,
 * and fields in a shmem_heap.
 *
 * Pointers and offsets are checked: a shmem_heap that is NULL, deleted or no heap at all, an
 * address or an offset outside the heap or inside a block, a block that was freed, all give the
 * failure that the call's comment names, and change nothing. Threads, processes and their deaths:
 * as shmheap.h says; no call may run while another deletes the same shmem_heap. Sizes are bytes. */
#ifndef SHMEM_HEAP_H
#define SHMEM_HEAP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int64_t heap_element;
typedef struct shmem_heap shmem_heap;

/* Heaps --------------------------------------------------------------------------------------- */

/* ShmemHeap_init_from_scratch makes a heap in memory of the caller, which stays the caller's and
 * must outlive the heap. What lay there is lost. The heap begins at the first multiple of 16. NULL,
 * and the memory untouched: memory NULL, too small for any heap (about 1.5 KiB is the least), or
 * fewer bytes are there than num_bytes. */
shmem_heap *ShmemHeap_init_from_scratch(void *memory, size_t num_bytes);

/* ShmemHeap_clone connects to the heap that ShmemHeap_init_from_scratch made in this memory,
 * perhaps in another process and at another address. How far the memory reaches is looked up in the
 * process's list of mappings. NULL: no memory there that can be read and written, or what is in it
 * is no heap. Memory that is shared and has nothing in it yet, its first 8 bytes zero, is taken:
 * servers clone while another of their processes makes the heap. Until it is made every call with
 * the shmem_heap fails as if there was no heap (errno EAGAIN), but for ShmemHeap_delete. */
shmem_heap *ShmemHeap_clone(void *memory);

/* ShmemHeap_clone_sized is ShmemHeap_clone for those who know how many bytes the memory has: no
 * look-up. The heap must have been made: NULL where there is none yet. */
shmem_heap *ShmemHeap_clone_sized(void *memory, size_t num_bytes);

/* ShmemHeap_create makes a heap with room for num_bytes (headers included) under a name of
 * shm_open(), "/name". NULL, and errno as shmheap_create sets it. */
shmem_heap *ShmemHeap_create(const char *name, size_t num_bytes);

/* ShmemHeap_connect connects to the heap of that name. NULL, and errno as shmheap_connect sets it.
 */
shmem_heap *ShmemHeap_connect(const char *name);

/* ShmemHeap_delete ends the connection. The heap and its blocks stay, for others. 0, or -1: no
 * heap. */
int ShmemHeap_delete(shmem_heap *heap);

/* ShmemHeap_destroy ends the connection and removes the name, if the heap has one and the name still
 * is that of this heap; other connected processes go on. 0, or -1: no heap, or the name was not
 * removed (errno as shmheap_destroy sets it, ESTALE where another heap has it now; the connection
 * has ended all the same). */
int ShmemHeap_destroy(shmem_heap *heap);

/* Blocks -------------------------------------------------------------------------------------- */

/* ShmemHeap_alloc_block gives a block of at least num_bytes, aligned to 16, with undefined
 * contents. All allocations are safe among processes, whatever safe is. NULL: no heap, or nothing
 * fits (errno). */
void *ShmemHeap_alloc_block(shmem_heap *heap, size_t num_bytes, int32_t safe);

/* ShmemHeap_alloc_block_wait does the same, but when nothing fits it sleeps until somebody frees
 * enough: timeout_ms at most, for ever if that is negative, not at all if 0. A request that does
 * not fit in the empty heap fails at once, with errno ENOMEM; one that had to give up, with
 * ETIMEDOUT. */
void *ShmemHeap_alloc_block_wait(shmem_heap *heap, size_t num_bytes, int32_t safe,
                                 int32_t timeout_ms);

/* ShmemHeap_alloc_named gives the block of this name, 1 to 255 bytes long, the same one to every
 * process, and makes it, of num_bytes, if there is none. Each success is followed by one
 * ShmemHeap_free_block: the last one frees block and name. It keeps no metadata. NULL: no heap, or
 * errno as shmheap_alloc_named sets it. */
void *ShmemHeap_alloc_named(shmem_heap *heap, const char *name, size_t num_bytes);

/* ShmemHeap_find is the block of this name, without counting as a use of it. *num_bytes (may be
 * NULL) is what was asked for when it was made. NULL, *num_bytes 0: no heap, or no such name. */
void *ShmemHeap_find(shmem_heap *heap, const char *name, size_t *num_bytes);

/* ShmemHeap_keep makes the block of this name stay without uses, also when all processes have died
 * or left, until ShmemHeap_remove_name. 0, or -1: no heap, or no such name (errno as
 * shmheap_name_keep sets it). */
int32_t ShmemHeap_keep(shmem_heap *heap, const char *name);

/* ShmemHeap_remove_name removes the name, kept or not. 0, block and name are gone; 1, living
 * processes still use the block, and the last ShmemHeap_free_block of these uses frees both; -1: no
 * heap, or no such name. */
int32_t ShmemHeap_remove_name(shmem_heap *heap, const char *name);

/* ShmemHeap_free_block gives a block back. 0, or -1: no heap, or not the address of a live
 * block. */
int32_t ShmemHeap_free_block(shmem_heap *heap, void *block);

/* ShmemHeap_is_block_valid: 0 if there is a live block at this address, -1 if not. */
int32_t ShmemHeap_is_block_valid(shmem_heap *heap, const void *block);

/* ShmemHeap_ptr_from_offset is where the block lies in this process; NULL if no live block has that
 * offset. */
void *ShmemHeap_ptr_from_offset(shmem_heap *heap, heap_element offset);

/* ShmemHeap_offset_from_pointer is the offset of the live block at this address, or -1. */
heap_element ShmemHeap_offset_from_pointer(shmem_heap *heap, const void *block);

/* ShmemHeap_block_size_from_pointer is how many bytes of the block are the caller's: at least what
 * was asked for, less what ShmemHeap_set_block_meta took. 0: no live block. */
size_t ShmemHeap_block_size_from_pointer(shmem_heap *heap, const void *block);
size_t ShmemHeap_block_size_from_offset(shmem_heap *heap, heap_element offset);

/* ShmemHeap_set_block_meta keeps a copy of num_bytes in the block, at its end: who allocates asks
 * for that many bytes more. It replaces what was kept before. 0, or -1: no live block, one that
 * shmheap_alloc made or that is too small, num_bytes negative. */
int32_t ShmemHeap_set_block_meta(shmem_heap *heap, void *block, const void *block_meta,
                                 int num_bytes);

/* ShmemHeap_get_block_meta copies what is kept in the block. 0, or -1 (and nothing copied): no live
 * block, nothing kept in it since it was allocated, or something of another length. Other processes
 * can write there: check what you get. */
int32_t ShmemHeap_get_block_meta(shmem_heap *heap, const void *block, void *meta_dest,
                                 int num_bytes);

/* Exclusion ----------------------------------------------------------------------------------- */

/* ShmemHeap_lock makes the calling thread the only one, of all processes, between its
 * ShmemHeap_lock and its ShmemHeap_unlock on this heap. Other calls neither need this lock nor wait
 * for it: each is safe by itself. A thread that waits looks once a millisecond; it takes the lock
 * of a thread that died. The first call in a heap makes a small object, named "ShmemHeap_lock",
 * which stays. Processes of different PID namespaces do not see each other die. 0; or -1, and the
 * lock is not the caller's: errno EINVAL (no heap), EDEADLK (the thread has it), ENOMEM (no space
 * for the object), ETIMEDOUT (another thread kept it for 30 s). */
int ShmemHeap_lock(shmem_heap *heap);

/* ShmemHeap_unlock ends what ShmemHeap_lock began. 0, or -1 with errno EINVAL (no heap) or EPERM
 * (the calling thread has not the lock). */
int ShmemHeap_unlock(shmem_heap *heap);

/* The same calls by other names, for bind(C). */
void ShmemHeap_lock_f(shmem_heap *heap);
void ShmemHeap_unlock_f(shmem_heap *heap);

/* Arrays of Fortran --------------------------------------------------------------------------- */

/* The record that describes an array, and is kept in its block. Plain numbers: it may be sent to
 * other processes as it is. */
enum { SHMEM_HEAP_MAX_RANK = 7 };

enum ShmemHeap_type {
    SHMEM_HEAP_INTEGER = 1,  /* kinds 1, 2, 4, 8 */
    SHMEM_HEAP_REAL = 2,     /* 4, 8 */
    SHMEM_HEAP_COMPLEX = 3,  /* 4, 8: of each part */
    SHMEM_HEAP_LOGICAL = 4,  /* 1, 2, 4, 8 */
    SHMEM_HEAP_CHARACTER = 5 /* 1 */
};

enum ShmemHeap_status {
    SHMEM_HEAP_ALLOC_SUCCESS = 0,
    SHMEM_HEAP_ALLOC_INVALID = -1, /* describes no array; or the heap is none */
    SHMEM_HEAP_INVALID_BOUNDS =
        -2, /* bounds that contradict each other or the rank, or an upper one below its lower */
    SHMEM_HEAP_ALLOC_TIMEOUT = -3, /* nothing that large was free in time */
    SHMEM_HEAP_ALLOC_FAILED = -4   /* can never fit, or the heap is damaged or read-only */
};

typedef struct ShmemHeap_array {
    int64_t extents[SHMEM_HEAP_MAX_RANK]; /* 0: the array has no elements; 1 beyond the rank */
    int64_t lower[SHMEM_HEAP_MAX_RANK];   /* lower bounds; 1 beyond the rank */
    int64_t offset;                       /* of the block */
    uint64_t handle;                      /* of the block, as shmheap_ptr_to_handle gives it */
    int64_t element;                      /* bytes of an element: for characters their length */
    int32_t type, kind, rank;             /* enum ShmemHeap_type; bytes; 1 to SHMEM_HEAP_MAX_RANK */
    int32_t status;                       /* enum ShmemHeap_status */
} ShmemHeap_array;

/* ShmemHeap_array_alloc allocates an array with bounds lower[i] to upper[i], or, where lower is
 * NULL, 1 to upper[i], which may then be 0: the array has no elements, and an address all the same.
 * Missing bounds are 1 to 1, those beyond the rank must have the extent 1. type, kind, rank and
 * element of *array say of what; the rest is filled in. Waits as ShmemHeap_alloc_block_wait, but 1
 * ms and a 64th longer than timeout_ms. Returns the address, or NULL, and array->status says why.
 */
void *ShmemHeap_array_alloc(shmem_heap *heap, ShmemHeap_array *array, int32_t lower_count,
                            const int64_t *lower, int32_t upper_count, const int64_t *upper,
                            int32_t safe, int32_t timeout_ms);

/* ShmemHeap_array_find fills *array with what describes the array in the block of that offset,
 * checked: an array of known type and kind whose bytes lie in the block. Returns its address, or
 * NULL, *array then as of no array. */
void *ShmemHeap_array_find(shmem_heap *heap, heap_element offset, ShmemHeap_array *array);

/* ShmemHeap_array_at does this for the array at an address, in any heap that the process is
 * connected to: it returns that heap, or NULL. No other thread may end a connection meanwhile. */
shmem_heap *ShmemHeap_array_at(const void *address, ShmemHeap_array *array);

/* ShmemHeap_array_resolve: the address of the array that *array, perhaps from another process,
 * describes; NULL if it does not exist any more, also where another block has taken its place, or
 * was never so. */
void *ShmemHeap_array_resolve(shmem_heap *heap, const ShmemHeap_array *array);

/* ShmemHeap_array_free gives back the array that *array describes. 0, or -1: as
 * ShmemHeap_array_resolve. */
int32_t ShmemHeap_array_free(shmem_heap *heap, const ShmemHeap_array *array);

/* Looking ------------------------------------------------------------------------------------- */

/* ShmemHeap_check walks the whole heap. 0: sound; 1: no heap; 2: it could not be looked at, or is
 * damaged. On 0 the figures (each pointer may be NULL) are the blocks and what they can hold
 * together. */
int32_t ShmemHeap_check(shmem_heap *heap, int32_t *free_blocks, size_t *free_space,
                        int32_t *used_blocks, size_t *used_space);

/* ShmemHeap_get_info: the size as ShmemHeap_get_size gives it, the most that was ever in use, the
 * blocks allocated over the heap's life and their bytes, headers included. Pointers may be NULL. 0,
 * or -1. */
int ShmemHeap_get_info(shmem_heap *heap, int64_t *size, int64_t *max, int64_t *nblk, int64_t *nbyt);

/* ShmemHeap_get_size: the bytes that the heap was made with, less 200 at most, or -1. */
heap_element ShmemHeap_get_size(shmem_heap *heap);

/* ShmemHeap_get_capacity: the bytes for blocks and their headers, or -1. A block of 96 bytes less
 * fits when the heap is empty. In the caller's memory the heap's index lies, too: the capacity is
 * about 3 % less than the size. */
heap_element ShmemHeap_get_capacity(shmem_heap *heap);

/* ShmemHeap_dump_info writes these figures and whether the heap is sound to standard output. */
void ShmemHeap_dump_info(shmem_heap *heap);

/* Waiting by default ----------------------------------------------------------------------------
 */

/* ShmemHeap_alloc_timeout: how many milliseconds Fortran's allocate waits in this process when it
 * is not told. What ShmemHeap_set_alloc_timeout said last, or else the environment variable
 * SHMEM_HEAP_ALLOC_TIMEOUT_MS, or else 0: it does not wait. */
int32_t ShmemHeap_alloc_timeout(void);
void ShmemHeap_set_alloc_timeout(int32_t timeout_ms);

/* Addresses ----------------------------------------------------------------------------------- */

/* Pointer_add_offset is offset * szeof bytes behind ref; szeof is a power of two, or 0, which
 * counts as 1. */
void *Pointer_add_offset(void *ref, intptr_t offset, uint32_t szeof);

/* Pointer_offset is how many times szeof bytes to lies behind ref, rounded down; negative: before
 * it. szeof as above. */
intptr_t Pointer_offset(void *ref, void *to, uint32_t szeof);

#ifdef __cplusplus
}
#endif

#endif
