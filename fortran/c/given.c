/* The note of the bytes that a heap in the caller's memory was made with. SPDX-License-Identifier:
 * Apache-2.0
 *
 * A heap's segment takes the memory in whole steps: up to a kilobyte may stay unused behind it. If
 * that is 24 bytes or more, a note there says how many bytes were given:
 *
 *     memory [ skip ][ segment: control, index, blocks ][ note ][ unused ] */
#include "table.h"

#include <stdint.h>

/* Lives in shared memory. */
struct note {
    uint64_t id, bytes;
};
enum { UNUSED_MAX = 4096 };

/* Returns where the note lies, bytes from memory. 0: no heap. */
static size_t note_offset(shmheap_memory_handle mem, size_t skip, uint64_t *id)
{
    shmheap_stats stats;
    if (shmheap_stat(mem, &stats) != 0)
        return 0;
    *id = stats.id;
    return skip + (size_t)stats.segment_len;
}

static struct note *note_at(const void *memory, size_t offset)
{
    return (struct note *)(((uintptr_t)memory + offset + 7) & ~(uintptr_t)7);
}

/* Returns the bytes from memory to the end of the note. */
static size_t note_end(const void *memory, const struct note *note)
{
    return (size_t)((const char *)(note + 1) - (const char *)memory);
}

void given_write(shmheap_memory_handle mem, void *memory, size_t skip, size_t bytes)
{
    uint64_t id;
    size_t offset = note_offset(mem, skip, &id);
    struct note *note = note_at(memory, offset);
    if (offset == 0 || note_end(memory, note) > bytes)
        return;
    __atomic_store_n(&note->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&note->id, id, __ATOMIC_RELEASE);
}

size_t given_read(shmheap_memory_handle mem, const void *memory, size_t skip, size_t reach)
{
    uint64_t id;
    size_t offset = note_offset(mem, skip, &id);
    const struct note *note = note_at(memory, offset);
    if (offset == 0 || note_end(memory, note) > reach ||
        __atomic_load_n(&note->id, __ATOMIC_ACQUIRE) != id)
        return offset;
    uint64_t bytes = __atomic_load_n(&note->bytes, __ATOMIC_RELAXED);
    return bytes >= note_end(memory, note) && bytes <= offset + UNUSED_MAX ? (size_t)bytes : offset;
}
