/* handles.c: handles, and the ownership of objects: send, receive, put back, peek, reap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include "../free_set/index.h"
#include "../ownership/ownership.h"
#include "../ownership/reap.h"
#include "../recovery/recover.h"

static inline uint64_t handle_granule(shmheap_object_handle hdl)
{
    return hdl.bits & HEADER_SIZE_MASK;
}

static inline unsigned handle_generation(shmheap_object_handle hdl)
{
    return (unsigned)(hdl.bits >> HANDLE_GENERATION_SHIFT & GENERATION_MASK);
}

static inline int handle_is_of(const struct shmheap *heap, shmheap_object_handle hdl)
{
    return hdl.bits >> HANDLE_TAG_SHIFT == heap->handle_tag >> HANDLE_TAG_SHIFT;
}

static int granule_known(struct shmheap *heap, uint64_t granule)
{
    if (LIKELY(granule < connection_end(heap)))
        return 1;
    return catch_up(heap) == 0 && granule < connection_end(heap);
}

/* Marks the object as shared. Returns its header, or 0 with errno. Takes no lock: the exchange
 * fails where a free, or another object at this granule, has changed the header since it was
 * loaded. */
static uint64_t share_object(struct shmheap *heap, uint64_t granule, uint64_t header)
{
    const uint64_t used = (uint64_t)SHMHEAP_STATE_USED << HEADER_STATE_SHIFT;
    const uint64_t shared = (uint64_t)SHMHEAP_STATE_SHARED << HEADER_STATE_SHIFT;
    for (int i = 0; i < 4 && header != 0 && header_state(header) == SHMHEAP_STATE_USED; i++) {
        if (UNLIKELY(heap->read_only)) {
            errno = EACCES;
            return 0;
        }
        if (block_republish(heap, granule, header, header - used + shared))
            return header;
        header = bits_live_header(heap, granule);
    }
    if (header == 0 || header_state(header) != SHMHEAP_STATE_SHARED) {
        errno = EINVAL;
        return 0;
    }
    return header;
}

static shmheap_object_handle handle_make(const struct shmheap *heap, uint64_t granule,
                                         uint64_t header)
{
    shmheap_object_handle handle = {0};
    if (header != 0)
        handle.bits = heap->handle_tag |
                      (uint64_t)header_generation(header) << HANDLE_GENERATION_SHIFT | granule;
    return handle;
}

/* The header of the object with a name at granule; 0: there is none. */
static COLD uint64_t named_header(const struct shmheap *heap, uint64_t granule)
{
    uint64_t header = bits_is_start(heap, granule) ? block_load(heap, granule) : 0;
    return header_state(header) == SHMHEAP_STATE_NAMED ? header : 0;
}

/* On a caching connection, marks an object of this process as shared without an atomic
 * instruction. An atomic instruction would wait until all earlier stores of the caller are
 * visible, such as the handle before this one, stored to a cache line that its receiver reads.
 * Loads the upper half alone: the processor forwards it from the store that allocated the
 * object. Returns the upper half, or 0 where the object is not this process's. */
static ALWAYS_INLINE uint32_t share_own(const struct shmheap *heap, uint64_t granule)
{
    const uint64_t mine = header_make(0, SHMHEAP_STATE_USED, heap->slot, 0);
    const uint64_t shared = header_make(0, SHMHEAP_STATE_SHARED, heap->slot, 0);
    if (!connection_caches(heap) || heap->slot == 0 || UNLIKELY(!bits_is_start(heap, granule)))
        return 0;
    uint32_t upper = load_upper(block_header(heap, granule)),
             generation = upper >> UPPER_GENERATION_SHIFT << UPPER_GENERATION_SHIFT;
    if ((upper ^ generation) == header_upper(mine))
        store_publish_upper(block_header(heap, granule), generation | header_upper(shared));
    else if ((upper ^ generation) != header_upper(shared))
        return 0;
    return upper;
}

/* Notes that a call which gets a pointer failed with errno. */
static COLD shmheap_object_handle handle_refused(enum error_call call, shmheap_memory_handle mem,
                                                 const void *ptr)
{
    const shmheap_object_handle null_handle = {0};
    int reason = errno;
    if (!usable(mem))
        call_not_open(call);
    else if (reason == EINVAL)
        call_no_object(call, mem.heap, ptr);
    else if (reason == EACCES && call == CALL_PTR_TO_HANDLE)
        call_refused(call, mem.heap, EACCES, CAUSE_UNSHARED, (uintptr_t)ptr, 0);
    else if (reason == EACCES)
        call_refused(call, mem.heap, EACCES, CAUSE_READ_ONLY, 0, 0);
    else
        call_failed(call, mem.heap);
    return null_handle;
}

