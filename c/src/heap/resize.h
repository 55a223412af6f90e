/* resize.h: a live object becomes longer or shorter in its place.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [ LIVE      ][ behind    ]      the header of the new rest is prepared inside LIVE or inside
 *   [ LIVE ][ rest           ]      behind; the store to LIVE's header publishes the new border
 *
 * A death leaves the old border or the new one. */
#ifndef SHMHEAP_RESIZE_H
#define SHMHEAP_RESIZE_H

#include "first_fit.h"

/* Publishes the new size: 1, or 0 where the header is not what it was. Meanwhile a holder may turn
 * the object from used to shared, which it can do once: so two tries are enough. */
static int resize_publish(struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t need)
{
    for (int i = 0; i < 2; i++) {
        uint64_t header = bits_live_header(heap, granule);
        if (header_size(header) != size)
            return 0;
        if (block_republish(heap, granule, header, (header & ~HEADER_SIZE_MASK) | need))
            return 1;
    }
    return 0;
}

/* The index and the counts after the border has moved from next to border. */
static void resized(struct shmheap *heap, uint64_t form, uint64_t next, uint64_t border,
                    const struct free_block *behind)
{
    struct control *control = heap->control;
    int had_rest = behind->size != 0, has_rest = border != next + behind->size;
    free_set_move(heap, form, next, border, behind);
    if (had_rest)
        start_clear(heap, next);
    if (has_rest)
        start_set(heap, border);
    count_used(control, border - next);
    store_u64(&control->free_blocks, load_u64(&control->free_blocks) + has_rest - had_rest);
}

static int fit_resize(struct shmheap *heap, uint64_t granule, uint64_t need)
{
    struct free_block behind;
    uint64_t form = free_set_form(heap), top = top_load(heap),
             header = bits_live_header(heap, granule);
    if (UNLIKELY(header == 0))
        return FIT_UNKNOWN;
    uint64_t size = block_size_checked(heap, granule, header, heap->end), next = granule + size;
    if (UNLIKELY(size == 0 || top == GRANULE_NONE ||
                 !free_set_behind(heap, form, next, top, &behind)))
        return FIT_BAD;
    uint64_t room = size + behind.size;
    if (room < need)
        return FIT_NONE;
    if (room - need < heap->block_min)
        need = room; /* [ LIVE ][ behind ] => [ LIVE          ] */
    if (need == size)
        return 0;
    if (need != room)
        block_prepare(heap, granule + need, header_free(room - need));
    if (UNLIKELY(!resize_publish(heap, granule, size, need)))
        return FIT_BAD;
    resized(heap, form, next, granule + need, &behind);
    return 0;
}

#endif
