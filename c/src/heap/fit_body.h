/* fit_body.h: first fit. Included by fit.c, and compiled for other instructions by fit_avx2.c, each of
 * which has included fit.h before and makes a table of the calls at the end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aligned.h"
#include "../free_set/free_set.h"

/* In the drawings [ name ] is a block, free ones are lower-case, and | is the end of the region. */

static ALWAYS_INLINE void count_used(struct control *control, uint64_t taken)
{
    uint64_t used = load_u64(&control->used_granules) + taken;
    store_u64(&control->used_granules, used);
    if (used > load_u64(&control->high_granules))
        store_u64(&control->high_granules, used);
}

static ALWAYS_INLINE void count_alloc(struct control *control, uint64_t size, int free_blocks_less)
{
    count_used(control, size);
    store_add(&control->free_blocks, (uint64_t) - (int64_t)(free_blocks_less != 0));
}

/* Counts so many new blocks, which have so many granules together: the stamp before the first one's. */
static ALWAYS_INLINE unsigned count_held(struct shmheap *heap, unsigned pieces, uint64_t granules)
{
    struct control *control = heap->control;
    uint64_t generations = load_u64(&control->generations);
    store_u64(&control->generations, generations + pieces);
    store_add(&control->allocs, pieces);
    store_add(&control->alloc_granules, granules);
    return (unsigned)generations;
}

/* A block with this header is given up. Its stamp has moved on with each sending, so it may be ahead of the new blocks': they must not get
 * one that an old handle of a block in the same place has. Before it is free. The stamps go round: that of a very old block is taken for one
 * ahead now and then, which does no harm. */
static ALWAYS_INLINE void generation_give_up(struct shmheap *heap, uint64_t header)
{
    uint64_t ahead =
        (header_generation(header) - load_u64(&heap->control->generations)) & GENERATION_MASK;
    if (UNLIKELY(ahead - 1 < GENERATION_AHEAD_MAX))
        store_add(&heap->control->generations, ahead);
}

static ALWAYS_INLINE uint64_t header_held(const struct shmheap *heap, uint64_t size, unsigned state,
                                          unsigned generation)
{
    return header_make(size, state, heap->slot, generation & GENERATION_MASK);
}

static ALWAYS_INLINE uint64_t header_used(struct shmheap *heap, uint64_t size)
{
    return header_held(heap, size, SHMHEAP_STATE_USED, count_held(heap, 1, size) + 1);
}

/* The index and the counts after [ from        ] => [ TAKEN ][ rest ]  or  [ TAKEN ], one block or several. */
static ALWAYS_INLINE void front_taken(struct shmheap *heap, const struct found *found,
                                      uint64_t taken)
{
    uint64_t granule = found->granule, behind = granule + taken, rest = found->size - taken;
    free_set_shrink(heap, found, behind, rest);
    start_set(heap, behind);
    count_alloc(heap->control, taken, rest == 0);
    if (list_in_use(found->listed))
        return;
    boundary_clear(heap, granule);
    boundary_clear(heap, behind - 1);
    boundary_set_if(heap, behind, rest != 0);
    free_set_settle(heap);
}

/* [ from        ] => [ USED ][ rest ]  or  [ USED ]   Both in one:
 * without a rest, behind is where the next block begins already. */
static ALWAYS_INLINE int64_t take_front(struct shmheap *heap, const struct found *from,
                                        uint64_t need)
{
    shared_u64 unused;
    uint64_t granule = from->granule, size = from->size, rest = size - need;
    rest &=
        (uint64_t) -
        (int64_t)(rest >= heap->block_min); /* no branch: which it will be cannot be predicted */
    uint64_t taken = size - rest, behind = granule + taken;
    shared_u64 *rest_header = block_header(heap, behind);
    shared_u64 *rest_place =
        (shared_u64 *)(uintptr_t)select_u64(rest, (uintptr_t)rest_header, (uintptr_t)&unused);
    store_u64(rest_place, header_free(rest));
    block_publish(heap, granule, header_used(heap, taken));
    front_taken(heap, from, taken);
    return (int64_t)granule;
}

enum {
    TOP_AHEAD = 8
}; /* blocks as this one, by which memory behind the tail is fetched before it is needed */

