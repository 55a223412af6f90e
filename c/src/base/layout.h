/* layout.h: the structs that live in shared memory. FORMAT.md describes the same byte by byte.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [ control ][ slots ][ bits ][ rows, level 0, 1 ... ][ tree, level 0, 1 ... ][ region ]
 *
 * Everything is little-endian and of fixed width; no pointer is stored. Offsets in control are from
 * the start of the segment, all others from the start of the region. */
#ifndef SHMHEAP_LAYOUT_H
#define SHMHEAP_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "platform.h"

#define FORMAT_MAGIC UINT64_C(0x0a504145484d4853) /* "SHMHEAP\n" */
#define FORMAT_VERSION 7u

enum {
    REGION_LEN_MIN = 128,
    REGION_LEAD =
        8, /* bytes before the first header: payloads are aligned to 16 when headers are at 8 modulo 16 */
    HEADER_SIZE = 8,
    CHUNK_GRANULES = 64,
    NODE_CHILDREN = 16,
    LEVELS_MIN = 3, /* so that the lowest can be updated without asking whether they exist */
    LEVELS_MAX = 8,
    BINS =
        64, /* of small free blocks, by size in granules; and chunks that a word of theirs covers */
    BIN_LEVELS_MIN = 3, /* that can be written without asking whether they exist */
    BIN_LEVELS_MAX = 5,
    LIST_MAX = 64, /* free blocks that the list has room for */
    WAIT_CLASSES =
        4, /* of sizes that threads wait for: each has 9 bits of granules more than the one before */
    SLOT_GONE = 0,    /* in headers: the holder died, and its slot was given to another */
    SLOT_LEFT = 1023, /* in headers: the holder disconnected in order */
    SLOTS_MAX = 1023, /* entries of the table at most; entry 0 is never taken */
    SLOTS_MIN = 8,
    SLOTS_FIRST_MIN = 16,     /* of the entries in a file so many at least lie before the index, */
    SLOTS_FIRST_EACH = 65536, /* and one for each so many bytes that the region may have */
    FILE_ALIGN = 64, /* of a region in a file, at least; less only in the caller's memory */
    CONTROL_SIZE = 768,
    SLOT_SIZE = 40,
    SLOT_COLLECTOR = 1023, /* in the lock: who frees slots because it found none */
    USERS_BYTE =
        1024, /* of the file: all connections hold a shared lock on it; byte s is that of slot s */
    COLLECTOR_BYTE = 1025, /* of the file: locked by the collector */
    MAKER_BYTE =
        1026, /* of the file: locked by the process that makes the heap, until it is made */
    REMOVER_BYTE =
        1030 /* of the file: locked by a user that compares the name with the file and then removes it */
};

/* The header of a block, 8 bytes at region offset 8 + granule * g, is the only truth.
 *   bits 0-35   size in granules, header included
 *   bits 36-38  state, enum shmheap_state
 *   bits 39-48  slot of the holder; 0 when free
 *   bits 49-63  stamp of the allocation; 0 when free
 * The walk from granule 0, by adding sizes, reaches the end of the region exactly, at every
 * instant. */
#define HEADER_SIZE_BITS 36
#define HEADER_STATE_SHIFT 36
#define HEADER_SLOT_SHIFT 39
#define HEADER_GENERATION_SHIFT 49
#define HEADER_SIZE_MASK ((UINT64_C(1) << HEADER_SIZE_BITS) - 1)
#define HEADER_STATE_MASK 7u
#define HEADER_SLOT_MASK 1023u
#define GENERATION_MASK 0x7fffu
#define GENERATION_AHEAD_MAX 4096u /* a stamp that seems to be ahead by more is an old one */

/* A handle: bits 0-35 granule of the block, 36-50 stamp, 51-63 tag of the heap, never 0. */
#define HANDLE_GENERATION_SHIFT 36
#define HANDLE_TAG_SHIFT 51

