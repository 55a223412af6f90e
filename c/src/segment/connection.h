/* connection.h: the state of one connection of this process to a heap.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_CONNECTION_H
#define SHMHEAP_CONNECTION_H

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../os/liveness.h"
#include "../base/error.h"
#include "../base/layout.h"
#include "../os/process.h"

struct cache;
struct fit_calls;

/* enum file_kind: the file system of a heap's file, as far as reserving memory depends on it. */
enum file_kind {
    FILE_ELSEWHERE,       /* a disk, a network, unknown */
    FILE_ON_EXT,          /* ext2, ext3, ext4: they allocate blocks when a page is written */
    FILE_ON_BTRFS,        /* copies on write, unless the file is marked */
    FILE_IN_MEMORY,       /* tmpfs, ramfs */
    FILE_MAYBE_IN_MEMORY, /* overlayfs, which does not tell */
    FILE_IN_HUGE_PAGES    /* hugetlbfs */
};

/* struct shmheap is private to the process. It holds a checked copy of the segment's fixed fields;
 * the segment's own are not read again. The struct lies in memory from process_memory: a child made
 * by fork(), _Fork() or clone() has its own copy, whose first line is zero. So the child cannot use
 * its parent's slot.
 *   1  ready is 1 only while the connection is open, may write and holds a slot
 *   2  [base, base + map_len) is mapped, and holds the layout's segment
 *   3  the file (if any) has at least region_off + len_known bytes; len_known only grows
 *   4  end is the granules of len_known
 *   5  fd carries no lock: the locks are those of use and life */
struct shmheap {
    /* zero in a child */
    shared_u32 ready;
    uint32_t slot;     /* 0: none */
    uint32_t zero[14]; /* up to PROCESS_WIPED */
    /* The fields below begin a page, and so does struct control. A load waits for an earlier store
     * at the same offset in another page (4 KiB aliasing: Intel's optimization manual). An
     * operation stores words of control and loads the fields below, so their offsets must
     * differ. */
    unsigned char apart[CONTROL_SIZE];
    /* loaded by each operation */
    unsigned shift;     /* log2 of the granule */
    unsigned block_min; /* granules */
    unsigned char *region;
    struct control *control;
    struct chunk_bits *bits;
    shared_u64 len_known; /* any thread raises it */
    uint64_t end;
    shared_u64 huge_next; /* granule: from here on the memory is unused, in small pages; huge.h */
    uint32_t cached;      /* 1: threads keep free blocks in caches. Becomes 0 when the program ends,
                        * while threads continue: connection_caches */
    uint32_t list_max;    /* free blocks that the free list may hold, at most LIST_MAX */
    const struct fit_calls *fit;     /* first fit for this processor */
    uint64_t handle_tag;             /* bits 51-63, in place */
    shared_u64 *bin[BIN_LEVELS_MAX]; /* at least BIN_LEVELS_MIN; a missing level is spare_bin */
    shared_u32 *level[LEVELS_MAX];
    struct layout layout;
    /* seldom used: copies of fixed fields */
    uint64_t id;
    uint64_t created_ns;
    uint64_t format_flags;
    uint32_t region_align;
    uint32_t slot_count;
    /* the connection's state and options */
    shared_u32 slots_there; /* entries of the slot table when this process last counted them */
    uint32_t slots_tried;   /* entries that slot_take last searched; under slot_mutex */
    int taken;              /* 1 from connecting to disconnecting; under the register's mutex */
    int open, read_only;
    int huge;               /* huge pages were requested */
    int no_dump;            /* the memory stays out of core dumps */
    int has_file;           /* 0: memory of the caller */
    int is_private;         /* that memory is a child's own copy after fork */
    unsigned lock_limit_ms; /* how long to wait for a living owner of the lock */
    /* the file */
    int fd;       /* -1: none. The program may have closed it: connection_fd */
    dev_t device; /* the file's identity */
    ino_t inode;
    enum file_kind file_kind;
    int file_zeros;         /* 1: no fallocate(2), the library writes zeros. Heap's lock */
    uint64_t file_page;     /* bytes that the file system gives at once: a page, or a huge page */
    uint64_t grow_step_max; /* bytes of one growth at most: fewer after a refusal. Heap's lock */
    /* failed allocs until reap_cache_lines searches again, and the last interval. Heap's lock */
    unsigned lines_wait, lines_pace;
    /* names when records that a peer had changed gave no table; 0: they have not. Heap's lock */
    uint64_t names_spoiled;
    int lent_fd[2];   /* of shmheap_fd, shmheap_fd_writable; -1: not lent yet */
    const char *name; /* by which the file was opened: name_text; NULL: none */
    int is_path;      /* the name is a path */
    int is_of_socket; /* and the library added socket to it */
    int socket;
    /* locks and slot */
    struct liveness use;         /* this process or a child uses the heap; the claim */
    int has_claim;               /* the slot's claim byte is locked */
    int use_is_parents;          /* in a child that has no slot yet */
    struct liveness life;        /* the holder of the slot lives */
    struct inherited *inherited; /* `use` of the processes from which this one descends */
    uint32_t slot_copy;          /* slot, but not zero in a child: its parent's slot */
    uint32_t heir_of;            /* the slot that its parent had; 0: none */
    pthread_mutex_t slot_mutex;  /* held by a thread that takes a slot for this connection */
    /* the mapping */
    unsigned char *base;
    size_t map_len;
    int unmap;                  /* this connection made the mapping */
    shared_u64 spare_bin[BINS]; /* written, never read */
    struct cache *caches;       /* of threads; under the mutex of threads.c */
    char name_text[PATH_MAX];
    char label[ERROR_NAME]; /* its name for error_note */
    struct shmheap *next;   /* all connections of the process; a new one reuses a closed one */
};
STATIC_ASSERT(offsetof(struct shmheap, apart) == PROCESS_WIPED,
              what_a_child_must_not_have_is_wiped);