/* As front_taken, after [ tail        ]| => [ TAKEN ][ tail ]|  or  [ TAKEN ]| */
static ALWAYS_INLINE void top_taken(struct shmheap *heap, uint64_t listed, uint64_t top,
                                    uint64_t taken)
{
    uint64_t end = heap->end, behind = top + taken;
    int is_all = behind == end;
    if (!is_all)
        start_set(heap, behind);
    if (!list_in_use(listed)) {
        boundary_clear(heap, top);
        boundary_clear_if(heap, end - 1, is_all);
        boundary_set_if(heap, behind, !is_all);
    }
    store_u64(&heap->control->top, behind);
    count_alloc(heap->control, taken, is_all);
}

/* [ tail        ]| => [ USED ][ tail ]|  or  [ USED ]| */
static ALWAYS_INLINE int64_t take_top(struct shmheap *heap, uint64_t listed, uint64_t top,
                                      uint64_t need)
{
    uint64_t size = heap->end - top, taken = size - need < heap->block_min ? size : need;
    if (LIKELY(taken != size)) {
        block_fetch(heap, top + (1 + TOP_AHEAD) * need);
        block_prepare(heap, top + taken, header_free(size - taken));
    }
    block_publish(heap, top, header_used(heap, taken));
    top_taken(heap, listed, top, taken);
    return (int64_t)top;
}

/* For sizes that the saturated maxima do not tell apart (32 GiB and more): a walk. Granule of a free
 * block before the tail, FIT_NONE or FIT_BAD. */
static COLD int64_t find_huge(const struct shmheap *heap, uint64_t need, uint64_t top)
{
    struct block_step step = {0, 0, 0};
    enum block_walk walk;
    if (need > top)
        return FIT_NONE; /* there is no room for it before the tail, whatever is free */
    while ((walk = block_walk_at(heap, &step, top)) == BLOCK_WALK_BLOCK) {
        if (header_is_free(step.header) && step.size >= need)
            return (int64_t)step.granule;
        block_walk_next(&step);
    }
    return walk == BLOCK_WALK_END ? FIT_NONE : FIT_BAD;
}

/* Whether the block found is a free one of at least need, for the bits too. It ends before the tail: else it would be the tail, or the tail's
 * neighbour. 1 or FIT_BAD. */
static ALWAYS_INLINE int found_checked(const struct shmheap *heap, const struct found *found,
                                       uint64_t need, uint64_t top)
{
    uint64_t granule = found->granule, size = found->size, header = block_load(heap, granule);
    int sound = header == header_free(opaque_copy(size)) && size >= need && size < top - granule;
    if (list_in_use(found->listed))
        sound &= index_is_start(heap, granule);
    return LIKELY(sound) ? 1 : FIT_BAD;
}

/* The lowest free block of at least need before the tail: 1, FIT_NONE or FIT_BAD. found: as found_none made it. */
static ALWAYS_INLINE int find_first(const struct shmheap *heap, uint64_t need, uint64_t top,
                                    struct found *found)
{
    if (UNLIKELY(need >= MAXIMUM_CAP)) {
        int64_t huge = find_huge(heap, need, top);
        if (huge < 0)
            return (int)huge;
        found->granule = (uint64_t)huge;
    } else if (!free_set_find(heap, need, top, found)) {
        return FIT_NONE;
    }
    uint64_t granule = found->granule;
    if (UNLIKELY(granule >= top))
        return FIT_BAD;
    /* Where will be written next: the caller into the payload, and we the header of what is left. */
    prefetch(block_payload(heap, granule));
    block_fetch(heap, granule + need);
    if (!list_in_use(found->listed) && UNLIKELY(found->size == SPAN_FAR))
        found->size = free_set_large_size(heap, granule);
    return found_checked(heap, found, need, top);
}

/* The tail, or the end where the last block is in use; GRANULE_NONE when control and header contradict each other. */
static inline uint64_t top_checked(const struct shmheap *heap, uint64_t end)
{
    uint64_t top = load_u64(&heap->control->top);
    return LIKELY(top <= end) ? top : GRANULE_NONE;
}

static inline int top_is_sound(const struct shmheap *heap, uint64_t top, uint64_t end)
{
    return block_load(heap, top) == header_free(end - top);
}

