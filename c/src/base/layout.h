/* layout.h: the structs that live in shared memory. FORMAT.md gives each byte.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [ control ][ slots ][ bits ][ bins, level 0, 1 ... ][ tree, level 0, 1 ... ][ region ][ slots ]
 *
 * All numbers are little-endian and of fixed width. No pointer is stored. Offsets in control count
 * from the start of the segment, all other offsets from the start of the region. */
#ifndef SHMHEAP_LAYOUT_H
#define SHMHEAP_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "shared.h"

#define FORMAT_MAGIC UINT64_C(0x0a504145484d4853) /* "SHMHEAP\n" */
#define FORMAT_VERSION 7u

enum {
    REGION_LEN_MIN = 128,
    REGION_LEAD = 8, /* bytes before the first header: headers at 8 modulo 16, payloads at 16 */
    HEADER_SIZE = 8,
    WORD_BITS = 64,      /* what one word of the index covers: a bit each for 64 things */
    CHUNK_GRANULES = 64, /* one word of start bits for each chunk */
    NODE_CHILDREN = 16,
    LEVELS_MIN = 3, /* of the tree: the lowest are updated without a test that they exist */
    LEVELS_MAX = 8,
    BINS = 64,          /* sizes of small free blocks: 1 to 63 granules; bin 0 stays empty */
    BIN_LEVELS_MIN = 3, /* written without a test that they exist */
    BIN_LEVELS_MAX = 5,
    LIST_MAX = 64,    /* free blocks that the free list holds at most */
    WAIT_CLASSES = 4, /* of sizes that threads wait for; each spans 9 bits of granules */
    FILE_ALIGN = 64,  /* least alignment of a region in a file; less only in the caller's memory */
    CONTROL_SIZE = 768
};
/* WORD_BITS counts bits, BINS counts sizes; both are 64, and the index relies on it. Of the start
 * bits, a word covers one chunk. Of the bins, a word covers WORD_BITS chunks, and a group is one
 * such word for each of the BINS sizes, next to each other: [ size 0 ][ size 1 ] ... [ size 63 ]
 * As many words as chunks: so the group of chunk c begins at word c, rounded down to 64. */
STATIC_ASSERT(CHUNK_GRANULES == WORD_BITS, a_word_has_a_bit_for_each_granule_of_a_chunk);
STATIC_ASSERT(BINS == WORD_BITS, a_group_begins_at_its_first_chunk);

/* Slots. SLOT_GONE, SLOT_DEPARTED and SLOT_COLLECTOR are labels, and no entries of the table. */
enum {
    SLOTS_MAX = 1023, /* entries of the table at most; entry 0 holds struct hints */
    SLOTS_MIN = 8,
    SLOTS_FIRST_MIN = 16,     /* a file has at least this many entries before the index, */
    SLOTS_FIRST_EACH = 65536, /* and one for each 64 KiB of the largest region */
    SLOT_SIZE = 40,
    SLOT_GONE = 0,        /* in headers: the holder died, and another process has its slot */
    SLOT_DEPARTED = 1023, /* in headers: the holder disconnected in order */
    SLOT_COLLECTOR = 1023 /* in the lock: a process that frees slots because it found none free */
};

/* Bytes of the file that processes lock. Byte s is that of slot s. */
enum {
    USERS_BYTE = 1024,     /* each connection holds a shared lock on it */
    COLLECTOR_BYTE = 1025, /* locked by the collector */
    MAKER_BYTE = 1026,     /* locked by the process that makes the heap, until it is made */
    REMOVER_BYTE = 1030 /* locked by a user that compares the name with the file and removes it */
};

/* The header of a block, 8 bytes at region offset 8 + granule * g, is the only truth.
 *   bits 0-35   size in granules, header included
 *   bits 36-38  state, enum shmheap_state
 *   bits 39-48  slot of the holder; 0 when free
 *   bits 49-63  generation of the allocation; 0 when free
 * A walk from granule 0, which adds the sizes, reaches the end of the region exactly, at every
 * instant. */
