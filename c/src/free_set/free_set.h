/* free_set.h: the set of free blocks, but for the tail: finding the first that is large enough, putting in, taking out.
 * SPDX-License-Identifier: Apache-2.0
 *
 * As long as there are at most LIST_MAX they are in a list (free_list.h). When another comes all go into rows and tree: small ones into rows (size_bins.h),
 * large ones into a tree (large_tree.h); in which place of its chunk a block begins the edge bits say, which the list can do without: there are none
 * then, of the tail either. When there are few again they go back.
 * Lock held. Compiled with fit_body.h for several processors. */
#ifndef SHMHEAP_FREE_SET_H
#define SHMHEAP_FREE_SET_H

#include "run_mask.h"
#include "free_list.h"
#include "index.h"
#include "size_bins.h"
#include "large_tree.h"

#define LARGE_FIRST BINS /* where control->first has the large ones */

static inline int free_set_is_large(uint64_t size) { return size >= BINS; }

static NOINLINE void free_set_put_large(const struct shmheap *heap, uint64_t chunk, uint64_t size)
{
    shared_u32 *first = &heap->control->first[LARGE_FIRST];
    uint32_t mine = first_of_chunk(chunk);
    tree_put(heap, chunk, size);
    if (load_u32(first) < mine)
        store_u32(first, mine);
}

static NOINLINE void free_set_take_large(const struct shmheap *heap, uint64_t chunk)
{
    shared_u32 *first = &heap->control->first[LARGE_FIRST];
    tree_put(heap, chunk, 0);
    if (load_u32(first) != first_of_chunk(chunk))
        return;
    uint64_t next = tree_find(heap, 1, heap->end);
    store_u32(first, next != CHUNK_NONE ? first_of_chunk(next) : 0);
}

/* Of a chunk, the free blocks after which a start comes where they would end if they had this size, 1 to 63, and before that an edge. Seldom
 * are there starts in between. starts, next: the start bits of the chunk and of the one behind it. */
static ALWAYS_INLINE uint64_t free_set_maybe(const struct chunk_bits *bits, uint64_t starts,
                                             uint64_t next, uint64_t size)
{
    uint64_t boundaries = load_u64(&bits[0].boundary),
             next_boundaries = load_u64(&bits[1].boundary);
    uint64_t ends = starts >> size | next << (-size & 63),
             last = boundaries >> (size - 1) | next_boundaries << 1 << (-size & 63);
    return starts & boundaries & ends & last;
}

/* The free blocks of a chunk that have this size, 1 to 63, as far as the bits say. */
static inline uint64_t free_set_of_size(const struct chunk_bits *bits, uint64_t size)
{
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start), blocks = 0;
    for (uint64_t may = free_set_maybe(bits, starts, next, size); may != 0; may &= may - 1)
        blocks |= (uint64_t)(span_of(starts, next, bit_lowest(may)) == size) << bit_lowest(may);
    return blocks;
}

/* 1 where another free block of this size, 1 to 63, begins in the chunk of the one at granule, as far as the bits say: neither this one nor
 * the one at gone, if that is in the chunk too. */
static ALWAYS_INLINE uint64_t free_set_another(const struct shmheap *heap, uint64_t granule,
                                               uint64_t size, uint64_t gone)
{
    const struct chunk_bits *bits = &heap->bits[chunk_of(granule)];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t may = free_set_maybe(bits, starts, next, size);
    may &= ~bit_of(granule) &
           ~((uint64_t)(chunk_of(gone) == chunk_of(granule)) << gone % CHUNK_GRANULES);
    for (;;) {
        uint64_t has = (may != 0) & (span_of(starts, next, bit_lowest_or_64(may) & 63) == size);
        may &= may - 1;
        if (LIKELY(may == 0) || has)
            return has;
    }
}

/* The rows and the tree get all that the list has, and this one more. */
void free_set_spill(const struct shmheap *heap, uint64_t listed, uint64_t granule, uint64_t size);

/* The list gets all that the rows and the tree have, unless these contradict the bits: then nothing changes. */
void free_set_gather(const struct shmheap *heap);