static ALWAYS_INLINE int64_t alloc_from(struct shmheap *heap, uint64_t need, uint64_t listed)
{
    struct found found = found_none(listed);
    uint64_t end = heap->end, top = top_checked(heap, end);
    if (UNLIKELY(top == GRANULE_NONE))
        return FIT_BAD;
    int result = find_first(heap, need, top, &found);
    if (result > 0)
        return take_front(heap, &found, need);
    if (result == FIT_BAD || end - top < need)
        return result;
    if (UNLIKELY(!top_is_sound(heap, top, end)))
        return FIT_BAD;
    return take_top(heap, listed, top, need);
}

/* Once for each form of the set: what is common to them is less than what can be left out. */
static int64_t fit_alloc(struct shmheap *heap, uint64_t need)
{
    uint64_t listed = list_count(heap);
    return list_in_use(listed) ? alloc_from(heap, need, listed)
                               : alloc_from(heap, need, NOT_LISTED);
}

/* Sets the start bits of last, last - need and so on down to, without, from: a store for each word. */
static void starts_set(struct shmheap *heap, uint64_t from, uint64_t last, uint64_t need)
{
    uint64_t bits = 0;
    for (uint64_t at = last; at != from; at -= need) {
        bits |= bit_of(at);
        if (at - need != from && chunk_of(at - need) == chunk_of(at))
            continue;
        store_or(&heap->bits[chunk_of(at)].start, bits);
        bits = 0;
    }
}

/* [ from                  ] => [ B ][ B ][ B ][ rest ]   one store to from's header publishes them all.
 * Granules taken: those of the rest, when it is too small for a block, go to the last. */
static uint64_t carve(struct shmheap *heap, uint64_t from, uint64_t size, uint64_t need,
                      unsigned pieces, unsigned state)
{
    uint64_t rest = size - pieces * need, last = from + (pieces - 1) * need;
    if (rest < heap->block_min)
        rest = 0;
    uint64_t taken = size - rest;
    if (rest != 0)
        block_prepare(heap, from + taken, header_free(rest));
    unsigned generation = count_held(heap, pieces, taken);
    for (uint64_t at = last; at != from; at -= need)
        block_prepare(
            heap, at,
            header_held(heap, at == last ? from + taken - at : need, state, ++generation));
    block_publish(heap, from, header_held(heap, pieces == 1 ? taken : need, state, ++generation));
    starts_set(heap, from, last, need);
    return taken;
}

static unsigned take_front_many(struct shmheap *heap, const struct found *from, uint64_t need,
                                unsigned pieces, unsigned state)
{
    front_taken(heap, from, carve(heap, from->granule, from->size, need, pieces, state));
    return pieces;
}

static unsigned take_top_many(struct shmheap *heap, uint64_t listed, uint64_t top, uint64_t need,
                              unsigned pieces, unsigned state)
{
    top_taken(heap, listed, top, carve(heap, top, heap->end - top, need, pieces, state));
    return pieces;
}

/* The lowest of the smallest free blocks that have room for need; large ones count as equally small. As find_first. */
static int find_best(const struct shmheap *heap, uint64_t need, uint64_t top, struct found *found)
{
    if (need >= BINS || !free_set_find_best(heap, need, top, found))
        return find_first(heap, need, top, found);
    return LIKELY(found->granule < top) ? found_checked(heap, found, need, top) : FIT_BAD;
}

/* As many blocks of need as come from one free block, count at most: the lowest that has room for one, or the best. In the first case they are the
 * same that one fit_alloc after the other would take, since what is left of that block stays the lowest with room. */
static ALWAYS_INLINE int64_t alloc_many_once(struct shmheap *heap, uint64_t need, unsigned state,
                                             unsigned count, uint64_t *granules, int best)
{
    struct found found = found_none(list_count(heap));
    uint64_t end = heap->end, top = top_checked(heap, end);
    if (UNLIKELY(top == GRANULE_NONE))
        return FIT_BAD;
    int result = best ? find_best(heap, need, top, &found) : find_first(heap, need, top, &found);
    if (result == FIT_BAD || (result < 0 && end - top < need))
        return result;
    if (UNLIKELY(result < 0 && !top_is_sound(heap, top, end)))
        return FIT_BAD;
    uint64_t from = result < 0 ? top : found.granule, room = result < 0 ? end - top : found.size;
    unsigned pieces = room / need < count ? (unsigned)(room / need) : count;
    for (unsigned i = 0; i < pieces; i++)
        granules[i] = from + i * need;
    return result < 0 ? take_top_many(heap, found.listed, top, need, pieces, state)
                      : take_front_many(heap, &found, need, pieces, state);
}

