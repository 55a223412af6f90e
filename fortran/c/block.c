/* Blocks, and the bytes kept in them. SPDX-License-Identifier: Apache-2.0
 *
 *     [ the caller's bytes ][ kept bytes, 0 or more ][ note ]
 *
 * The note, the last 16 bytes of a block, says how many bytes are kept. It lies in shared memory,
 * where any process can write. So each call copies it, checks it against the size that the core
 * vouches for, and only then uses it. Objects with a name, and those that a program of C allocates,
 * have no note: their last bytes are theirs. An earlier block may have left a note there. So a note
 * says of which allocation it is: by the block's handle or, where nothing is kept, by the
 * generation that is in it. To take a handle would share the block, and reaping spare it. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "shmheap.h"
#include "table.h"

/* Lives in shared memory. */
struct note {
    uint32_t magic;
    uint32_t kept;   /* bytes */
    uint64_t handle; /* of the block when something is kept, else its generation */
};
enum { NOTE_MAGIC = 0x45544f4e };

/* The generation of a live block, never 0: bits 49 to 63 of its header, the word before it
 * (FORMAT.md). A handle has the same bits. */
static uint64_t generation(const void *ptr)
{
    return __atomic_load_n((const uint64_t *)ptr - 1, __ATOMIC_RELAXED) >> 49;
}

/* Reads the note of the block at ptr, of usable bytes. 0: there is none. */
static int note_read(shmem_heap *heap, const void *ptr, size_t usable, struct note *note)
{
    if (usable < sizeof *note)
        return 0;
    memcpy(note, (const char *)ptr + usable - sizeof *note, sizeof *note);
    if (note->magic != NOTE_MAGIC || note->kept > usable - sizeof *note)
        return 0;
    return note->handle == (note->kept == 0
                                ? generation(ptr)
                                : shmheap_ptr_to_handle(mem_of(heap), (void *)(uintptr_t)ptr).bits);
}

static void note_write(void *ptr, size_t usable, uint32_t kept, uint64_t handle)
{
    struct note note = {NOTE_MAGIC, kept, kept != 0 ? handle : generation(ptr)};
    memcpy((char *)ptr + usable - sizeof note, &note, sizeof note);
}

void *ShmemHeap_alloc_block(shmem_heap *heap, size_t num_bytes, int32_t safe)
{
    return ShmemHeap_alloc_block_wait(heap, num_bytes, safe, 0);
}

/* Whether so many bytes fit in the empty, fully grown heap: header and bytes in whole granules. */
static int size_possible(shmem_heap *heap, size_t bytes)
{
    shmheap_stats stats;
    if (shmheap_stat(mem_of(heap), &stats) != 0 || stats.alignment == 0 || bytes > stats.max_len)
        return 0;
    return (bytes + 8 + stats.alignment - 1) / stats.alignment <=
           (stats.max_len - 8) / stats.alignment;
}

/* ETIMEDOUT also if there was no time to wait: ENOMEM says that waiting is of no use. */
static void *alloc_wait(shmem_heap *heap, size_t bytes, int32_t timeout_ms)
{
    void *ptr = shmheap_alloc_wait(mem_of(heap), bytes, timeout_ms);
    if (ptr == NULL && errno == ENOMEM)
        errno = timeout_ms == 0 && size_possible(heap, bytes) ? ETIMEDOUT : ENOMEM;
    return ptr;
}

void *block_alloc(shmem_heap *heap, size_t num_bytes, int32_t timeout_ms)
{
    if (!table_valid(heap))
        return NULL;
    if (num_bytes > SIZE_MAX - sizeof(struct note)) {
        errno = ENOMEM;
        return NULL;
    }
    return alloc_wait(heap, num_bytes + sizeof(struct note), timeout_ms);
}

void *ShmemHeap_alloc_block_wait(shmem_heap *heap, size_t num_bytes, int32_t safe,
                                 int32_t timeout_ms)
{
    (void)safe;
    void *ptr = block_alloc(heap, num_bytes, timeout_ms);
    if (ptr != NULL)
        block_keep(heap, ptr, "", 0, 0);
    return ptr;
}

void *ShmemHeap_alloc_named(shmem_heap *heap, const char *name, size_t num_bytes)
{
    return table_valid(heap) ? shmheap_alloc_named(mem_of(heap), name, num_bytes) : NULL;
}