#define HEADER_SIZE_BITS 36
#define HEADER_STATE_SHIFT 36
#define HEADER_SLOT_SHIFT 39
#define HEADER_GENERATION_SHIFT 49
#define HEADER_SIZE_MASK ((UINT64_C(1) << HEADER_SIZE_BITS) - 1)
#define HEADER_STATE_MASK 7u
#define HEADER_SLOT_MASK 1023u
#define GENERATION_MASK 0x7fffu
#define GENERATION_AHEAD_MAX 4096u /* a generation that is ahead by more is an old one */

/* A handle: bits 0-35 granule of the block, 36-50 generation, 51-63 tag of the heap, never 0. */
#define HANDLE_GENERATION_SHIFT 36
#define HANDLE_TAG_SHIFT 51

/* struct control lies at the start of the segment. The process that makes the heap stores the fixed
 * fields before magic and never again. A connecting process copies them and checks the copy once.
 * The other fields change under the lock, unless their comment says otherwise. shmheap_check
 * reports these rules by number:
 *   1  the fixed fields are those that this connection found when it connected
 *   2  len is at least 128, at most max_len, and within the file
 *   3  each block has at least the smallest size and ends at or before the end of the region
 *   4  each block's state is one of the format's
 *   5  a free block has slot 0 and generation 0
 *   6  each other block's slot is 0 (gone), 1023 (departed) or in use
 *   7  no two free blocks are neighbours
 *   8  top is the first granule of the last block if that is free, else the end
 *   9  the start bits are set where blocks start, and nowhere else
 *   10 where listed is NOT_LISTED, the boundary bits are set at the first and the last granule of
 *      free blocks, and nowhere else; else all of them are 0
 *   11 where listed is NOT_LISTED, the top block excepted: each chunk's bits in the bins of level 0
 *      are the sizes of the small free blocks that start in it, and its entry in level 0 of the
 *      tree is the size of the large free block that starts in it, or 0. Else all these words are
 *      0, and the free list holds all free blocks
 *   12 each bit and entry of a higher level, and each bin's first chunk, follows from the level
 *      below; from level 2 on, a bit of the bins may be set needlessly. With a list, first is the
 *      list
 *   13 used_granules and free_blocks count what the headers say; allocs minus frees counts the
 *      blocks that are not free
 *   14 each name has a record and an object of its own in state named, and is found; each object in
 *      state named has a name */
struct control {
    /* fixed */
    shared_u64 magic;        /* FORMAT_MAGIC, stored last when the heap is made */
    shared_u32 version;      /* FORMAT_VERSION */
    shared_u32 shift;        /* log2 of the granule: 3 or 4 */
    shared_u64 id;           /* random */
    shared_u64 max_len;      /* bytes of the region at most */
    shared_u64 region_off;   /* of the region, from the segment's start */
    shared_u32 region_align; /* power of two that divides region_off */
    shared_u32 slot_count;   /* entries of the slot table, entry 0 included */
    shared_u64 flags;        /* FORMAT_SPARSE, FORMAT_REAP */
    shared_u64 created_ns;   /* since 1970 */
    /* the lock: low half the futex, as the kernel's robust futexes; high half the owner's slot */
    shared_u64 lock;
    shared_u64 sequence; /* odd while the lock's owner may change the heap; readers check it */
    shared_u64 waiting;  /* 1: a waiter may sleep for the lock. A hint for the unlocker, no lock */
    shared_u32 wait_sleepers; /* 1: threads wait for space, and a free has not woken one yet */
    shared_u32 wait_futex;    /* they sleep on it; it changes before a wake */
    shared_u64 caching;       /* 1: caches may hold blocks that a reclaim would get */
    shared_u64 generations; /* low 15 bits: of the last new block, or of a freed one ahead of it */
    shared_u64 listed;      /* rule 11: free blocks in the free list, or NOT_LISTED */
    shared_u64 cache_lines; /* granule of the first struct cache_line, plus 1; 0: none */
    /* changed by each operation */
    shared_u64 len;                        /* bytes of the region now. Truth, as the headers are */
    shared_u64 top;                        /* rule 8 */
    shared_u64 used_granules, free_blocks; /* rule 13 */
    shared_u64 high_granules;              /* the maximum of used_granules */
    shared_u64 allocs, frees;              /* since creation, rule 13 */
    shared_u64 alloc_granules;             /* of all allocs since creation */
    /* changed seldom */
    shared_u64 failed_allocs, grows, recoveries, last_recovery_ns;
    shared_u64 names_table;   /* granule of the block that is the table of names, plus 1; 0: none */
    shared_u64 names_count;   /* rule 14 */
    shared_u64 names_changes; /* odd while names change: for readers without the lock */
    shared_u64 names_ever;    /* 1: blocks of names may exist */
    /* changed by each operation. Rule 12: the bins, see size_bins.h, or the list, see
     * free_list.h */
    shared_u32 first[2 * BINS];
};
STATIC_ASSERT(sizeof(struct control) <= CONTROL_SIZE, control_fits);

