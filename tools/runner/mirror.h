/* mirror.h: private memory that is laid out as the region of a heap.
 *
 *   region of the heap, shared   [ H |            ][ H |      ][ free         ]
 *   mirror, private              [ W | object     ][ W | object ][            ]
 *
 * The object of the block at offset n of the region lies at offset n of the mirror. So the heap has
 * the blocks, and the program's bytes stay its own: a child made by fork(), _Fork() or clone() gets
 * a copy of them, as of any memory, and goes on with it. In the place of the block's header H the
 * mirror has the word W of the object.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RUNNER_MIRROR_H
#define SHMHEAP_RUNNER_MIRROR_H

#include <shmheap.h>

struct mirror {
    char *base;
    size_t len;
    ptrdiff_t to_region; /* from an object to its block's payload */
    size_t fresh;        /* no object has lain from this offset on: the bytes are zero */
};

/* mirror_map maps a mirror for the heap: 0, or -1 with errno. It is never unmapped: children have
 * objects there. */
int mirror_map(struct mirror *mirror, shmheap_memory_handle heap);

static inline int mirror_has(const struct mirror *mirror, const void *object)
{
    return (uintptr_t)object - (uintptr_t)mirror->base < mirror->len;
}

#endif