static ALWAYS_INLINE int64_t alloc_many(struct shmheap *heap, uint64_t need, unsigned state,
                                        unsigned count, uint64_t *granules, int best)
{
    unsigned got = 0;
    while (got < count) {
        int64_t more = alloc_many_once(heap, need, state, count - got, granules + got, best);
        if (more < 0)
            return got != 0 ? (int64_t)got : more;
        got += (unsigned)more;
    }
    return (int64_t)got;
}

static int64_t fit_alloc_many(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                              uint64_t *granules)
{
    return alloc_many(heap, need, state, count, granules, 0);
}

static int64_t fit_alloc_best(struct shmheap *heap, uint64_t need, unsigned state, unsigned count,
                              uint64_t *granules)
{
    return alloc_many(heap, need, state, count, granules, 1);
}

/* [ from               ] => [ from ][ USED ][ rest ]   one store to from's header publishes it all */
static int64_t take_middle(struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t at,
                           uint64_t need)
{
    struct control *control = heap->control;
    uint64_t end = heap->end, last = granule + size, gap = at - granule, rest = last - at - need;
    int was_top = last == end;
    if (rest < heap->block_min) {
        need += rest;
        rest = 0;
    } else {
        block_prepare(heap, at + need, header_free(rest));
    }
    block_prepare(heap, at, header_used(heap, need));
    block_publish(heap, granule, header_free(gap));
    if (was_top) {
        store_u64(&control->top, at + need);
    } else {
        free_set_take(heap, granule, size, granule);
        free_set_put(heap, at + need, rest);
    }
    free_set_put(heap, granule, gap);
    start_set(heap, at);
    if (rest != 0)
        start_set(heap, at + need);
    if (!list_in_use(list_count(heap))) { /* perhaps since just now, when there were one too many */
        boundary_set(heap, granule);
        boundary_set(heap, at - 1);
        boundary_set_if(heap, at + need, rest != 0);
        boundary_clear_if(heap, last - 1, rest == 0);
    }
    count_alloc(control, need, 0);
    if (rest != 0)
        store_add(&control->free_blocks, 1);
    return (int64_t)at;
}

static int64_t take_aligned(struct shmheap *heap, const struct found *from, uint64_t need,
                            uint64_t alignment, uint64_t top)
{
    uint64_t granule = from->granule, size = from->size,
             at = align_granule(heap, granule, alignment);
    if (at - granule + need > size)
        return FIT_NONE;
    if (at != granule)
        return take_middle(heap, granule, size, at, need);
    return granule == top ? take_top(heap, from->listed, top, need) : take_front(heap, from, need);
}

/* Whether a free block begins at this granule, as the set has it; place: of the list, or LIST_MAX. */
static ALWAYS_INLINE int is_free_at(const struct shmheap *heap, uint64_t listed, uint64_t place,
                                    uint64_t granule, uint64_t top)
{
    return list_in_use(listed) ? place != LIST_MAX || granule == top
                               : index_is_free_start(heap, granule);
}

/* take_aligned of the free block at granule, once the index is found to agree with its header. FIT_NONE: the object does not fit there. */
static int64_t take_aligned_at(struct shmheap *heap, uint64_t listed, uint64_t granule,
                               uint64_t need, uint64_t alignment, uint64_t top)
{
    uint64_t end = heap->end, header = granule < end ? block_load(heap, granule) : ~UINT64_C(0);
    uint64_t size = header_is_free(header) ? block_size_checked(heap, granule, header, end) : 0;
    const struct found from = {granule, size,          listed, list_place(heap, listed, granule),
                               0,       OTHERS_UNKNOWN};
    if (size == 0 || !index_is_start(heap, granule) ||
        (granule + size == end) != (granule == top) ||
        !is_free_at(heap, listed, from.place, granule, top))
        return FIT_BAD;
    return size >= need ? take_aligned(heap, &from, need, alignment, top) : FIT_NONE;
}