/* The same of a call which gets a handle. Returns -1. */
static COLD int by_handle_refused(enum error_call call, shmheap_memory_handle mem,
                                  shmheap_object_handle hdl, int reason)
{
    errno = reason;
    if (!usable(mem))
        return call_not_open(call);
    if (reason == EINVAL)
        return call_refused(call, mem.heap, EINVAL,
                            hdl.bits == 0 ? CAUSE_HANDLE_NULL : CAUSE_HANDLE_FOREIGN, hdl.bits, 0);
    return call_failed(call, mem.heap);
}

shmheap_object_handle shmheap_ptr_to_handle(shmheap_memory_handle mem, void *ptr)
{
    struct shmheap *heap = mem.heap;
    uint64_t granule = usable(mem) ? granule_of_pointer(heap, ptr) : GRANULE_NONE;
    uint32_t upper = granule != GRANULE_NONE ? share_own(heap, granule) : 0;
    if (upper != 0)
        return handle_make(heap, granule, (uint64_t)upper << 32);
    uint64_t header = granule != GRANULE_NONE ? bits_live_header(heap, granule) : 0;
    if (header == 0 && granule != GRANULE_NONE && (header = named_header(heap, granule)) != 0)
        return handle_make(heap, granule, header);
    header = share_object(heap, granule, header);
    return UNLIKELY(header == 0) ? handle_refused(CALL_PTR_TO_HANDLE, mem, ptr)
                                 : handle_make(heap, granule, header);
}

void *shmheap_handle_to_ptr(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    struct shmheap *heap = mem.heap;
    uint64_t granule = handle_granule(hdl);
    unsigned generation = handle_generation(hdl);
    if (UNLIKELY(!usable(mem) || !handle_is_of(heap, hdl) || !granule_known(heap, granule)))
        return null(by_handle_refused(CALL_HANDLE_TO_PTR, mem, hdl, EINVAL));
    uint64_t header = bits_live_header(heap, granule);
    if (UNLIKELY(header == 0))
        header = named_header(heap, granule);
    if (UNLIKELY(header == 0 || header_generation(header) != generation))
        return null(by_handle_refused(CALL_HANDLE_TO_PTR, mem, hdl, ESTALE));
    return block_payload(heap, granule);
}

/* The granule of an object to be sent; GRANULE_NONE with errno. */
static ALWAYS_INLINE uint64_t granule_to_send(shmheap_memory_handle mem, const void *ptr)
{
    uint64_t granule =
        usable(mem) && !mem.heap->read_only ? granule_of_pointer(mem.heap, ptr) : GRANULE_NONE;
    if (UNLIKELY(granule == GRANULE_NONE))
        errno = usable(mem) && mem.heap->read_only ? EACCES : EINVAL;
    return granule;
}

shmheap_object_handle shmheap_send(shmheap_memory_handle mem, void *ptr)
{
    uint64_t granule = granule_to_send(mem, ptr);
    uint64_t header = granule != GRANULE_NONE ? ownership_send(mem.heap, granule) : 0;
    return UNLIKELY(header == 0) ? handle_refused(CALL_SEND, mem, ptr)
                                 : handle_make(mem.heap, granule, header);
}

/* A call has failed with errno: 1 where it should try again, since the object may end in memory
 * that another connection has added; else 0. */
static COLD int grown_meanwhile(struct shmheap *heap)
{
    return errno == EBADMSG && catch_up(heap) == 0;
}

static COLD shmheap_object_handle send_labelled_refused(shmheap_memory_handle mem, const void *ptr,
                                                        size_t count)
{
    if (errno != EBADMSG)
        return handle_refused(CALL_SEND_LABELLED, mem, ptr);
    call_refused(CALL_SEND_LABELLED, mem.heap, EBADMSG, CAUSE_NO_ROOM, count, 0);
    return handle_make(mem.heap, 0, 0);
}

shmheap_object_handle shmheap_send_labelled(shmheap_memory_handle mem, void *ptr,
                                            const uint64_t *words, size_t count)
{
    if (UNLIKELY(words == NULL || count == 0)) {
        call_argument_null(CALL_SEND_LABELLED, mem,
                           words == NULL ? ARGUMENT_WORDS : ARGUMENT_COUNT);
        return handle_make(mem.heap, 0, 0);
    }
    uint64_t granule = granule_to_send(mem, ptr);
    if (UNLIKELY(granule == GRANULE_NONE))
        return handle_refused(CALL_SEND_LABELLED, mem, ptr);
    uint64_t header = ownership_send_labelled(mem.heap, granule, words, count);
    if (UNLIKELY(header == 0) && grown_meanwhile(mem.heap))
        header = ownership_send_labelled(mem.heap, granule, words, count);
    return UNLIKELY(header == 0) ? send_labelled_refused(mem, ptr, count)
                                 : handle_make(mem.heap, granule, header);
}

