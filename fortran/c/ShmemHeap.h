/* ShmemHeap.h: the heap calls of IO servers of weather models, over shmheap.h.
 *
 * A shmem_heap is this process's connection to a heap; the pointer means nothing in another
 * process. A block travels as its offset: bytes from the start of the heap, positive, the same in
 * every process. Any process may free any block. Programs that include io-server/shmem_heap.h find
 * these calls there, and fields in a shmem_heap.
 *
 * Conventions. Sizes are bytes. Each call checks pointers and offsets. It fails, as its comment
 * says, and changes nothing, for a shmem_heap that is NULL, deleted or no heap, an address or
 * offset outside the heap or inside a block, and a freed block. Threads, processes and deaths: as
 * shmheap.h says. No call may run while another deletes the same shmem_heap.
 *
 * SPDX-License-Identifier: Apache-2.0 */
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

/* ShmemHeap_init_from_scratch makes a heap in memory of the caller, which must outlive the heap.
 * The memory's contents are lost. The heap begins at the first multiple of 16. NULL, with the
 * memory untouched: memory is NULL, too small for any heap (below about 1.5 KiB), or shorter than
 * num_bytes. */
shmem_heap *ShmemHeap_init_from_scratch(void *memory, size_t num_bytes);

/* ShmemHeap_clone connects to the heap that ShmemHeap_init_from_scratch made in this memory,
 * perhaps in another process and at another address. It looks the length of the memory up in the
 * process's list of mappings. NULL: no memory there that can be read and written, or no heap in it.
 *
 * Shared memory whose first 8 bytes are zero is accepted, too: servers clone while another of their
 * processes makes the heap. Until then every call with the shmem_heap fails as without a heap
 * (errno EAGAIN), except ShmemHeap_delete. */
shmem_heap *ShmemHeap_clone(void *memory);

/* ShmemHeap_clone_sized is ShmemHeap_clone for memory of known length, without the search. NULL
 * also if no heap has been made there. */
shmem_heap *ShmemHeap_clone_sized(void *memory, size_t num_bytes);

/* ShmemHeap_create makes a heap with room for num_bytes (headers included) under a name of
 * shm_open(), "/name". NULL, with errno as shmheap_create. */
shmem_heap *ShmemHeap_create(const char *name, size_t num_bytes);

/* ShmemHeap_connect connects to the heap of that name. NULL, with errno as shmheap_connect. */
shmem_heap *ShmemHeap_connect(const char *name);

/* ShmemHeap_delete ends the connection. The heap and its blocks stay. 0, or -1: no heap. */
int ShmemHeap_delete(shmem_heap *heap);

/* ShmemHeap_destroy ends the connection, and removes the heap's name if it still is this heap's.
 * Other connected processes go on. 0, or -1: no heap, or the name was not removed (errno as
 * shmheap_destroy; ESTALE: another heap has it now). The connection ends in any case. */
int ShmemHeap_destroy(shmem_heap *heap);

/* Blocks -------------------------------------------------------------------------------------- */

/* ShmemHeap_alloc_block returns a block of at least num_bytes, aligned to 16, with undefined
 * contents. safe is ignored: all allocations are safe among processes. NULL: no heap, or nothing
 * fits (errno). */
void *ShmemHeap_alloc_block(shmem_heap *heap, size_t num_bytes, int32_t safe);

/* ShmemHeap_alloc_block_wait is ShmemHeap_alloc_block, but if nothing fits it sleeps until enough
 * is freed: timeout_ms milliseconds at most, 0: none, negative: no limit. ENOMEM, at once: the
 * request does not fit in the empty heap. ETIMEDOUT: not enough was freed in time. */
void *ShmemHeap_alloc_block_wait(shmem_heap *heap, size_t num_bytes, int32_t safe,
                                 int32_t timeout_ms);

/* ShmemHeap_alloc_named returns the block of this name, 1 to 255 bytes long, the same to every
 * process, and makes it, of num_bytes, if there is none. Each success needs one
 * ShmemHeap_free_block; the last one frees block and name. The block keeps no metadata. NULL: no
 * heap, or errno as shmheap_alloc_named. */
void *ShmemHeap_alloc_named(shmem_heap *heap, const char *name, size_t num_bytes);