/* Looks at one free block of the list after the other. FIT_NONE: at all of them. */
static int64_t alloc_aligned_listed(struct shmheap *heap, uint64_t listed, uint64_t need,
                                    uint64_t alignment, uint64_t top)
{
    int64_t taken = FIT_NONE;
    for (uint64_t place = 0; place < listed && taken == FIT_NONE; place++)
        if (load_u32(list_size(heap, place)) >= need)
            taken = take_aligned_at(heap, listed, list_granule(heap, place), need, alignment, top);
    return taken;
}

/* The same in rows and tree: one block is found, and has to do. */
static int64_t alloc_aligned_binned(struct shmheap *heap, uint64_t need, uint64_t alignment,
                                    uint64_t top)
{
    uint64_t granule = aligned_find(heap, need, alignment, top);
    int64_t taken = granule != GRANULE_NONE
                        ? take_aligned_at(heap, NOT_LISTED, granule, need, alignment, top)
                        : FIT_NONE;
    return taken == FIT_NONE && granule != GRANULE_NONE ? FIT_BAD : taken;
}

/* The lowest free block in which the object happens to fit. */
static COLD int64_t alloc_aligned_anywhere(struct shmheap *heap, uint64_t need, uint64_t alignment,
                                           uint64_t top)
{
    const uint64_t listed = list_count(heap);
    int64_t taken = list_in_use(listed) ? alloc_aligned_listed(heap, listed, need, alignment, top)
                                        : alloc_aligned_binned(heap, need, alignment, top);
    if (taken != FIT_NONE || heap->end - top < need)
        return taken;
    return take_aligned_at(heap, listed, top, need, alignment, top);
}

static int64_t fit_alloc_aligned(struct shmheap *heap, uint64_t need, uint64_t alignment,
                                 int exhaustive)
{
    struct found found = found_none(list_count(heap));
    uint64_t end = heap->end, top = top_checked(heap, end);
    if (top == GRANULE_NONE)
        return FIT_BAD;
    if (exhaustive)
        return alloc_aligned_anywhere(heap, need, alignment, top);
    uint64_t enough = need + (alignment >> heap->shift) + heap->block_min - 1;
    int result = find_first(heap, enough, top, &found);
    if (result > 0)
        return take_aligned(heap, &found, need, alignment, top);
    if (result == FIT_BAD || top == end)
        return result;
    if (!top_is_sound(heap, top, end))
        return FIT_BAD;
    found.granule = top;
    found.size = end - top;
    return take_aligned(heap, &found, need, alignment, top);
}

/* Clears the start bits from granule from on up to, without, granule to. */
static void starts_clear(struct shmheap *heap, uint64_t from, uint64_t to)
{
    for (uint64_t chunk = chunk_of(from); chunk * CHUNK_GRANULES < to; chunk++) {
        shared_u64 *word = &heap->bits[chunk].start;
        uint64_t keep = 0;
        if (chunk == chunk_of(from))
            keep |= bits_below(from);
        if (chunk == chunk_of(to))
            keep |= ~bits_below(to);
        store_publish(word, load_u64(word) & keep);
    }
}

/* struct neighbour is private: a free block beside a live one. size 0: there is none, and granule is where it would be. place: in the list. */
struct neighbour {
    uint64_t granule, size, place;
};

/* span: index_span_back, which the list can do without. 0, or FIT_BAD. */
static ALWAYS_INLINE int neighbour_before(const struct shmheap *heap, uint64_t listed,
                                          uint64_t granule, unsigned span, struct neighbour *before)
{
    uint64_t size = span;
    before->size = 0;
    before->granule = granule;
    before->place = LIST_MAX;
    if (list_in_use(listed)) {
        before->place = list_place_before(heap, listed, granule);
        if (before->place == LIST_MAX)
            return 0;
        size = load_u32(list_size(heap, before->place));
    } else {
        if (granule == 0 || !index_is_boundary(heap, granule - 1))
            return 0;
        if (UNLIKELY(size == SPAN_FAR))
            size = granule - index_start_of(heap, granule - 1); /* of none: more than granule */
    }
    if (UNLIKELY(size > granule))
        return FIT_BAD;
    before->size = size;
    before->granule = granule - size;
    return LIKELY(block_load(heap, before->granule) == header_free(opaque_copy(size))) ? 0
                                                                                       : FIT_BAD;
}

