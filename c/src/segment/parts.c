/* parts.c: computes the pages that a region needs, from layout and length; a growth adds the
 * difference of two lengths.
 * SPDX-License-Identifier: Apache-2.0 */
#include "parts.h"

uint64_t parts_map_len(const struct shmheap *heap)
{
    uint64_t len = heap->layout.map_len;
    return heap->file_kind == FILE_IN_HUGE_PAGES ? parts_page_up(heap, len) : len;
}

/* Stores the bytes that a region of len bytes needs, part by part. */
static unsigned parts_bytes(const struct shmheap *heap, uint64_t len, struct part *parts)
{
    const struct layout *layout = &heap->layout;
    uint64_t granules = layout_granules(len, heap->shift);
    uint64_t chunks = (granules + CHUNK_GRANULES - 1) / CHUNK_GRANULES, groups = chunks;
    unsigned count = 0;
    parts[count++] = (struct part){0, layout->bits_off + (chunks + 1) * sizeof(struct chunk_bits)};
    for (unsigned level = 0; level < layout->bin_levels; level++) {
        uint64_t off = layout->bin_off[level];
        groups = (groups + WORD_BITS - 1) / WORD_BITS;
        parts[count++] = (struct part){off, off + groups * BINS * sizeof(uint64_t)};
    }
    for (unsigned level = 0; level < layout->levels; level++) {
        uint64_t off = layout->level_off[level];
        chunks = round_up(chunks, NODE_CHILDREN);
        parts[count++] = (struct part){off, off + chunks * sizeof(uint32_t)};
        chunks /= NODE_CHILDREN;
    }
    parts[count++] = (struct part){layout->region_off, layout->region_off + len};
    return count;
}

unsigned parts_pages(const struct shmheap *heap, uint64_t len, struct part *parts)
{
    const struct layout *layout = &heap->layout;
    unsigned count = parts_bytes(heap, len, parts);
    uint64_t limit = layout->segment_len;
    if (heap->file_kind == FILE_IN_HUGE_PAGES)
        limit = layout->map_len > limit ? parts_page_down(heap, layout->more_off)
                                        : parts_page_up(heap, limit);
    for (unsigned part = count; part-- > 0; limit = parts[part].from) {
        parts[part].from = parts_page_down(heap, parts[part].from);
        parts[part].to = parts_page_up(heap, parts[part].to);
        if (parts[part].to > limit)
            parts[part].to = limit;
    }
    return count;
}

unsigned parts_added(const struct shmheap *heap, uint64_t was, uint64_t len, struct part *added)
{
    const struct layout *layout = &heap->layout;
    int huge_pages = heap->file_kind == FILE_IN_HUGE_PAGES;
    struct part had[PARTS_MAX];
    if (was == 0 && len == layout->max_len) { /* one part, so that huge pages fit */
        added[0] = (struct part){0, huge_pages ? parts_map_len(heap) : layout->segment_len};
        return 1;
    }
    unsigned count = parts_pages(heap, len, added);
    if (was != 0) {
        parts_pages(heap, was, had);
        for (unsigned part = 0; part < count; part++)
            added[part].from = had[part].to;
    } else if (huge_pages && layout->map_len > layout->segment_len) {
        /* On hugetlbfs a mapping makes the file as long as itself, and so all slots exist. */
        added[count].from = parts_page_down(heap, layout->more_off);
        added[count++].to = parts_map_len(heap);
    }
    return count;
}

uint64_t parts_end(const struct part *parts, unsigned count)
{
    uint64_t end = 0;
    for (unsigned part = 0; part < count; part++)
        if (parts[part].from < parts[part].to && parts[part].to > end)
            end = parts[part].to;
    return end;
}

uint64_t parts_len(const struct part *parts, unsigned count)
{
    uint64_t len = 0;
    for (unsigned part = 0; part < count; part++)
        if (parts[part].from < parts[part].to)
            len += parts[part].to - parts[part].from;
    return len;
}