/* Into rows or tree. Size 0: nothing changes. */
static ALWAYS_INLINE void free_set_put_binned(const struct shmheap *heap, uint64_t granule,
                                              uint64_t size)
{
    if (UNLIKELY(free_set_is_large(size)))
        free_set_put_large(heap, chunk_of(granule), size);
    else
        bins_put(heap, chunk_of(granule), size);
}

/* Into the list, which few says there is. */
static ALWAYS_INLINE void free_set_put_listed(const struct shmheap *heap, uint64_t listed,
                                              uint64_t granule, uint64_t size)
{
    if (UNLIKELY(listed >= heap->list_max))
        free_set_spill(heap, listed, granule, size);
    else
        list_insert(heap, listed, granule, size);
}

/* A free block of this size begins at granule now. Size 0: nothing changes. */
static inline void free_set_put(const struct shmheap *heap, uint64_t granule, uint64_t size)
{
    uint64_t listed = list_count(heap);
    if (!list_in_use(listed))
        free_set_put_binned(heap, granule, size);
    else if (size != 0)
        free_set_put_listed(heap, listed, granule, size);
}

/* Out of rows or tree: as free_set_take. */
static ALWAYS_INLINE void free_set_take_binned(const struct shmheap *heap, uint64_t granule,
                                               uint64_t size, uint64_t gone)
{
    uint64_t chunk = chunk_of(granule);
    if (UNLIKELY(free_set_is_large(size)))
        free_set_take_large(heap, chunk);
    else
        bins_take(heap, chunk, size, free_set_another(heap, granule, size, gone));
}

static ALWAYS_INLINE void free_set_take_listed(const struct shmheap *heap, uint64_t listed,
                                               uint64_t granule)
{
    uint64_t place = list_place(heap, listed, granule);
    if (LIKELY(place < LIST_MAX))
        list_drop(heap, listed, place);
}

/* The free block at granule, of this size, will be none. Before the bits say so, since a load that has to wait for a store of the same word
 * costs more than all the rest. gone: another that was taken, but the bits do not say so yet either; granule itself: none. */
static inline void free_set_take(const struct shmheap *heap, uint64_t granule, uint64_t size,
                                 uint64_t gone)
{
    uint64_t listed = list_count(heap);
    if (list_in_use(listed))
        free_set_take_listed(heap, listed, granule);
    else
        free_set_take_binned(heap, granule, size, gone);
}

/* [ before ][ FREED ][ behind ] => [ --------------------- ] in the list: those in the places before and behind, LIST_MAX where there is none, become
 * one block of this size at granule. */
static ALWAYS_INLINE void free_set_merge_listed(const struct shmheap *heap, uint64_t listed,
                                                uint64_t before, uint64_t behind, uint64_t granule,
                                                uint64_t size)
{
    if (before < LIST_MAX) {
        store_u32(list_size(heap, before), (uint32_t)size);
        if (behind < LIST_MAX)
            list_drop(heap, listed, behind);
    } else if (behind < LIST_MAX) {
        list_set(heap, behind, granule, size);
    } else {
        free_set_put_listed(heap, listed, granule, size);
    }
}

/* [ free ] => [ rest ], or the other way, where the front of the one in this place, LIST_MAX: there is none yet, moves to border; rest 0: it vanishes. */
static inline void free_set_move_listed(const struct shmheap *heap, uint64_t listed, uint64_t place,
                                        uint64_t border, uint64_t rest)
{
    if (place < LIST_MAX)
        list_shrink(heap, listed, place, border, rest);
    else if (rest != 0)
        free_set_put_listed(heap, listed, border, rest);
}

/* Whether the rows and the tree have become so empty, well below list_max, that a list is better: after everything else. */
static ALWAYS_INLINE void free_set_settle(const struct shmheap *heap)
{
    if (UNLIKELY(load_u64(&heap->control->free_blocks) < heap->list_max / 4))
        free_set_gather(heap);
}

static NOINLINE void free_set_shrink_large(const struct shmheap *heap, uint64_t granule,
                                           uint64_t behind, uint64_t rest)
{
    if (free_set_is_large(rest) && chunk_of(granule) == chunk_of(behind)) {
        tree_put(heap, chunk_of(granule), rest);
        return;
    }
    free_set_take_large(heap, chunk_of(granule));
    free_set_put_binned(heap, behind, rest);
}