/* struct control lives in shared memory, at the start of the segment. "Fixed" fields are written
 * before magic and never again; who connects copies and checks them once. The others change under
 * the lock only, unless said. Numbered rules, which shmheap_check reports:
 *   1  the fixed fields are those that this connection found when it connected
 *   2  len is at least 128, at most max_len, and within the file
 *   3  each block's size is at least the smallest and ends at or before the end of the region
 *   4  each block's state is one of the format's
 *   5  a free block has slot 0 and stamp 0
 *   6  each other block's slot is 0 (gone), 1023 (left) or one that is in use
 *   7  no two free blocks are neighbours
 *   8  tail is the first granule of the last block if that is free, else the end
 *   9  the start bits are set where blocks start, and nowhere else
 *   10 where few is NOT_LISTED, the edge bits are set at the first and the last granule of free
 *      blocks, and nowhere else; else all are 0
 *   11 the tail left out: where few is NOT_LISTED, each chunk's bits in the rows of level 0 are those
 *      of the sizes of free blocks that start in it, and its entry in the tree's level 0 is the
 *      size of the large one that does, or 0. Else all of these are 0, and the list has all free
 *      blocks
 *   12 each bit and each entry of higher levels, and each row's first chunk, is what follows from
 *      the level below; in the rows, from level 2 on, a bit may be set though it need not. Where
 *      there is a list, first is the list
 *   13 used_granules and free_blocks count what the headers say, and allocs less frees the blocks
 *      that are not free
 *   14 each name has a record, an object of its own in state named, and is found; each object in
 *      state named has a name */
struct control {
    /* fixed */
    shared_u64 magic;        /* FORMAT_MAGIC, stored last when creating */
    shared_u32 version;      /* FORMAT_VERSION */
    shared_u32 shift;        /* log2 of the granule: 3 or 4 */
    shared_u64 id;           /* random */
    shared_u64 max_len;      /* bytes of the region at most */
    shared_u64 region_off;   /* of the region, from the segment's start */
    shared_u32 region_align; /* power of two that region_off is a multiple of */
    shared_u32 slot_count;   /* entries of the slot table, entry 0 included */
    shared_u64 flags;        /* FORMAT_SPARSE, FORMAT_REAP */
    shared_u64 created_ns;   /* since 1970 */
    /* lock */
    shared_u64
        lock; /* low half: the futex, as the kernel's robust futexes; high half: the owner's slot */
    shared_u64 sequence; /* odd while somebody changes the heap: for readers that cannot lock */
    shared_u64
        waiting; /* 1: somebody is about to sleep for the lock, or was; a hint for who unlocks */
    shared_u32
        wait_sleepers; /* 1: threads wait for space, and none of them has been woken for what was freed. Under the lock */
    shared_u32 wait_futex; /* they sleep on it; changes before a wake. Under the lock */
    shared_u64
        caching; /* 1: there may be blocks in caches that are worth asking for. Under the lock */
    shared_u64
        generations; /* the last new block's stamp, or one given up that was ahead of it, in the low 15 bits. Under the lock */
    shared_u64 listed; /* rule 11: free blocks in the list, or NOT_LISTED. Under the lock */
    shared_u64
        cache_lines; /* granule of the first struct cache_line, plus 1; 0: there is none. Under the lock */
    /* under the lock, with each operation */
    shared_u64 len;                        /* bytes of the region now. Truth, as the headers are */
    shared_u64 top;                        /* rule 8 */
    shared_u64 used_granules, free_blocks; /* rule 13 */
    shared_u64 high_granules;              /* the most that used_granules was */
    shared_u64 allocs, frees;              /* since creation, rule 13 */
    shared_u64 alloc_granules;             /* of all allocs since creation */
    /* under the lock, seldom */
    shared_u64 failed_allocs, grows, recoveries, last_recovery_ns;
    shared_u64 names_table;   /* granule of the block that is the table of names, plus 1; 0: none */
    shared_u64 names_count;   /* rule 14 */
    shared_u64 names_changes; /* odd while names come or go: for who looks without the lock */
    shared_u64 names_ever;    /* 1: there may be blocks that belong to names */
    /* under the lock, with each operation */
    shared_u32
        first[2 * BINS]; /* rule 12: see size_bins.h; or rule 11, the list: see free_list.h */
};
STATIC_ASSERT(sizeof(struct control) <= CONTROL_SIZE, control_fits);