void *ShmemHeap_find(shmem_heap *heap, const char *name, size_t *num_bytes)
{
    size_t size = 0;
    void *block = table_valid(heap) ? shmheap_find(mem_of(heap), name, &size) : NULL;
    if (num_bytes != NULL)
        *num_bytes = block != NULL ? size : 0;
    return block;
}

int32_t ShmemHeap_keep(shmem_heap *heap, const char *name)
{
    return table_valid(heap) ? shmheap_name_keep(mem_of(heap), name) : -1;
}

int32_t ShmemHeap_remove_name(shmem_heap *heap, const char *name)
{
    return table_valid(heap) ? shmheap_name_remove(mem_of(heap), name) : -1;
}

int32_t ShmemHeap_free_block(shmem_heap *heap, void *block)
{
    if (!table_valid(heap) || block == NULL)
        return -1;
    return shmheap_try_free(mem_of(heap), block) == 0 ? 0 : -1;
}

static size_t block_usable(shmem_heap *heap, const void *block)
{
    return table_valid(heap) ? shmheap_usable_size(mem_of(heap), block) : 0;
}

int32_t ShmemHeap_is_block_valid(shmem_heap *heap, const void *block)
{
    return block_usable(heap, block) != 0 ? 0 : -1;
}

void *ShmemHeap_ptr_from_offset(shmem_heap *heap, heap_element offset)
{
    if (!table_valid(heap) || offset <= 0)
        return NULL;
    void *ptr = (void *)((uintptr_t)shmheap_underlying(mem_of(heap)) + (uintptr_t)offset);
    return shmheap_usable_size(mem_of(heap), ptr) != 0 ? ptr : NULL;
}

heap_element ShmemHeap_offset_from_pointer(shmem_heap *heap, const void *block)
{
    if (block_usable(heap, block) == 0)
        return -1;
    return (const char *)block - (const char *)shmheap_underlying(mem_of(heap));
}

size_t ShmemHeap_block_size_from_pointer(shmem_heap *heap, const void *block)
{
    struct note note;
    size_t usable = block_usable(heap, block);
    return usable != 0 && note_read(heap, block, usable, &note) ? usable - sizeof note - note.kept
                                                                : usable;
}

size_t ShmemHeap_block_size_from_offset(shmem_heap *heap, heap_element offset)
{
    return ShmemHeap_block_size_from_pointer(heap, ShmemHeap_ptr_from_offset(heap, offset));
}

int block_keep(shmem_heap *heap, void *ptr, const void *bytes, uint32_t len, uint64_t handle)
{
    size_t usable = shmheap_usable_size(mem_of(heap), ptr);
    if (usable < sizeof(struct note) || len > usable - sizeof(struct note))
        return -1;
    memcpy((char *)ptr + usable - sizeof(struct note) - len, bytes, len);
    note_write(ptr, usable, len, handle);
    return 0;
}

int32_t ShmemHeap_set_block_meta(shmem_heap *heap, void *block, const void *block_meta,
                                 int num_bytes)
{
    struct note note;
    size_t usable = block_usable(heap, block);
    if (num_bytes < 0 || (block_meta == NULL && num_bytes > 0) || usable == 0 ||
        !note_read(heap, block, usable, &note) || (size_t)num_bytes > usable - sizeof note)
        return -1;
    uint64_t handle = num_bytes > 0 ? shmheap_ptr_to_handle(mem_of(heap), block).bits : 0;
    if (num_bytes > 0 && handle == 0)
        return -1;
    if (num_bytes > 0)
        memcpy((char *)block + usable - sizeof note - num_bytes, block_meta, (size_t)num_bytes);
    note_write(block, usable, (uint32_t)num_bytes, handle);
    return 0;
}

int32_t ShmemHeap_get_block_meta(shmem_heap *heap, const void *block, void *meta_dest,
                                 int num_bytes)
{
    struct note note;
    size_t usable = block_usable(heap, block);
    if (meta_dest == NULL || num_bytes <= 0 || usable == 0 ||
        !note_read(heap, block, usable, &note) || note.kept != (uint32_t)num_bytes)
        return -1;
    memcpy(meta_dest, (const char *)block + usable - sizeof note - note.kept, note.kept);
    return 0;
}