/* struct fixed is a copy of the fixed fields. The process checks it and then uses it. */
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

#define NOT_LISTED UINT64_MAX /* the free blocks are in the bins and the tree */
/* A heap of fewer granules may have a free list: all numbers in the list are below 2^31. */
#define LIST_GRANULES UINT64_C(0x7fffffff)
#define FORMAT_SPARSE UINT64_C(1) /* the segment's memory is not reserved */
#define FORMAT_REAP UINT64_C(2)   /* an alloc reaps before it fails */

/* struct slot is an entry of the slot table: a connected process. In a file, a small heap has its
 * first entries before the index. The other entries lie behind the region as far as the file
 * reaches; entries behind its end count as free.
 * A process takes a slot by a compare-exchange of word from free. In a file it first write-locks
 * byte s (an open-file-description lock, which ends with the process). A process that meets only a
 * reader's lock there takes the slot by its pid, as in memory without a file. */
struct slot {
    shared_u64 word;         /* below */
    shared_u64 start_ticks;  /* of the process since boot, field 22 of /proc/PID/stat; 0: unknown */
    shared_u64 connected_ns; /* since 1970 */
    shared_u64 name[2];      /* 16 characters */
};
STATIC_ASSERT(sizeof(struct slot) == SLOT_SIZE, slots_are_packed);

/* The slot word:
 *   bits 0-5    enum slot_state
 *   bit  6      children may know the holder's objects, although no claim shows them
 *   bit  7      the holder lives as long as its pid, and not as long as its file lock
 *   bits 8-31   PID and time namespace of pid, see os/process.h; 0: unknown
 *   bits 32-53  pid
 *   bits 54-63  without a file: the slot of the holder's parent; 0: none */
#define SLOT_STATE_MASK 0x3fu
#define SLOT_HAS_HEIRS 0x40u
#define SLOT_BY_PID 0x80u
#define SLOT_NAMESPACE_SHIFT 8
#define SLOT_NAMESPACE_MASK 0xffffffu
#define SLOT_PID_SHIFT 32
#define SLOT_PID_MASK 0x3fffffu /* Linux' PID_MAX_LIMIT is 2^22 */
#define SLOT_PARENT_SHIFT 54

enum slot_state {
    SLOT_FREE = 0,    /* no block names this slot */
    SLOT_TAKEN = 1,   /* by a process, alive or dead */
    SLOT_VACATED = 2, /* left in order; blocks may still name it. Freed under the lock alone */
    SLOT_LEAVING = 3, /* taken by a process in exit(): once it has ended it has left in order */
    SLOT_HEIR = 4     /* without a file: a child's, for its claim, before its first change */
};

/* In a file, the holder of a slot and its children keep a claim byte of the file locked. The byte
 * is CLAIM_FIRST plus a hash, below CLAIM_RANGE, of slot, pid and connected_ns. So each holder of a
 * slot has another byte: the children of an earlier holder may keep theirs for long. */
#define CLAIM_FIRST UINT64_C(4096)
#define CLAIM_RANGE (UINT64_C(1) << 30)

/* struct hints lies in the place of slot entry 0. Under the lock. A wrong hint costs a walk, or
 * delays an alloc or a thread that waits. Times are of the monotonic clock. */