/* struct fixed is private: a copy of the fixed fields, which is checked and then used. */
struct fixed {
    uint64_t magic;
    uint32_t version, shift;
    uint64_t id, max_len, region_off;
    uint32_t region_align, slot_count;
    uint64_t flags, created_ns;
};
STATIC_ASSERT(sizeof(struct fixed) == offsetof(struct control, lock),
              fixed_fields_are_all_before_lock);
STATIC_ASSERT(offsetof(struct control, lock) == 64, lock_has_its_line);
STATIC_ASSERT(offsetof(struct control, len) == 128, counters_have_their_line);
STATIC_ASSERT(offsetof(struct control, failed_allocs) == 192, counters_fill_their_line);
STATIC_ASSERT(offsetof(struct control, first) == 256, first_has_its_lines);

#define NOT_LISTED UINT64_MAX /* the free blocks are in the rows and the tree */
#define LIST_GRANULES                                                                              \
    UINT64_C(                                                                                      \
        0x7fffffff) /* as many a heap with a list may not have: so all numbers in it are below 2^31 */
#define FORMAT_SPARSE UINT64_C(1) /* the segment's memory is not reserved */
#define FORMAT_REAP UINT64_C(2)   /* what the dead held is taken back before an alloc fails */

/* struct slot lives in shared memory. In the file of a small heap the first entries alone lie
 * before the index; the others lie behind the region, where the file reaches only as far as they
 * were needed: those behind its end count as free. A process that takes a slot swaps word from
 * free. In a file it first locks byte s of the file for writing (an open-file-description lock,
 * gone with the process). Where only a reader's lock stands in the way it takes the slot by its
 * pid, as without a file. */
struct slot {
    shared_u64
        word; /* bits 0-5 enum slot_state, 6 children may know what the holder held, though no claim of theirs is to be seen, 7 the
                              holder lives as long as pid (else: as the lock), 8-31 the space of pid, see process.h (0: unknown), 32-53 pid,
                              54-63 without a file: the slot that the holder's parent had; 0: none */
    shared_u64 start_ticks;  /* of the process since boot, field 22 of /proc/PID/stat; 0: unknown */
    shared_u64 connected_ns; /* since 1970 */
    shared_u64 name[2];      /* 16 characters */
};
STATIC_ASSERT(sizeof(struct slot) == SLOT_SIZE, slots_are_packed);

#define SLOT_HAS_HEIRS 0x40u /* in word, bit 6 */
#define SLOT_BY_PID 0x80u    /* in word, bit 7 */
#define SLOT_STATE_MASK 0x3fu
#define SLOT_NAMESPACE_SHIFT 8
#define SLOT_NAMESPACE_MASK 0xffffffu
#define SLOT_PID_SHIFT 32
#define SLOT_PID_MASK 0x3fffffu /* Linux' PID_MAX_LIMIT is 2^22 */

/* In a file, the holder of a slot and each child since keep a byte of the file locked, at
 * CLAIM_FIRST plus a hash, below CLAIM_RANGE, of slot, pid and connected_ns: another one each time
 * that the slot is taken, since children may keep theirs for long. */
#define CLAIM_FIRST UINT64_C(4096)
#define CLAIM_RANGE (UINT64_C(1) << 30)

/* struct hints lives in shared memory, in the place of slot entry 0, which is no slot's. Under the
 * lock. A wrong one costs a walk, or delays what an alloc or a thread that waits could have found.
 * */
struct hints {
    shared_u64 reap_wanted; /* 1: there may be blocks of slot SLOT_GONE to be reaped */
    shared_u64
        reap_after_ns; /* the monotonic clock: before, no alloc that fails asks which processes are dead */
    shared_u64
        reclaim_after_ns; /* the same clock: before, no thread that waits for space asks caches again */
    shared_u32 wait_least
        [WAIT_CLASSES]; /* by class of size: the fewest granules that a waiting thread needs; 0: none waits */
};
STATIC_ASSERT(sizeof(struct hints) <= SLOT_SIZE, hints_fit_an_entry);