enum others { OTHERS_NONE, OTHERS_SOME, OTHERS_UNKNOWN };

/* struct found is private: a free block that the set has. */
struct found {
    uint64_t granule;
    uint64_t size; /* granules; out of rows or tree it may be SPAN_FAR: free_set_large_size knows */
    uint64_t listed;    /* as list_count said; NOT_LISTED: it is in rows or tree */
    uint64_t place;     /* in the list */
    int lowest;         /* 1: none of its size begins in a chunk before */
    enum others others; /* of its size, that begin in its chunk */
};

/* few: as list_count says. */
static ALWAYS_INLINE struct found found_none(uint64_t listed)
{
    struct found found = {GRANULE_NONE, SPAN_FAR, listed, LIST_MAX, 1, OTHERS_UNKNOWN};
    return found;
}

/* [ found       ] => [ FOUND ][ rest ]   free_set_take of the one, free_set_put of the other; rest 0: there is none. */
static ALWAYS_INLINE void free_set_shrink(const struct shmheap *heap, const struct found *found,
                                          uint64_t behind, uint64_t rest)
{
    uint64_t granule = found->granule, chunk = chunk_of(granule), size = found->size;
    if (list_in_use(found->listed)) {
        list_shrink(heap, found->listed, found->place, behind, rest);
        return;
    }
    if (UNLIKELY(free_set_is_large(size))) {
        free_set_shrink_large(heap, granule, behind, rest);
        return;
    }
    uint64_t another = LIKELY(found->others != OTHERS_UNKNOWN)
                           ? found->others
                           : free_set_another(heap, granule, size, granule);
    if (found->lowest)
        bins_take_first(heap, chunk, size, another);
    else
        bins_take(heap, chunk, size, another);
    bins_put(heap, chunk_of(behind), rest);
}

/* The lowest free block of at least need, 1 to 64, in this chunk, which the set promises; its size as far as the bits tell, else SPAN_FAR.
 * GRANULE_NONE: the bits hold no such block. Without branches: which of several free blocks will do cannot be predicted. */
static NOINLINE uint64_t free_set_find_any(const struct shmheap *heap, uint64_t chunk,
                                           uint64_t need, uint64_t *size)
{
    const struct chunk_bits *bits = &heap->bits[chunk];
    const unsigned char *shifts = run_masks[need].shifts;
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start);
    uint64_t frees = starts & load_u64(&bits[0].boundary), others = starts ^ frees;
    /* Granules of the free blocks: from each one's first up to the next start. Those of the last one go on behind the chunk: it
     * counts as large enough, which it has to be when no other is. */
    int64_t ones = (int64_t)((others - frees) & ~others);
    for (unsigned i = 0; i < RUN_MASK_STEPS; i++)
        ones &= ones >> shifts[i]; /* arithmetic: above the top bit it goes on as that is */
    frees &= (uint64_t)ones;
    if (UNLIKELY(frees == 0))
        return GRANULE_NONE;
    unsigned bit = bit_lowest(frees);
    *size = span_of(starts, next, bit);
    return chunk * CHUNK_GRANULES + bit;
}

/* The same where the rows say which sizes from need on have their first block in this chunk. Mostly that is one size, and one or two blocks of it
 * begin in the chunk: then the row's words can be fetched while the bits are on their way. */
static ALWAYS_INLINE void free_set_find_small(const struct shmheap *heap, uint64_t chunk,
                                              uint64_t need, uint64_t which, struct found *found)
{
    const struct chunk_bits *bits = &heap->bits[chunk];
    uint64_t starts = load_u64(&bits[0].start), next = load_u64(&bits[1].start),
             size = need + bit_lowest_or_64(which);
    if (LIKELY(size < BINS)) {
        uint64_t may = free_set_maybe(bits, starts, next, size), more = may & (may - 1);
        unsigned first = bit_lowest_or_64(may) & 63, second = bit_lowest_or_64(more) & 63;
        int two = (more != 0) & (span_of(starts, next, second) == size);
        if (LIKELY(((which & (which - 1)) | (more & (more - 1))) == 0 && may != 0 &&
                   span_of(starts, next, first) == size)) {
            found->granule = chunk * CHUNK_GRANULES + first;
            found->size = size;
            found->others = two ? OTHERS_SOME : OTHERS_NONE;
            return;
        }
    }
    uint64_t any_size = SPAN_FAR; /* found itself stays in registers */
    found->granule = free_set_find_any(heap, chunk, need, &any_size);
    found->size = any_size;
}