struct hints {
    shared_u32 reap_wanted;              /* 1: blocks of slot SLOT_GONE may be reaped */
    shared_u32 slots_open;               /* entries that may be taken; below slots_first: those */
    shared_u64 reap_after_ns;            /* before it, an alloc that fails tests no slot */
    shared_u64 reclaim_after_ns;         /* before it, a thread that waits reclaims no caches */
    shared_u32 wait_least[WAIT_CLASSES]; /* fewest granules that a waiting thread needs; 0: none */
};
STATIC_ASSERT(sizeof(struct hints) <= SLOT_SIZE, hints_fit_an_entry);

/* struct cache_line is the payload of a block in state internal, held by the slot of a process with
 * SHMHEAP_CACHED. Each thread that caches has one. The slot's blocks in state cached belong to the
 * lines of that slot.
 *   1  kind is INTERNAL_CACHE
 *   2  active is 1 only while the thread may take blocks from its cache or add blocks to it
 *   3  another process sets requested, under the lock. The thread then leaves its cache alone until
 *      it has had the lock and answered. So a process that set requested, ran a barrier on all
 *      processors and then loads active 0 may take the blocks
 *   4  the lock's owner adds to epoch when it takes the blocks: the thread then forgets them
 *   5  the line of each living thread is in the list that begins at control->cache_lines. Each
 *      store to the list keeps that true: a death leaves at most a dead process's line outside the
 *      list */
struct cache_line {
    shared_u64 kind;
    shared_u32 active, requested;
    shared_u64 epoch;
    shared_u64 next; /* granule of the next line, plus 1; 0: none. Under the lock */
    shared_u64 pad[11];
};
STATIC_ASSERT(sizeof(struct cache_line) == 120, cache_line_and_the_next_header_fill_two_lines);

#define INTERNAL_CACHE UINT64_C(0x4548434143) /* "CACHE" */

/* struct name_record is the payload of a block in state internal, slot 0. It gives the object at
 * `object` its name, as long as the record has a user or is kept. States of objects, links and the
 * table are derived from the records. A user is a word: bits 0-31 slot (also SLOT_GONE,
 * SLOT_DEPARTED), 32-63 its count; 0 when the word is free. */
enum { NAME_USERS = 4, NAME_LEN_MAX = 255, USERS_MORE = 28 };
struct name_record {
    shared_u64 kind;       /* INTERNAL_NAME */
    shared_u64 object;     /* bits 0-35 granule, 49-63 generation */
    shared_u64 object_len; /* bytes, as requested */
    shared_u64 hash;
    shared_u64 more; /* granule of the first block of more users, plus 1; 0: none. Derived */
    shared_u64 users[NAME_USERS];
    shared_u64 kept;     /* not 0: the name stays without users, until it is removed by name */
    shared_u64 name_len; /* 1 to 255 */
    shared_u64 name[];   /* padded with zeros to a multiple of 8 */
};

/* struct name_more holds more users of a name: the payload of a block in state internal, slot 0. */
struct name_more {
    shared_u64 kind;   /* INTERNAL_USERS */
    shared_u64 record; /* bits 0-35 granule, 49-63 generation */
    shared_u64 more;   /* granule of the next block of more users, plus 1; 0: none. Derived */
    shared_u64 users[USERS_MORE];
};

/* struct name_table finds names by open addressing: the payload of a block in state internal, slot
 * 0. Derived. An entry: bits 0-35 granule of the record plus 1, 36-63 bits of the hash; 0: none. */
struct name_table {
    shared_u64 kind;      /* INTERNAL_TABLE */
    shared_u64 entries[]; /* their number is a power of two */
};

#define INTERNAL_NAME UINT64_C(0x454d414e)    /* "NAME" */
#define INTERNAL_USERS UINT64_C(0x5352455355) /* "USERS" */
#define INTERNAL_TABLE UINT64_C(0x454c424154) /* "TABLE" */

/* struct chunk_bits holds the bits of 64 granules. Derived. Bit i of chunk c is granule 64 c +
 * i. */
struct chunk_bits {
    shared_u64 start;    /* a block starts here */
    shared_u64 boundary; /* the first or the last granule of a free block */
};
STATIC_ASSERT(sizeof(struct chunk_bits) == 16, four_chunks_a_line);