enum slot_state {
    SLOT_FREE = 0,  /* no block names this slot */
    SLOT_TAKEN = 1, /* by a process, alive or dead */
    SLOT_VACATED =
        2, /* left in order; blocks may still name it. Becomes free under the lock alone */
    SLOT_LEAVING =
        3, /* taken, by a process that is in exit(): when it is gone it has left in order */
    SLOT_HEIR =
        4 /* without a file: taken by a child, for its claim; it has not changed the heap yet */
};

/* struct cache_line lives in shared memory: the payload of a block in state internal, held by the
 * slot of a process with SHMHEAP_CACHED, one for each thread that caches. Its blocks in state
 * cached are those of all the lines of that slot.
 *   1  kind is INTERNAL_CACHE
 *   2  active is 1 only while the thread may be taking blocks from its cache or adding to it
 *   3  requested is set by another process, under the lock. The thread then leaves its cache alone
 *      until it has acquired the lock and answered. So a process that has set it, has waited for a
 *      barrier on all processors and then loads active 0, may free the blocks
 *   4  epoch changes, under the lock, when the blocks were freed: the thread then forgets them
 *   5  the line of each living thread is in the list that begins at control->cache_lines. Each
 *      store to the list leaves it so: a death leaves at most a line of the dead that is not in it
 *      */
struct cache_line {
    shared_u64 kind;
    shared_u32 active, requested;
    shared_u64 epoch;
    shared_u64 next; /* granule of the next line, plus 1; 0: this is the last. Under the lock */
    shared_u64 pad[11];
};
STATIC_ASSERT(sizeof(struct cache_line) == 120, cache_line_and_the_next_header_fill_two_lines);

#define INTERNAL_CACHE UINT64_C(0x4548434143) /* "CACHE" */

/* struct name_record lives in shared memory: the payload of a block in state internal, slot 0, that
 * makes the object at `object` the one of this name. It is there as long as it has a user or is
 * kept; the rest (states of objects, links, table) follows from it. A user is a word: bits 0-31
 * slot (also SLOT_GONE, SLOT_LEFT), 32-63 how often, 0 when the word is free. */
enum { NAME_USERS = 4, NAME_LEN_MAX = 255, USERS_MORE = 28 };
struct name_record {
    shared_u64 kind;       /* INTERNAL_NAME */
    shared_u64 object;     /* bits 0-35 granule, 49-63 stamp */
    shared_u64 object_len; /* bytes, as asked for */
    shared_u64 hash;
    shared_u64 more; /* granule of the first block of more users, plus 1; derived */
    shared_u64 users[NAME_USERS];
    shared_u64 kept;     /* not 0: the name stays without users, until it is removed by name */
    shared_u64 name_len; /* 1 to 255 */
    shared_u64 name[];   /* rounded up to a multiple of 8, filled up with zeros */
};

/* struct name_more lives in shared memory: more users of a name, in a block in state internal, slot
 * 0. */
struct name_more {
    shared_u64 kind;   /* INTERNAL_USERS */
    shared_u64 record; /* bits 0-35 granule, 49-63 stamp */
    shared_u64 more;   /* as above */
    shared_u64 users[USERS_MORE];
};

/* struct name_table lives in shared memory: where names are, by open addressing; in a block in
 * state internal, slot 0. Derived. */
struct name_table {
    shared_u64 kind; /* INTERNAL_TABLE */
    shared_u64 entries
        []; /* a power of two of them; bits 0-35 granule of the record plus 1, 36-63 bits of the hash; 0: none */
};

#define INTERNAL_NAME UINT64_C(0x454d414e)    /* "NAME" */
#define INTERNAL_USERS UINT64_C(0x5352455355) /* "USERS" */
#define INTERNAL_TABLE UINT64_C(0x454c424154) /* "TABLE" */

/* struct chunk_bits lives in shared memory: the bits of 64 granules. Derived. Bit i of chunk c is
 * granule 64 c + i. */
struct chunk_bits {
    shared_u64 start;    /* a block starts here */
    shared_u64 boundary; /* the first or the last granule of a free block */
};
STATIC_ASSERT(sizeof(struct chunk_bits) == 16, four_chunks_a_line);

