/* call_rest.c: names, the lock, connections, figures.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "fuzz/fortran/calls.h"
#include "fuzz/world/arena.h"

/* Makes or uses a name, which both sides then find at one place; gives a use back. */
static void step_name(const struct op *op, const char *name)
{
    shmem_heap *heap = fortran.heap[op->side], *other = fortran.heap[!op->side];
    size_t len = 0, there = 0;
    SAY("ShmemHeap_alloc_named(heap[%u], \"%s\", %llu);", op->side, name,
        (unsigned long long)op->size);
    void *before = ShmemHeap_find(heap, name, &there);
    void *ptr = ShmemHeap_alloc_named(heap, name, op->size);
    FUZZ_CHECK(ptr || errno == ENOMEM || errno == EINVAL);
    FUZZ_CHECK(!ptr || !before || ptr == before);
    if (!ptr)
        return;
    void *found = ShmemHeap_find(other, name, &len);
    FUZZ_CHECK(found && len >= op->size && (!before || len == there));
    FUZZ_CHECK(ShmemHeap_offset_from_pointer(other, found) ==
               ShmemHeap_offset_from_pointer(heap, ptr));
    if (op->which & 64)
        FUZZ_CHECK(ShmemHeap_free_block(heap, ptr) == 0);
}

void fortran_names(const struct op *op, enum step step)
{
    static const char *const names[] = {"a", "field", "a name that takes a larger record", ""};
    const char *name = names[op->which & 3];
    shmem_heap *heap = fortran.heap[op->side];
    int there = ShmemHeap_find(heap, name, NULL) != NULL;
    if (step == STEP_NAME) {
        step_name(op, name);
    } else if (step == STEP_NAME_KEEP) {
        SAY("ShmemHeap_keep(heap[%u], \"%s\");", op->side, name);
        FUZZ_CHECK(ShmemHeap_keep(heap, name) == (there ? 0 : -1));
    } else {
        SAY("ShmemHeap_remove_name(heap[%u], \"%s\");", op->side, name);
        int32_t result = ShmemHeap_remove_name(heap, name);
        FUZZ_CHECK(there ? result == 0 || result == 1 : result == -1);
        FUZZ_CHECK((ShmemHeap_find(heap, name, NULL) != NULL) == (result == 1));
    }
}

/* Both sides are this thread, so one lock excludes the other. */
void fortran_lock(const struct op *op)
{
    shmem_heap *heap = fortran.heap[op->side];
    SAY("%s(heap[%u]);", op->which & 1 ? "ShmemHeap_lock" : "ShmemHeap_unlock", op->side);
    if (op->which & 1) {
        int result = ShmemHeap_lock(heap);
        FUZZ_CHECK(fortran.locked ? result == -1 && (errno == EDEADLK || errno == ENOMEM)
                                  : result == 0 || errno == ENOMEM);
        fortran.locked |= result == 0;
    } else if (ShmemHeap_unlock(heap) == 0) {
        FUZZ_CHECK(fortran.locked);
        fortran.locked = 0;
    } else {
        FUZZ_CHECK(errno == EPERM);
    }
}

void fortran_reconnect(const struct op *op)
{
    shmem_heap *gone = fortran.heap[op->side];
    SAY("ShmemHeap_delete(heap[%u]); heap[%u] = ShmemHeap_clone_sized(memory[%u], %zu);", op->side,
        op->side, op->side, fortran.bytes);
    FUZZ_CHECK(ShmemHeap_delete(gone) == 0 && ShmemHeap_delete(gone) == -1);
    fortran.heap[op->side] =
        ShmemHeap_clone_sized(arena_memory(op->side, fortran.bytes), fortran.bytes);
    FUZZ_CHECK(fortran.heap[op->side] != NULL);
}

void fortran_inspect(const struct op *op)
{
    shmem_heap *heap = fortran.heap[op->side];
    int64_t size, most, blocks, bytes;
    int32_t used = 0, unused = 0;
    size_t used_space = 0, free_space = 0;
    SAY("ShmemHeap_get_info(heap[%u], &size, &most, &blocks, &bytes);", op->side);
    FUZZ_CHECK(ShmemHeap_get_info(heap, &size, &most, &blocks, &bytes) == 0);
    FUZZ_CHECK(ShmemHeap_check(heap, &unused, &free_space, &used, &used_space) == 0);
    FUZZ_CHECK(used >= (int32_t)fortran.count && used_space + free_space <= fortran.bytes);
    FUZZ_CHECK(size == ShmemHeap_get_size(heap) && (size_t)size <= fortran.bytes);
    FUZZ_CHECK(most <= size && ShmemHeap_get_capacity(heap) <= size && blocks >= 0 && bytes >= 0);
}
