/* connection.h: what a process knows of a heap it is connected to.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CONNECTION_H
#define SHMHEAP_CONNECTION_H

#include <stddef.h>
#include <stdint.h>

#include "layout.h"

struct cache;
struct fit_calls;

/* struct shmheap is private to the process (a child made by fork has its own copy). The fixed fields of the
 * segment are copied here once and checked; the segment's own are not read again.
 *   1  ready is 1 only while the connection is open, may write and holds a slot
 *   2  [base, base + map_len) is mapped, and holds the layout's segment
 *   3  the file (if any) has at least region_off + len_known bytes; len_known only grows
 *   4  end is the granules of len_known */
struct shmheap {
    uint32_t ready;
    uint32_t slot;         /* 0: none, as in a child that has not changed the heap yet */
    unsigned shift;        /* log2 of the granule */
    unsigned block_min;    /* granules */
    unsigned char *region;
    struct control *control;
    struct chunk_bits *bits;
    uint64_t len_known;    /* written by any thread, upwards */
    uint64_t end;
    uint64_t huge_next;    /* granule: behind it the memory was reserved in small pages, and nobody here has used it yet; see huge.h */
    uint32_t cached;       /* 1: threads keep free blocks for themselves */
    uint32_t few_max;      /* free blocks that go into the list, at most FEW_MAX */
    const struct fit_calls *fit; /* first fit for this processor */
    uint64_t handle_tag;   /* bits 51-63, in place */
    uint64_t *row[ROW_LEVELS_MAX]; /* ROW_LEVELS_MIN at least: those that the segment lacks are spare_row */
    uint32_t *level[LEVELS_MAX];
    struct layout layout;
    /* seldom used */
    uint64_t id;
    uint64_t created_ns;
    uint64_t format_flags;
    uint32_t region_align;
    uint32_t slot_count;
    uint32_t slots_there;  /* how many of them there were when somebody here looked last */
    int taken;             /* 1 from the first step of connecting to the last of disconnecting; under the register's mutex */
    int open, read_only;
    int huge;              /* huge pages were asked for */
    int fd;                /* -1: memory without a file */
    int fd_lent;           /* the same file, read-only; -1: not asked for yet */
    unsigned char *base;
    size_t map_len;
    int unmap;             /* the mapping is ours to remove */
    int is_path;           /* the name was a path */
    int is_of_socket;      /* and socket was added to it */
    int socket;
    unsigned lock_limit_ms; /* how long to wait for a live owner of the lock */
    uint64_t spare_row[ROWS]; /* written, never read for anything */
    struct cache *caches;  /* of threads; under the mutex of cache.c */
    struct shmheap *next;  /* all connections of the process, closed ones too, which later ones take over */
};

/* Granules that the segment is known to have behind it. */
static inline uint64_t connection_end(const struct shmheap *heap) { return load_u64(&heap->end); }

#endif
