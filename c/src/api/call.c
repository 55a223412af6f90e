/* call.c: how a public call fails: errno, and the note for shmheap_error_text.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

/* A closed connection's entry may become another connection's at any time. */
static const char *label_of(const struct shmheap *heap)
{
    static const char none[ERROR_NAME];
    return heap != NULL && heap->open ? heap->label : none;
}

COLD int call_failed(enum error_call call, const struct shmheap *heap)
{
    return error_note(call, label_of(heap));
}

COLD int call_failed_named(enum error_call call, const char *name)
{
    char label[ERROR_NAME];
    error_name(label, name);
    return error_note(call, label);
}

COLD int call_refused(enum error_call call, const struct shmheap *heap, int error, enum cause cause,
                      uint64_t first, uint64_t second)
{
    return error_note_cause(call, label_of(heap), error, cause, first, second);
}

COLD int call_not_open(enum error_call call)
{
    return call_refused(call, NULL, EINVAL, CAUSE_NOT_OPEN, 0, 0);
}

COLD int call_no_object(enum error_call call, const struct shmheap *heap, const void *ptr)
{
    uint64_t granule = block_of_pointer(heap, ptr);
    if (ptr == NULL)
        return call_refused(call, heap, EINVAL, CAUSE_POINTER_NULL, 0, 0);
    int named = granule != GRANULE_NONE && bits_is_start(heap, granule) &&
                header_state(block_load(heap, granule)) == SHMHEAP_STATE_NAMED;
    return call_refused(call, heap, EINVAL, named ? CAUSE_NAMED : CAUSE_NO_OBJECT, (uintptr_t)ptr,
                        0);
}

COLD void *call_renamed(enum error_call call, void *result)
{
    if (result == NULL)
        error_state.record.call = (uint16_t)call;
    return result;
}

COLD int call_argument_null(enum error_call call, shmheap_memory_handle mem, enum argument argument)
{
    return usable(mem) ? call_refused(call, mem.heap, EINVAL, CAUSE_ARGUMENT_NULL, argument, 0)
                       : call_not_open(call);
}