/* connection_is_on_disk returns 1 when pages of the file may come from a page cache, else 0. */
static inline int connection_is_on_disk(const struct shmheap *heap)
{
    return heap->file_kind != FILE_IN_MEMORY && heap->file_kind != FILE_IN_HUGE_PAGES;
}

static inline struct hints *connection_hints(const struct shmheap *heap)
{
    return (struct hints *)(void *)(heap->base + heap->layout.slots_off);
}

/* connection_end returns the granules of the region that this process knows of. */
static inline uint64_t connection_end(const struct shmheap *heap)
{
    return SHARED_LOAD(&heap->end);
}

/* connection_caches: 1 where threads may keep free blocks in caches, else 0.
 * connection_cache_no_more makes it 0. */
static inline int connection_caches(const struct shmheap *heap)
{
    return __atomic_load_n(&heap->cached, __ATOMIC_RELAXED) != 0;
}
static inline void connection_cache_no_more(struct shmheap *heap)
{
    __atomic_store_n(&heap->cached, 0u, __ATOMIC_RELAXED);
}

/* connection_fd returns a descriptor of the heap's file: fd if it still is one. Else it opens the
 * file by its name, or by a mapping where the process has the rights. -1 with errno EBADF when the
 * program has closed fd and neither way leads to the file; EMFILE, ENFILE. */
int connection_fd(const struct shmheap *heap);
struct liveness_file connection_file(const struct shmheap *heap);

/* connection_lockable opens the descriptors of `use` and `life` where they are closed: taking a
 * slot needs them. In a child they are of new descriptions. Returns 0, or -1 with errno.
 * connection_settle closes them; the locks stay. */
int connection_lockable(struct shmheap *heap);
void connection_settle(struct shmheap *heap);

/* connection_drop_inherited ends this process's hold on the descriptions of its parents. */
void connection_drop_inherited(struct shmheap *heap);

#endif
