/* SPDX-License-Identifier: Apache-2.0 */
#include "grow.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "fit.h"
#include "segment.h"

enum { GROW_STEP = 65536 };

/* 0 where the file system surely lacks the memory for a region of len bytes. A tmpfs with a limit knows how much it has left. It
 * is asked first: a reservation takes all of that, page by page, and gives it back, before it fails. */
static int may_be_had(struct shmheap *heap, uint64_t len)
{
    struct statfs left;
    struct stat file;
    int fd = connection_fd(heap);
    if ((heap->format_flags & FORMAT_SPARSE) || fd < 0 || fstatfs(fd, &left) != 0 || left.f_type != TMPFS_MAGIC ||
        left.f_blocks == 0 || fstat(fd, &file) != 0)
        return 1;
    /* What the file has beyond the region, be it the index or what a grower that died had reserved, need not be had. */
    uint64_t has = (uint64_t)file.st_blocks * 512, more = len > has ? len - has : 0;
    return more / (uint64_t)left.f_bsize <= left.f_bfree;
}

static int grow_to(struct shmheap *heap, uint64_t len)
{
    uint64_t end = layout_granules(len, heap->shift);
    if (!may_be_had(heap, len) || end < heap->end + heap->block_min || segment_reserve(heap, len) != 0) {
        errno = ENOMEM;
        return -1;
    }
    if (fit_extend(heap, len, end) != 0 || segment_refresh(heap) != 0) {
        errno = EBADMSG;
        return -1;
    }
    return 0;
}

int grow_for(struct shmheap *heap, uint64_t need)
{
    uint64_t max = heap->layout.max_len, len = load_u64(&heap->len_known);
    uint64_t tail = load_u64(&heap->control->tail), end = heap->end;
    if (len == max || tail > end || need > heap->layout.granules_max) {
        errno = ENOMEM;
        return -1;
    }
    uint64_t least = REGION_LEAD + ((tail + need) << heap->shift);
    least = round_up(least < len + heap->block_min * 16u ? len + heap->block_min * 16u : least, 4096);
    if (least > max)
        least = max;
    if (layout_granules(least, heap->shift) - tail < need) {
        errno = ENOMEM;
        return -1;
    }
    uint64_t wanted = len + (len / 2 > GROW_STEP ? len / 2 : GROW_STEP) / 4096 * 4096;
    if (wanted > max)
        wanted = max;
    int before = errno;
    if (wanted > least && grow_to(heap, wanted) == 0)
        return 0;
    errno = before; /* there may be memory for less */
    return grow_to(heap, least);
}
