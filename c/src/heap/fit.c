/* SPDX-License-Identifier: Apache-2.0 */
#include "fit.h"

#include "fit_body.h"

const struct fit_calls fit_calls_portable = {fit_alloc,      fit_alloc_aligned, fit_free,
                                             fit_alloc_many, fit_alloc_best,    fit_free_span,
                                             fit_resize};

uint64_t fit_place(const struct shmheap *heap, uint64_t need)
{
    struct found found = found_none(list_count(heap));
    uint64_t end = heap->end, top = top_checked(heap, end);
    int result = top != GRANULE_NONE ? find_first(heap, need, top, &found) : FIT_BAD;
    return result > 0                                ? found.granule
           : result == FIT_NONE && end - top >= need ? top
                                                     : GRANULE_NONE;
}

void fit_format(struct shmheap *heap)
{
    uint64_t end = heap->end;
    block_publish(heap, 0, header_free(end));
    start_set(heap, 0);
    store_u64(&heap->control->top, 0);
    store_u64(&heap->control->free_blocks, 1);
}

int fit_extend(struct shmheap *heap, uint64_t len, uint64_t new_end)
{
    struct control *control = heap->control;
    uint64_t end = heap->end, top = top_checked(heap, end);
    int list = list_in_use(list_count(heap));
    if (top == GRANULE_NONE || (top != end && !top_is_sound(heap, top, end)))
        return FIT_BAD;
    /* [ tail ]|  =>  [ tail ][ new ]|  =>  [ tail ------- ]|   A death in between leaves two free neighbours. */
    block_prepare(heap, end, header_free(new_end - end));
    store_publish(&control->len, len);
    SHARED_STORE(&heap->end, new_end);
    if (top != end) {
        block_publish(heap, top, header_free(new_end - top));
        boundary_clear_if(heap, end - 1, end - 1 != top && !list);
    } else {
        start_set(heap, end);
        boundary_set_if(heap, end, !list);
        store_u64(&control->free_blocks, load_u64(&control->free_blocks) + 1);
    }
    boundary_set_if(heap, new_end - 1, !list);
    store_u64(&control->grows, load_u64(&control->grows) + 1);
    return 0;
}
