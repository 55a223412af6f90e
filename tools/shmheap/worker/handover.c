/* handover.c: passes objects, by handle, from one process of a replay to the next.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/worker/handover.h"

#include "tools/shmheap/worker/pattern.h"

int handover_put(struct handover *ring, const struct parcel *parcel)
{
    uint64_t put = ring->put;
    if (put - __atomic_load_n(&ring->taken, __ATOMIC_ACQUIRE) == HANDOVER_ROOM)
        return 0;
    ring->parcel[put % HANDOVER_ROOM] = *parcel;
    __atomic_store_n(&ring->put, put + 1, __ATOMIC_RELEASE);
    return 1;
}

static const char *parcel_finish(const struct parcel *parcel, shmheap_memory_handle mem)
{
    void *memory = shmheap_handle_to_ptr(mem, parcel->handle);
    if (!memory)
        return "the library refused the handle of a live object";
    if (pattern_check(memory, parcel->size, parcel->seed) < parcel->size)
        return "an object received by handle does not have the contents that its owner wrote";
    return shmheap_try_free(mem, memory)
               ? "the library refused to free a live object received by handle"
               : NULL;
}

/* taken is stored before the object is freed: a death in between leaks the object. In the other
 * order the parent would free it twice. */
long handover_finish(struct handover *ring, shmheap_memory_handle mem, const char **wrong)
{
    uint64_t put = __atomic_load_n(&ring->put, __ATOMIC_ACQUIRE), taken = ring->taken;
    long count = 0;
    for (; taken < put; count++) {
        struct parcel parcel = ring->parcel[taken % HANDOVER_ROOM];
        __atomic_store_n(&ring->taken, ++taken, __ATOMIC_RELEASE);
        *wrong = parcel_finish(&parcel, mem);
        if (*wrong)
            return -1;
    }
    return count;
}