static COLD int receive_refused(enum error_call call, shmheap_memory_handle mem,
                                shmheap_object_handle hdl, int known)
{
    if (known)
        call_refused(call, mem.heap, EACCES, CAUSE_READ_ONLY, 0, 0);
    else
        by_handle_refused(call, mem, hdl, EINVAL);
    return 0;
}

static COLD int receive_slot_taken(enum error_call call, struct shmheap *heap)
{
    error_forget();
    return recover_take_slot(heap) == 0 || call_failed(call, heap) == 0;
}

/* The caller may claim the object in transit: 1, or 0 with errno. */
static ALWAYS_INLINE int receive_allowed(enum error_call call, shmheap_memory_handle mem,
                                         shmheap_object_handle hdl)
{
    struct shmheap *heap = mem.heap;
    int known = usable(mem) && handle_is_of(heap, hdl) && granule_known(heap, handle_granule(hdl));
    if (UNLIKELY(!known || heap->read_only))
        return receive_refused(call, mem, hdl, known);
    return LIKELY(load_acquire_u32(&heap->ready)) || receive_slot_taken(call, heap);
}

void *shmheap_receive(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    uint64_t granule = handle_granule(hdl);
    unsigned generation = handle_generation(hdl);
    if (!receive_allowed(CALL_RECEIVE, mem, hdl))
        return NULL;
    return LIKELY(ownership_receive(mem.heap, granule, generation) != 0)
               ? block_payload(mem.heap, granule)
               : null(call_failed(CALL_RECEIVE, mem.heap));
}

void *shmheap_receive_labelled(shmheap_memory_handle mem, shmheap_object_handle hdl, uint64_t label,
                               size_t least)
{
    uint64_t granule = handle_granule(hdl);
    unsigned generation = handle_generation(hdl);
    if (!receive_allowed(CALL_RECEIVE_LABELLED, mem, hdl))
        return NULL;
    uint64_t header = ownership_receive_labelled(mem.heap, granule, generation, label, least);
    if (UNLIKELY(header == 0) && grown_meanwhile(mem.heap))
        header = ownership_receive_labelled(mem.heap, granule, generation, label, least);
    return LIKELY(header != 0) ? block_payload(mem.heap, granule)
                               : null(call_failed(CALL_RECEIVE_LABELLED, mem.heap));
}

int shmheap_put_back(shmheap_memory_handle mem, shmheap_object_handle hdl)
{
    uint64_t granule = handle_granule(hdl);
    unsigned generation = handle_generation(hdl);
    if (!receive_allowed(CALL_PUT_BACK, mem, hdl))
        return -1;
    return LIKELY(ownership_put_back(mem.heap, granule, generation) == 0)
               ? 0
               : call_failed(CALL_PUT_BACK, mem.heap);
}

size_t shmheap_peek(shmheap_memory_handle mem, shmheap_object_handle hdl, ptrdiff_t offset,
                    void *buffer, size_t bytes)
{
    struct shmheap *heap = mem.heap;
    uint64_t granule = handle_granule(hdl);
    unsigned generation = handle_generation(hdl);
    const struct ownership_part part = {offset < 0 ? -(uint64_t)offset : (uint64_t)offset,
                                        offset < 0, bytes, buffer};
    if (!usable(mem) || (buffer == NULL && bytes != 0)) {
        call_argument_null(CALL_PEEK, mem, ARGUMENT_BUFFER);
        return 0;
    }
    if (!handle_is_of(heap, hdl) || !granule_known(heap, granule)) {
        by_handle_refused(CALL_PEEK, mem, hdl, EINVAL);
        return 0;
    }
    int before = errno;
    uint64_t len = ownership_peek(heap, granule, generation, &part);
    if (UNLIKELY(len == 0) && grown_meanwhile(heap))
        len = ownership_peek(heap, granule, generation, &part);
    if (len != 0)
        errno = before;
    else
        call_failed(CALL_PEEK, heap);
    return (size_t)len;
}

long shmheap_reap(shmheap_memory_handle mem, unsigned flags)
{
    struct shmheap *heap = mem.heap;
    int before = errno;
    if ((flags & ~(unsigned)SHMHEAP_REAP_SHARED) != 0)
        return usable(mem) ? call_refused(CALL_REAP, heap, EINVAL, CAUSE_REAP_FLAGS,
                                          flags & ~(unsigned)SHMHEAP_REAP_SHARED, 0)
                           : call_not_open(CALL_REAP);
    if (heap_lock(heap) != 0)
        return call_failed(CALL_REAP, heap);
    int cancel_state = process_cancel_off();
    long freed = reap_objects(heap, (flags & SHMHEAP_REAP_SHARED) != 0);
    process_cancel_restore(cancel_state);
    heap_unlock_freed(heap);
    if (freed < 0)
        return call_failed(CALL_REAP, heap);
    errno = before;
    return freed;
}
