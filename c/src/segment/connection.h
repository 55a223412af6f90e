/* connection.h: what a process knows of a heap it is connected to.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CONNECTION_H
#define SHMHEAP_CONNECTION_H

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../os/anchor.h"
#include "../base/layout.h"
#include "../os/process.h"

struct cache;
struct fit_calls;

/* enum file_kind: what a heap's file lies on, as far as reserving its memory must know. */
enum file_kind {
    FILE_ELSEWHERE,       /* a disk, a network, unknown */
    FILE_ON_EXT,          /* ext2, ext3, ext4: blocks are given when a page is written */
    FILE_ON_BTRFS,        /* copies on write, unless told otherwise */
    FILE_IN_MEMORY,       /* tmpfs, ramfs */
    FILE_MAYBE_IN_MEMORY, /* overlayfs, which does not tell */
    FILE_IN_HUGE_PAGES    /* hugetlbfs */
};

/* struct shmheap is private to the process. The fixed fields of the segment are copied here once
 * and checked; the segment's own are not read again. The struct lies in memory from process_memory:
 * a child made by fork(), _Fork() or clone() has its own copy, in which the first line is zero, so
 * that the child cannot take its parent's slot for its own.
 *   1  ready is 1 only while the connection is open, may write and holds a slot
 *   2  [base, base + map_len) is mapped, and holds the layout's segment
 *   3  the file (if any) has at least region_off + len_known bytes; len_known only grows
 *   4  end is the granules of len_known
 *   5  fd carries no lock: locks are those of use and life */
struct shmheap {
    shared_u32 ready;
    uint32_t slot;      /* 0: none, as in a child that has not changed the heap yet */
    uint32_t zero[14];  /* up to PROCESS_WIPED */
    /* The rest begins a page, and so does struct control. A load waits for an earlier store at the
     * same offset in another page (4 KiB aliasing: Intel's optimization manual). An operation
     * stores words of control and loads the fields below, so their offsets are kept apart: 15 % of
     * an alloc and a free of 64 bytes. */
    unsigned char apart[CONTROL_SIZE];
    unsigned shift;     /* log2 of the granule */
    unsigned block_min; /* granules */
    unsigned char *region;
    struct control *control;
    struct chunk_bits *bits;
    shared_u64 len_known; /* written by any thread, upwards */
    uint64_t end;
    shared_u64 huge_next; /* granule: behind it the memory was reserved in small pages, and nobody
                             here has used it yet; see huge.h */
    uint32_t cached;      /* 1: threads keep free blocks for themselves */
    uint32_t list_max;    /* free blocks that go into the list, at most LIST_MAX */
    const struct fit_calls *fit;     /* first fit for this processor */
    uint64_t handle_tag;             /* bits 51-63, in place */
    shared_u64 *bin[BIN_LEVELS_MAX]; /* BIN_LEVELS_MIN at least: those that the segment lacks are
                                        spare_bin */
    shared_u32 *level[LEVELS_MAX];
    struct layout layout;
    /* seldom used */
    uint64_t id;
    uint64_t created_ns;
    uint64_t format_flags;
    uint32_t region_align;
    uint32_t slot_count;
    shared_u32 slots_there; /* how many of them there were when somebody here looked last */
    int taken; /* 1 from the first step of connecting to the last of disconnecting; under the
                  register's mutex */
    int open, read_only;
    int huge;       /* huge pages were asked for */
    int no_dump;    /* the memory stays out of core dumps */
    int has_file;   /* 0: memory of the caller */
    int is_private; /* that memory is a child's own copy after fork */
    int fd;         /* of the file, perhaps closed by the program since: connection_fd; -1: none */
    dev_t device; /* by which the file is known, whatever number the program gave to another file */
    ino_t inode;
    enum file_kind file_kind;
    int file_zeros;      /* the file system lacks fallocate(2): zeros are written */
    uint64_t file_page;  /* bytes that the file system gives at once: a page, or a huge one */
    uint64_t grow_most;  /* bytes that one growth asks for at most: fewer after a refusal.
                           Under the heap's lock, as file_zeros */
    unsigned lines_wait; /* allocs that fail before the next look at lines of caches, and how many
                            there were from the last look on: reap_cache_lines. Under the heap's lock */
    unsigned lines_pace;
    int lent_fd[2];    /* for reading, and for writing too: shmheap_fd, shmheap_fd_writable; -1: not
                          lent yet */
    const char *name;  /* by which the file was opened: name_text, or NULL: it had none */
    struct anchor use; /* "a process uses the heap", and the claim on what the slot holds: shared
                          with children of fork() */
    int has_claim;     /* the byte of the slot's claim is locked */
    int use_is_parents;          /* in a child that has no slot yet */
    struct anchor life;          /* "the holder of the slot lives": this process's alone */
    struct inherited *inherited; /* `use` of the processes that this one descends from */
    uint32_t slot_copy;          /* slot, but kept in a child: what its parent had */
    uint32_t heir_of;            /* the slot that its parent had, 0: none */
    pthread_mutex_t slot_mutex;  /* threads of this process that look for a slot for this connection
                                 */
    unsigned char *base;
    size_t map_len;
    int unmap;        /* the mapping is ours to remove */
    int is_path;      /* the name was a path */
    int is_of_socket; /* and socket was added to it */
    int socket;
    unsigned lock_limit_ms;     /* how long to wait for a live owner of the lock */
    shared_u64 spare_bin[BINS]; /* written, never read for anything */
    struct cache *caches;       /* of threads; under the mutex of cache.c */
    char name_text[PATH_MAX];
    struct shmheap *next; /* all connections of the process, closed ones too, which later ones take
                             over */
};
STATIC_ASSERT(offsetof(struct shmheap, apart) == PROCESS_WIPED,
              what_a_child_must_not_have_is_wiped);

/* Whether pages of the file come from the page cache of a file system, or may do so. */
static inline int connection_is_on_disk(const struct shmheap *heap)
{
    return heap->file_kind != FILE_IN_MEMORY && heap->file_kind != FILE_IN_HUGE_PAGES;
}

static inline struct hints *connection_hints(const struct shmheap *heap)
{
    return (struct hints *)(void *)(heap->base + heap->layout.slots_off);
}

/* Granules that the segment is known to have behind it. */
static inline uint64_t connection_end(const struct shmheap *heap)
{
    return SHARED_LOAD(&heap->end);
}

/* connection_fd is a descriptor of the heap's file: fd, if that still is this file, or else the
 * file opened anew by its name, or by a mapping of it where the process has the rights. -1 with errno
 * EBADF when the program has closed the descriptor and neither leads to the file. */
int connection_fd(const struct shmheap *heap);
struct anchor_file connection_file(const struct shmheap *heap);

/* connection_lockable gets the descriptors of `use` and `life`, which a slot is taken with, where
 * they are closed: 0, or -1 with errno. In a child they are of descriptions of its own.
 * connection_settle closes them; the anchors stay. */
int connection_lockable(struct shmheap *heap);
void connection_settle(struct shmheap *heap);

/* connection_drop_inherited gives up what the connection has of its process's parents. */
void connection_drop_inherited(struct shmheap *heap);

#endif