/* ShmemHeap_find returns the block of this name, without a use of it. *num_bytes (may be NULL) is
 * the size requested when it was made. NULL, with *num_bytes 0: no heap, or no such name. */
void *ShmemHeap_find(shmem_heap *heap, const char *name, size_t *num_bytes);

/* ShmemHeap_keep makes the block of this name stay without uses, also when all processes have died
 * or disconnected, until ShmemHeap_remove_name. 0, or -1: no heap, or no such name (errno as
 * shmheap_name_keep). */
int32_t ShmemHeap_keep(shmem_heap *heap, const char *name);

/* ShmemHeap_remove_name removes the name, kept or not. 0: block and name are gone. 1: live
 * processes still use the block; their last ShmemHeap_free_block frees both. -1: no heap, or no
 * such name. */
int32_t ShmemHeap_remove_name(shmem_heap *heap, const char *name);

/* ShmemHeap_free_block frees a block. 0, or -1: no heap, or no live block at this address. */
int32_t ShmemHeap_free_block(shmem_heap *heap, void *block);

/* ShmemHeap_is_block_valid returns 0 if a live block is at this address, else -1. */
int32_t ShmemHeap_is_block_valid(shmem_heap *heap, const void *block);

/* ShmemHeap_ptr_from_offset returns where the block lies in this process; NULL: no live block has
 * that offset. */
void *ShmemHeap_ptr_from_offset(shmem_heap *heap, heap_element offset);

/* ShmemHeap_offset_from_pointer returns the offset of the live block at this address, or -1. */
heap_element ShmemHeap_offset_from_pointer(shmem_heap *heap, const void *block);

/* ShmemHeap_block_size_from_pointer returns the bytes of the block that the caller may use: at
 * least those requested, less those of ShmemHeap_set_block_meta. 0: no live block. */
size_t ShmemHeap_block_size_from_pointer(shmem_heap *heap, const void *block);
size_t ShmemHeap_block_size_from_offset(shmem_heap *heap, heap_element offset);

/* ShmemHeap_set_block_meta keeps a copy of num_bytes at the end of the block, in place of an
 * earlier one. So allocate that many bytes more. 0, or -1: no live block, a block of shmheap_alloc,
 * a block that is too small, or num_bytes negative. */
int32_t ShmemHeap_set_block_meta(shmem_heap *heap, void *block, const void *block_meta,
                                 int num_bytes);

/* ShmemHeap_get_block_meta copies the bytes kept in the block. 0, or -1 with nothing copied: no
 * live block, nothing kept since it was allocated, or another length. Other processes can write
 * there: check the result. */
int32_t ShmemHeap_get_block_meta(shmem_heap *heap, const void *block, void *meta_dest,
                                 int num_bytes);

/* Exclusion ----------------------------------------------------------------------------------- */

/* ShmemHeap_lock excludes all other threads of all processes from the section up to
 * ShmemHeap_unlock on this heap. Other calls neither need this lock nor wait for it. A waiting
 * thread retries once a millisecond, and takes the lock of a dead thread. Processes of different
 * PID namespaces do not see each other die. The first call in a heap makes a small object, named
 * "ShmemHeap_lock", which stays. 0, or -1 without the lock: errno EINVAL (no heap), EDEADLK (the
 * thread has it), ENOMEM (no space for the object), ETIMEDOUT (another thread kept it for 30 s). */
int ShmemHeap_lock(shmem_heap *heap);

/* ShmemHeap_unlock releases the lock. 0, or -1: errno EINVAL (no heap), EPERM (the calling thread
 * does not have it). */
int ShmemHeap_unlock(shmem_heap *heap);

/* The same calls by other names, for bind(C). */
void ShmemHeap_lock_f(shmem_heap *heap);
void ShmemHeap_unlock_f(shmem_heap *heap);

/* Arrays of Fortran --------------------------------------------------------------------------- */

/* The record that describes an array, kept in its block. It holds numbers only, and may be sent to
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
    SHMEM_HEAP_ALLOC_INVALID = -1, /* no array, or no heap */
    /* Bounds contradict each other or the rank, or an upper bound is below its lower one. */
    SHMEM_HEAP_INVALID_BOUNDS = -2,
    SHMEM_HEAP_ALLOC_TIMEOUT = -3, /* not enough was freed in time */
    SHMEM_HEAP_ALLOC_FAILED = -4   /* never fits, or the heap is damaged or read-only */
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