/* As free_set_find, of a need of more than 64: the last to begin in its chunk. */
static ALWAYS_INLINE int free_set_find_large(const struct shmheap *heap, uint64_t need,
                                             uint64_t top, struct found *found)
{
    uint64_t chunk = tree_find(heap, (uint32_t)need, top);
    if (chunk == CHUNK_NONE)
        return 0;
    uint64_t starts = LIKELY(chunk * CHUNK_GRANULES < top) ? load_u64(&heap->bits[chunk].start) : 0;
    if (starts != 0)
        found->granule = chunk * CHUNK_GRANULES + bit_highest(starts);
    return 1;
}

/* The one in this place of the list: 1, or 0 where place is LIST_MAX. */
static ALWAYS_INLINE int free_set_at(const struct shmheap *heap, uint64_t place,
                                     struct found *found)
{
    if (place == LIST_MAX)
        return 0;
    found->granule = list_granule(heap, place);
    found->size = load_u32(list_size(heap, place));
    found->place = place;
    return 1;
}

/* As free_set_find, by the list. */
static ALWAYS_INLINE int free_set_find_listed(const struct shmheap *heap, uint64_t need,
                                              struct found *found)
{
    return free_set_at(heap, list_find(heap, found->listed, need), found);
}

/* The lowest free block of at least need granules, less than MAXIMUM_CAP, by the set and the bits: 1, or 0 when there is none. Where these contradict
 * each other it is no free block. found: as found_none made it, and so left where nothing else is known. */
static ALWAYS_INLINE int free_set_find(const struct shmheap *heap, uint64_t need, uint64_t top,
                                       struct found *found)
{
    if (list_in_use(found->listed))
        return free_set_find_listed(heap, need, found);
    if (UNLIKELY(need > BINS))
        return free_set_find_large(heap, need, top, found);
    uint64_t which;
    uint32_t first = bins_first(heap, need, &which);
    if (first == 0)
        return 0;
    uint64_t chunk = chunk_of_first(first);
    if (LIKELY(chunk * CHUNK_GRANULES < top))
        free_set_find_small(heap, chunk, need, which, found);
    return 1;
}

/* The size of the block at granule, which was found with SPAN_FAR: the tree has it. */
uint64_t free_set_large_size(const struct shmheap *heap, uint64_t granule);

/* The lowest free block of exactly this size, 1 to 63; GRANULE_NONE: the set has none, or the bits hold none where the set promises one. */
static NOINLINE uint64_t free_set_find_exact(const struct shmheap *heap, uint64_t size,
                                             uint64_t top)
{
    uint64_t chunk = chunk_of_first(load_u32(&heap->control->first[size]));
    if (UNLIKELY(chunk > chunk_of(top))) /* as that of an empty row */
        return GRANULE_NONE;
    uint64_t blocks = free_set_of_size(&heap->bits[chunk], size);
    return blocks != 0 ? chunk * CHUNK_GRANULES + bit_lowest(blocks) : GRANULE_NONE;
}

/* The lowest of the smallest free blocks of at least need, 1 to 63, which is small itself: 1, or 0 when all are large, if there are any. Otherwise as
 * free_set_find. */
static inline int free_set_find_best(const struct shmheap *heap, uint64_t need, uint64_t top,
                                     struct found *found)
{
    if (list_in_use(found->listed))
        return free_set_at(heap, list_best(heap, found->listed, need), found);
    for (uint64_t size = need; size < BINS; size++) {
        if (load_u32(&heap->control->first[size]) == 0)
            continue;
        found->granule = free_set_find_exact(heap, size, top);
        found->size = size;
        return 1;
    }
    return 0;
}

#endif