/* 0, or FIT_BAD. */
static ALWAYS_INLINE int neighbour_behind(const struct shmheap *heap, uint64_t listed,
                                          uint64_t next, uint64_t top, struct neighbour *behind)
{
    uint64_t end = heap->end;
    behind->size = 0;
    behind->granule = next;
    behind->place = list_in_use(listed) ? list_place(heap, listed, next) : LIST_MAX;
    if (UNLIKELY(next == end))
        return LIKELY(top == end) ? 0 : FIT_BAD;
    int is_free = is_free_at(heap, listed, behind->place, next, top);
    if (!is_free && !list_in_use(listed))
        return LIKELY(next != top) ? 0 : FIT_BAD;
    uint64_t header = block_load(heap, next);
    if (!is_free) /* beside a list no edge tells that the tail is wrong, so the header has to */
        return LIKELY(!header_is_free(header)) ? 0 : FIT_BAD;
    behind->size = next == top                 ? end - top
                   : behind->place != LIST_MAX ? load_u32(list_size(heap, behind->place))
                                               : index_size(heap, next, header);
    int sound = header == header_free(opaque_copy(behind->size)) && behind->size - 1 < end - next &&
                (next + behind->size == end) == (next == top);
    return LIKELY(sound) ? 0 : FIT_BAD;
}

/* The set after [ before ][ FREED ][ behind ] => [ -------------------- ], where either neighbour may be missing. */
static ALWAYS_INLINE void free_set(struct shmheap *heap, uint64_t listed, uint64_t next,
                                   const struct neighbour *before, const struct neighbour *behind)
{
    uint64_t first = before->granule, last = next + behind->size;
    if (UNLIKELY(last == heap->end)) {
        if (before->place != LIST_MAX)
            list_drop(heap, listed, before->place);
        else if (before->size != 0)
            free_set_take_binned(heap, first, before->size, first);
        store_u64(&heap->control->top, first);
    } else if (list_in_use(listed)) {
        free_set_merge_listed(heap, listed, before->place, behind->place, first, last - first);
    } else {
        if (before->size != 0)
            free_set_take_binned(heap, first, before->size, first);
        if (behind->size != 0)
            free_set_take_binned(heap, next, behind->size, first);
        free_set_put_binned(heap, first, last - first);
    }
}

/* The index after the same. */
static ALWAYS_INLINE void free_index(struct shmheap *heap, uint64_t listed, uint64_t granule,
                                     uint64_t next, const struct neighbour *before,
                                     const struct neighbour *behind)
{
    free_set(heap, listed, next, before, behind);
    if (before->size != 0)
        start_clear(heap, granule);
    if (behind->size != 0)
        start_clear(heap, next);
    if (list_in_use(listed))
        return;
    if (before->size == 0)
        boundary_set(heap, granule);
    else
        boundary_clear_if(heap, granule - 1, before->size > 1);
    if (behind->size == 0)
        boundary_set(heap, next - 1);
    else
        boundary_clear_if(heap, next, behind->size > 1);
}

/* Frees size granules from granule on, which are one or more whole blocks that are not free. 0 or FIT_BAD. */
static ALWAYS_INLINE int free_span_into(struct shmheap *heap, uint64_t listed, uint64_t granule,
                                        uint64_t size, unsigned blocks)
{
    struct control *control = heap->control;
    struct neighbour before, behind;
    uint64_t end = heap->end, top = top_checked(heap, end), next = granule + size;
    unsigned back = list_in_use(listed) ? 0 : index_span_back(heap, granule);
    /* Whether they are free cannot be predicted: their headers would be asked for late. */
    if (!list_in_use(listed)) {
        block_fetch(heap, next);
        block_fetch(heap, granule - back);
    }
    if (UNLIKELY(size - 1 >= end - granule || top == GRANULE_NONE ||
                 neighbour_before(heap, listed, granule, back, &before) != 0 ||
                 neighbour_behind(heap, listed, next, top, &behind) != 0))
        return FIT_BAD;
    block_publish(heap, before.granule, header_free(before.size + size + behind.size));
    if (blocks > 1)
        starts_clear(heap, granule + 1, next);
    free_index(heap, listed, granule, next, &before, &behind);
    store_add(&control->used_granules, -size);
    store_add(&control->free_blocks, (uint64_t)1 - (before.size != 0) - (behind.size != 0));
    store_add(&control->frees, blocks);
    if (!list_in_use(listed))
        free_set_settle(heap);
    return 0;
}

