/* parts.h: the pages of a heap's file that a region of a given length needs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A region that may grow needs only the begin of each array of the index:
 *
 *   [ control, slots, bits ..|   ][ bins 0 ..|  ] ... [ tree 1 ..|  ][ region ..|  ][ slots ]
 *     part 0                        part 1              part n - 2      part n - 1
 *
 * Parts consist of whole pages. A page that two parts share belongs to the later one. A page that
 * the region shares with the slots behind it belongs to the region up to the segment's end, but on
 * hugetlbfs to the slots. So no page is reserved twice. */
#ifndef SHMHEAP_PARTS_H
#define SHMHEAP_PARTS_H

#include "connection.h"

/* struct part: bytes of the file. from >= to: none. */
struct part {
    uint64_t from, to;
};

enum { PARTS_MAX = 1 + BIN_LEVELS_MAX + LEVELS_MAX + 1 };

static inline uint64_t parts_page_up(const struct shmheap *heap, uint64_t off)
{
    return round_up(off, heap->file_page);
}

static inline uint64_t parts_page_down(const struct shmheap *heap, uint64_t off)
{
    return off / heap->file_page * heap->file_page;
}

/* parts_map_len returns the length of a mapping of the whole segment with all slots, in whole huge
 * pages on hugetlbfs. */
uint64_t parts_map_len(const struct shmheap *heap);

/* parts_pages stores the parts that a region of len bytes needs, PARTS_MAX at most: their
 * number. */
unsigned parts_pages(const struct shmheap *heap, uint64_t len, struct part *parts);

/* parts_added stores the parts that a region of len bytes needs and one of was bytes (0: none)
 * lacks, PARTS_MAX + 1 at most: their number. */
unsigned parts_added(const struct shmheap *heap, uint64_t was, uint64_t len, struct part *added);

/* parts_end returns where the last part ends: how long the file is after their reservation. */
uint64_t parts_end(const struct part *parts, unsigned count);

/* parts_len returns the bytes in the parts. */
uint64_t parts_len(const struct part *parts, unsigned count);

#endif