/* struct layout holds the offsets in a segment, computed from the fixed fields alone. */
struct layout {
    uint64_t max_len, granules_max, chunks_max;
    uint64_t slots_off, bits_off, region_off, segment_len;
    uint32_t slots_first; /* entries at slots_off */
    uint64_t more_off;    /* the other entries, as far as the file reaches */
    uint64_t map_len;     /* the segment with all entries */
    uint64_t bin_off[BIN_LEVELS_MAX];
    unsigned bin_levels;
    uint64_t level_off[LEVELS_MAX];
    unsigned levels;
};

/* Granules that a region of len bytes holds. */
static inline uint64_t layout_granules(uint64_t len, unsigned shift)
{
    return (len - REGION_LEAD) >> shift;
}

/* The fewest granules of a block: a header and 8 bytes. */
static inline unsigned layout_block_min(unsigned shift) { return shift == 3 ? 2 : 1; }

/* Entries that always exist. A file gets more when processes need them: all 1023 would take
 * 40 KiB of each heap. The caller's memory has no room behind the region. */
static inline uint32_t layout_slots_first(uint64_t max_len, uint32_t slot_count,
                                          uint32_t region_align)
{
    uint64_t first = max_len / SLOTS_FIRST_EACH;
    first = first < SLOTS_FIRST_MIN ? SLOTS_FIRST_MIN : first;
    return region_align < FILE_ALIGN || first > slot_count ? slot_count : (uint32_t)first;
}

/* Adds the levels of the bins and of the tree, which begin at off: the offset behind them. */
static inline uint64_t layout_index(struct layout *plan, uint64_t off)
{
    uint64_t groups = (plan->chunks_max + WORD_BITS - 1) / WORD_BITS;
    for (plan->bin_levels = 0;; groups = (groups + WORD_BITS - 1) / WORD_BITS) {
        unsigned level = plan->bin_levels++;
        plan->bin_off[level] = off;
        off += groups * BINS * sizeof(uint64_t);
        if (groups == 1)
            break;
    }
    uint64_t entries = plan->chunks_max;
    for (plan->levels = 0;; entries = (entries + NODE_CHILDREN - 1) / NODE_CHILDREN) {
        unsigned level = plan->levels++;
        plan->level_off[level] = off;
        off += round_up(entries, NODE_CHILDREN) * sizeof(uint32_t);
        if (entries <= NODE_CHILDREN && plan->levels >= LEVELS_MIN)
            return off;
    }
}

/* The longest region: the header of a block has room for so many granules. */
static inline uint64_t layout_len_most(unsigned shift)
{
    return UINT64_C(1) << (HEADER_SIZE_BITS + shift);
}

/* layout_compute fills *plan: 0, or -1 where no heap has these numbers. */
static inline int layout_compute(struct layout *plan, uint64_t max_len, unsigned shift,
                                 uint32_t slot_count, uint32_t region_align)
{
    if ((shift != 3 && shift != 4) || slot_count < 2 || slot_count > SLOTS_MAX ||
        max_len < REGION_LEN_MIN || region_align < 16 || region_align > (1u << 24) ||
        (region_align & (region_align - 1)) != 0 || max_len > layout_len_most(shift))
        return -1;
    plan->max_len = max_len;
    plan->granules_max = layout_granules(max_len, shift);
    plan->chunks_max = (plan->granules_max + CHUNK_GRANULES - 1) / CHUNK_GRANULES;
    plan->slots_off = CONTROL_SIZE;
    plan->slots_first = layout_slots_first(max_len, slot_count, region_align);
    plan->bits_off = round_up(plan->slots_off + (uint64_t)plan->slots_first * SLOT_SIZE, 64);
    /* One entry more than chunks, always 0: a search may read one chunk ahead without a test. */
    uint64_t bits_end = plan->bits_off + (plan->chunks_max + 1) * sizeof(struct chunk_bits);
    plan->region_off = round_up(layout_index(plan, round_up(bits_end, 64)), region_align);
    plan->segment_len = plan->region_off + max_len;
    plan->more_off = round_up(plan->segment_len, region_align);
    plan->map_len = plan->slots_first == slot_count
                        ? plan->segment_len
                        : plan->more_off + (uint64_t)(slot_count - plan->slots_first) * SLOT_SIZE;
    return 0;
}

#endif