/* struct layout is private: where things are in a segment, computed from the fixed fields alone. */
struct layout {
    uint64_t max_len, granules_max, chunks_max;
    uint64_t slots_off, bits_off, region_off, segment_len;
    uint32_t slots_first; /* entries at slots_off */
    uint64_t more_off;    /* the others, as far as there are any */
    uint64_t map_len;     /* with all of them */
    uint64_t bin_off[BIN_LEVELS_MAX], bin_len[BIN_LEVELS_MAX]; /* groups of one word a row */
    unsigned bin_levels;
    uint64_t level_off[LEVELS_MAX];
    uint32_t level_len[LEVELS_MAX]; /* entries, a multiple of 16 */
    unsigned levels;
};

/* Granules that a region of len bytes holds. */
static inline uint64_t layout_granules(uint64_t len, unsigned shift)
{
    return (len - REGION_LEAD) >> shift;
}

/* The fewest granules of a block: a header and 8 bytes. */
static inline unsigned layout_block_min(unsigned shift) { return shift == 3 ? 2 : 1; }

/* Entries of the table that are always there. In a file the others come when they are needed: all
 * 1023 would be 40 KiB. In the caller's memory there is no room behind the region. */
static inline uint32_t layout_slots_first(uint64_t max_len, uint32_t slot_count,
                                          uint32_t region_align)
{
    uint64_t first = max_len / SLOTS_FIRST_EACH;
    first = first < SLOTS_FIRST_MIN ? SLOTS_FIRST_MIN : first;
    return region_align < FILE_ALIGN || first > slot_count ? slot_count : (uint32_t)first;
}

/* layout_compute fills *plan; -1 where the numbers cannot be those of a heap. */
static inline int layout_compute(struct layout *plan, uint64_t max_len, unsigned shift,
                                 uint32_t slot_count, uint32_t region_align)
{
    if ((shift != 3 && shift != 4) || slot_count < 2 || slot_count > SLOTS_MAX ||
        max_len < REGION_LEN_MIN || region_align < 16 || region_align > (1u << 24) ||
        (region_align & (region_align - 1)) != 0 ||
        max_len > UINT64_C(1) << (HEADER_SIZE_BITS + shift))
        return -1;
    plan->max_len = max_len;
    plan->granules_max = layout_granules(max_len, shift);
    plan->chunks_max = (plan->granules_max + CHUNK_GRANULES - 1) / CHUNK_GRANULES;
    plan->slots_off = CONTROL_SIZE;
    plan->slots_first = layout_slots_first(max_len, slot_count, region_align);
    plan->bits_off = round_up(plan->slots_off + (uint64_t)plan->slots_first * SLOT_SIZE, 64);
    /* One more than there are chunks: always 0, so that looking one chunk ahead needs no test for
     * the last. */
    uint64_t off =
        round_up(plan->bits_off + (plan->chunks_max + 1) * sizeof(struct chunk_bits), 64);
    uint64_t groups = (plan->chunks_max + BINS - 1) / BINS;
    for (plan->bin_levels = 0;; groups = (groups + BINS - 1) / BINS) {
        unsigned level = plan->bin_levels++;
        plan->bin_off[level] = off;
        plan->bin_len[level] = groups;
        off += groups * BINS * sizeof(uint64_t);
        if (groups == 1)
            break;
    }
    uint64_t entries = plan->chunks_max;
    for (plan->levels = 0;; entries = (entries + NODE_CHILDREN - 1) / NODE_CHILDREN) {
        unsigned level = plan->levels++;
        plan->level_off[level] = off;
        plan->level_len[level] = (uint32_t)round_up(entries, NODE_CHILDREN);
        off += plan->level_len[level] * sizeof(uint32_t);
        if (entries <= NODE_CHILDREN && plan->levels >= LEVELS_MIN)
            break;
    }
    plan->region_off = round_up(off, region_align);
    plan->segment_len = plan->region_off + max_len;
    plan->more_off = round_up(plan->segment_len, region_align);
    plan->map_len = plan->slots_first == slot_count
                        ? plan->segment_len
                        : plan->more_off + (uint64_t)(slot_count - plan->slots_first) * SLOT_SIZE;
    return 0;
}

#endif