/* ShmemHeap_array_alloc allocates an array with bounds lower[i] to upper[i]. lower NULL: 1 to
 * upper[i], which may be 0: an array without elements, which has an address all the same. Missing
 * bounds are 1 to 1; those beyond the rank must have the extent 1. The caller sets type, kind, rank
 * and element of *array; the call sets the other members. It waits as ShmemHeap_alloc_block_wait,
 * but 1 ms and a 64th longer than timeout_ms. Returns the address, or NULL, and array->status says
 * why. */
void *ShmemHeap_array_alloc(shmem_heap *heap, ShmemHeap_array *array, int32_t lower_count,
                            const int64_t *lower, int32_t upper_count, const int64_t *upper,
                            int32_t safe, int32_t timeout_ms);

/* ShmemHeap_array_find fills *array with the checked description of the array in the block of that
 * offset: of known type and kind, its bytes within the block. Returns its address, or NULL, and
 * *array describes no array. */
void *ShmemHeap_array_find(shmem_heap *heap, heap_element offset, ShmemHeap_array *array);

/* ShmemHeap_array_at does the same for the array at an address, in any heap that the process is
 * connected to. Returns that heap, or NULL. No other thread may end a connection meanwhile. */
shmem_heap *ShmemHeap_array_at(const void *address, ShmemHeap_array *array);

/* ShmemHeap_array_resolve returns the address of the array that *array, perhaps from another
 * process, describes. NULL: it does not exist any more, also if another block lies there now, or
 * never did. */
void *ShmemHeap_array_resolve(shmem_heap *heap, const ShmemHeap_array *array);

/* ShmemHeap_array_free frees the array that *array describes. 0, or -1 as
 * ShmemHeap_array_resolve. */
int32_t ShmemHeap_array_free(shmem_heap *heap, const ShmemHeap_array *array);

/* Inspecting ---------------------------------------------------------------------------------- */

/* ShmemHeap_check walks the whole heap. 0: sound; 1: no heap; 2: damaged, or the check failed. On 0
 * the figures (each pointer may be NULL) are the blocks and the bytes that they can hold
 * together. */
int32_t ShmemHeap_check(shmem_heap *heap, int32_t *free_blocks, size_t *free_space,
                        int32_t *used_blocks, size_t *used_space);

/* ShmemHeap_get_info returns the size as ShmemHeap_get_size, the most bytes in use so far, the
 * blocks allocated over the heap's life, and their bytes, headers included. Pointers may be NULL.
 * 0, or -1. */
int ShmemHeap_get_info(shmem_heap *heap, int64_t *size, int64_t *max, int64_t *nblk, int64_t *nbyt);

/* ShmemHeap_get_size returns the bytes that the heap was made with, less 200 at most, or -1. */
heap_element ShmemHeap_get_size(shmem_heap *heap);

/* ShmemHeap_get_capacity returns the bytes for blocks and their headers, or -1. A block of 96 bytes
 * less fits in the empty heap. In memory of the caller it is about 3 % less than the size, since
 * the heap's index lies there, too. */
heap_element ShmemHeap_get_capacity(shmem_heap *heap);

/* ShmemHeap_dump_info writes these figures and whether the heap is sound to standard output. */
void ShmemHeap_dump_info(shmem_heap *heap);

/* Waiting by default -------------------------------------------------------------------------- */

/* ShmemHeap_alloc_timeout returns the milliseconds that Fortran's allocate waits by default in this
 * process: the last ShmemHeap_set_alloc_timeout, else the environment variable
 * SHMEM_HEAP_ALLOC_TIMEOUT_MS, else 0 (no wait). */
int32_t ShmemHeap_alloc_timeout(void);
void ShmemHeap_set_alloc_timeout(int32_t timeout_ms);

/* Addresses ----------------------------------------------------------------------------------- */

/* Pointer_add_offset returns the address offset * szeof bytes behind ref. szeof is a power of two,
 * or 0, which counts as 1. */
void *Pointer_add_offset(void *ref, intptr_t offset, uint32_t szeof);

/* Pointer_offset returns by how many times szeof bytes to lies behind ref, rounded down; negative:
 * before it. szeof as above. */
intptr_t Pointer_offset(void *ref, void *to, uint32_t szeof);

#ifdef __cplusplus
}
#endif

#endif