/* Once for each form of the set, as fit_alloc. */
static ALWAYS_INLINE int free_span(struct shmheap *heap, uint64_t granule, uint64_t size,
                                   unsigned blocks)
{
    uint64_t listed = list_count(heap);
    return list_in_use(listed) ? free_span_into(heap, listed, granule, size, blocks)
                               : free_span_into(heap, NOT_LISTED, granule, size, blocks);
}

static int fit_free(struct shmheap *heap, uint64_t granule)
{
    uint64_t header = index_live(heap, granule);
    if (UNLIKELY(header == 0))
        return FIT_UNKNOWN;
    uint64_t size = index_size(heap, granule, header);
    if (UNLIKELY(opaque_copy(size) != header_size(header)))
        return FIT_BAD;
    generation_give_up(heap, header);
    return free_span(heap, granule, size, 1);
}

static int fit_free_span(struct shmheap *heap, uint64_t granule, uint64_t size, unsigned blocks)
{
    struct block_step step = {granule, 0, 0};
    uint64_t last = size <= heap->end - granule ? granule + size : heap->end;
    while (block_walk_at(heap, &step, last) == BLOCK_WALK_BLOCK) {
        generation_give_up(heap, step.header);
        block_walk_next(&step);
    }
    return free_span(heap, granule, size, blocks);
}

/* The index after the border between a live block and the free space behind it has moved from next (where the free
 * block behind began, if any) to border (where one begins now, unless border is the end of what was free). */
static void resize_index(struct shmheap *heap, uint64_t next, uint64_t border,
                         const struct neighbour *behind)
{
    uint64_t last = next + behind->size, listed = list_count(heap);
    if (last == heap->end) {
        store_u64(&heap->control->top, border); /* the end, where nothing is left */
    } else if (list_in_use(listed)) {
        free_set_move_listed(heap, listed, behind->place, border, last - border);
    } else {
        if (behind->size != 0)
            free_set_take_binned(heap, next, behind->size, next);
        free_set_put_binned(heap, border, last - border);
    }
    if (behind->size != 0)
        start_clear(heap, next);
    if (border != last)
        start_set(heap, border);
    if (!list_in_use(list_count(heap))) { /* perhaps since just now, as in take_middle */
        boundary_clear_if(heap, next, behind->size != 0);
        boundary_clear_if(heap, last - 1, behind->size != 0);
        boundary_set_if(heap, border, border != last);
        boundary_set_if(heap, last - 1, border != last);
    }
}

/* 1, or 0 when the header is not what it was. Holders may turn it from used to shared once meanwhile, not more. */
static int resize_publish(struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t need)
{
    for (int i = 0; i < 2; i++) {
        uint64_t header = index_live(heap, granule);
        if (header_size(header) != size)
            return 0;
        if (block_republish(heap, granule, header, (header & ~HEADER_SIZE_MASK) | need))
            return 1;
    }
    return 0;
}

static int fit_resize(struct shmheap *heap, uint64_t granule, uint64_t need)
{
    struct control *control = heap->control;
    struct neighbour behind;
    uint64_t end = heap->end, top = top_checked(heap, end), header = index_live(heap, granule);
    if (UNLIKELY(header == 0))
        return FIT_UNKNOWN;
    uint64_t size = block_size_checked(heap, granule, header, end), next = granule + size;
    if (UNLIKELY(size == 0 || top == GRANULE_NONE ||
                 neighbour_behind(heap, list_count(heap), next, top, &behind) != 0))
        return FIT_BAD;
    uint64_t room = size + behind.size;
    if (room < need)
        return FIT_NONE;
    if (room - need < heap->block_min)
        need = room; /* [ LIVE ][ behind ] => [ LIVE          ] */
    if (need == size)
        return 0;
    /* [ LIVE      ][ behind ] => [ LIVE ][ rest         ], or the border moves the other way */
    if (need != room)
        block_prepare(heap, granule + need, header_free(room - need));
    if (UNLIKELY(!resize_publish(heap, granule, size, need)))
        return FIT_BAD;
    resize_index(heap, next, granule + need, &behind);
    count_used(control, need - size);
    store_u64(&control->free_blocks,
              load_u64(&control->free_blocks) + (need != room) - (behind.size != 0));
    return 0;
}
