/* grow.c: the growth of the region: it tries a long step, and after a refusal the shortest step
 * that serves.
 * SPDX-License-Identifier: Apache-2.0 */
#include "grow.h"

#include <errno.h>

#include "fit.h"
#include "../base/error.h"
#include "../segment/reserve.h"
#include "../segment/segment.h"

enum { GROW_STEP = 65536, GROW_LEAST = 4096 }; /* bytes: the first step; the unit of all */

/* Makes the region len bytes long. Memory comes first, then fit_extend publishes the length: a
 * death in between leaves a longer file and the old region. */
static int grow_to(struct shmheap *heap, uint64_t len)
{
    uint64_t end = layout_granules(len, heap->shift);
    if (end < heap->end + heap->block_min || reserve_region(heap, len) != 0) {
        /* Where reserve_region has left no cause, its errno is the cause. */
        if (errno != error_state.error && end >= heap->end + heap->block_min)
            error_cause(errno, CAUSE_NONE, 0, 0);
        errno = ENOMEM;
        return -1;
    }
    if (fit_extend(heap, len, end) != 0 || segment_refresh(heap) != 0) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}

/* Halves the step of the next growth after a refusal, else doubles it. So growth takes the last
 * memory in a few steps, and large steps come back with the memory. Returns 0. */
static int grow_step_adjust(struct shmheap *heap, uint64_t step, int refused)
{
    uint64_t most = refused ? step / 2 : 2 * heap->grow_step_max;
    most = most > GROW_LEAST ? most : GROW_LEAST;
    heap->grow_step_max = most < heap->layout.max_len ? most : heap->layout.max_len;
    return 0;
}

int grow_for(struct shmheap *heap, uint64_t need)
{
    uint64_t max = heap->layout.max_len, len = load_u64(&heap->len_known);
    uint64_t top = load_u64(&heap->control->top), end = heap->end;
    if (len == max || top > end || need > heap->layout.granules_max) {
        errno = ENOMEM;
        return -1;
    }
    uint64_t least = REGION_LEAD + ((top + need) << heap->shift);
    uint64_t one_more = len + heap->block_min * 16u;
    least = round_up(least < one_more ? one_more : least, GROW_LEAST);
    if (least > max)
        least = max;
    if (layout_granules(least, heap->shift) - top < need) {
        errno = ENOMEM;
        return -1;
    }
    uint64_t step = len / 2 > GROW_STEP ? len / 2 : GROW_STEP;
    if (step > heap->grow_step_max && heap->grow_step_max < max) /* at max no refusal is in force */
        step = heap->grow_step_max;
    uint64_t wanted = len + step / GROW_LEAST * GROW_LEAST;
    if (wanted > max)
        wanted = max;
    int before = errno, refused = 0;
    if (wanted > least) {
        if (grow_to(heap, wanted) == 0)
            return grow_step_adjust(heap, step, 0);
        refused = 1;
        errno = before; /* there may be memory for a smaller step */
    }
    grow_step_adjust(heap, step, refused);
    return grow_to(heap, least);
}
