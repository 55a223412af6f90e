/* fit_portable.c: first fit compiled for any processor, and the calls that no other variant has.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fit.h"

#include "aligned.h"
#include "carve.h"
#include "resize.h"

const struct fit_calls fit_calls_portable = {fit_alloc,      fit_alloc_aligned, fit_free,
                                             fit_alloc_many, fit_alloc_best,    fit_free_span,
                                             fit_resize};

uint64_t fit_place(const struct shmheap *heap, uint64_t need)
{
    struct free_block block;
    uint64_t top = top_load(heap);
    int result =
        top != GRANULE_NONE ? find_first(heap, free_set_form(heap), need, top, &block) : FIT_BAD;
    return result > 0                                      ? block.granule
           : result == FIT_NONE && heap->end - top >= need ? top
                                                           : GRANULE_NONE;
}

void fit_format(struct shmheap *heap)
{
    block_publish(heap, 0, header_free(heap->end));
    start_set(heap, 0);
    store_u64(&heap->control->top, 0);
    store_u64(&heap->control->free_blocks, 1);
}

int fit_extend(struct shmheap *heap, uint64_t len, uint64_t new_end)
{
    struct control *control = heap->control;
    uint64_t end = heap->end, top = top_load(heap);
    if (top == GRANULE_NONE || (top != end && !top_is_sound(heap, top)))
        return FIT_BAD;
    /* [ top ]|  =>  [ top ][ new ]|  =>  [ top -------- ]|   Each arrow is a publishing store, the
     * first one that of the region's length. A death between them leaves two free neighbours, which
     * recovery merges. */
    block_prepare(heap, end, header_free(new_end - end));
    store_publish(&control->len, len);
    SHARED_STORE(&heap->end, new_end);
    if (top != end) {
        block_publish(heap, top, header_free(new_end - top));
    } else {
        start_set(heap, end);
        store_u64(&control->free_blocks, load_u64(&control->free_blocks) + 1);
    }
    free_set_extend_top(heap, free_set_form(heap), top, end);
    store_u64(&control->grows, load_u64(&control->grows) + 1);
    return 0;
}
