/* fit_body.h: first fit. Included by fit.c, and compiled for other instructions by fit_avx2.c and fit_avx512.c, each of
 * which has included fit.h before and makes a table of the calls at the end.
 * SPDX-License-Identifier: Apache-2.0 */
#include "aligned.h"
#include "../free_set/free_set.h"

/* In the drawings [ name ] is a block, free ones are lower-case, and | is the end of the region. */

static HOT void count_used(struct control *control, uint64_t taken)
{
    uint64_t used = load_u64(&control->used_granules) + taken;
    store_u64(&control->used_granules, used);
    if (used > load_u64(&control->high_granules))
        store_u64(&control->high_granules, used);
}

static HOT void count_alloc(struct control *control, uint64_t size, int free_blocks_less)
{
    count_used(control, size);
    store_add(&control->free_blocks, (uint64_t)-(int64_t)(free_blocks_less != 0));
}

/* Counts so many new blocks, which have so many granules together: the stamp before the first one's. */
static HOT unsigned count_held(struct shmheap *heap, unsigned pieces, uint64_t granules)
{
    struct control *control = heap->control;
    uint64_t stamps = load_u64(&control->stamps);
    store_u64(&control->stamps, stamps + pieces);
    store_add(&control->allocs, pieces);
    store_add(&control->alloc_granules, granules);
    return (unsigned)stamps;
}

/* A block with this header is given up. Its stamp has moved on with each sending, so it may be ahead of the new blocks': they must not get
 * one that an old handle of a block in the same place has. Before it is free. The stamps go round: that of a very old block is taken for one
 * ahead now and then, which does no harm. */
static HOT void stamp_give_up(struct shmheap *heap, uint64_t header)
{
    uint64_t ahead = (header_stamp(header) - load_u64(&heap->control->stamps)) & STAMP_MASK;
    if (UNLIKELY(ahead - 1 < STAMP_AHEAD_MAX))
        store_add(&heap->control->stamps, ahead);
}

static HOT uint64_t header_held(const struct shmheap *heap, uint64_t size, unsigned state, unsigned stamp)
{
    return header_make(size, state, heap->slot, stamp & STAMP_MASK);
}

static HOT uint64_t header_used(struct shmheap *heap, uint64_t size)
{
    return header_held(heap, size, SHMHEAP_STATE_USED, count_held(heap, 1, size) + 1);
}

/* The index and the counts after [ from        ] => [ TAKEN ][ rest ]  or  [ TAKEN ], one block or several. */
static HOT void front_taken(struct shmheap *heap, const struct found *found, uint64_t taken)
{
    uint64_t granule = found->granule, behind = granule + taken, rest = found->size - taken;
    frees_shrink(heap, found, behind, rest);
    start_set(heap, behind);
    count_alloc(heap->control, taken, rest == 0);
    if (few_is_list(found->few))
        return;
    edge_clear(heap, granule);
    edge_clear(heap, behind - 1);
    edge_set_if(heap, behind, rest != 0);
    frees_settle(heap);
}

/* [ from        ] => [ USED ][ rest ]  or  [ USED ]   Both in one:
 * without a rest, behind is where the next block begins already. */
static HOT int64_t take_front(struct shmheap *heap, const struct found *from, uint64_t need)
{
    shared_u64 unused;
    uint64_t granule = from->granule, size = from->size, rest = size - need;
    rest &= (uint64_t)-(int64_t)(rest >= heap->block_min); /* no branch: which it will be cannot be predicted */
    uint64_t taken = size - rest, behind = granule + taken;
    shared_u64 *rest_header = block_header(heap, behind);
    shared_u64 *rest_place = (shared_u64 *)(uintptr_t)choose(rest, (uintptr_t)rest_header, (uintptr_t)&unused);
    store_u64(rest_place, header_free(rest));
    block_publish(heap, granule, header_used(heap, taken));
    front_taken(heap, from, taken);
    return (int64_t)granule;
}

enum { TAIL_AHEAD = 8 }; /* blocks as this one, by which memory behind the tail is fetched before it is needed */

/* As front_taken, after [ tail        ]| => [ TAKEN ][ tail ]|  or  [ TAKEN ]| */
static HOT void tail_taken(struct shmheap *heap, uint64_t few, uint64_t tail, uint64_t taken)
{
    uint64_t end = heap->end, behind = tail + taken;
    int is_all = behind == end;
    if (!is_all)
        start_set(heap, behind);
    if (!few_is_list(few)) {
        edge_clear(heap, tail);
        edge_clear_if(heap, end - 1, is_all);
        edge_set_if(heap, behind, !is_all);
    }
    store_u64(&heap->control->tail, behind);
    count_alloc(heap->control, taken, is_all);
}

/* [ tail        ]| => [ USED ][ tail ]|  or  [ USED ]| */
static HOT int64_t take_tail(struct shmheap *heap, uint64_t few, uint64_t tail, uint64_t need)
{
    uint64_t size = heap->end - tail, taken = size - need < heap->block_min ? size : need;
    if (LIKELY(taken != size)) {
        block_fetch(heap, tail + (1 + TAIL_AHEAD) * need);
        block_prepare(heap, tail + taken, header_free(size - taken));
    }
    block_publish(heap, tail, header_used(heap, taken));
    tail_taken(heap, few, tail, taken);
    return (int64_t)tail;
}

/* For sizes that the saturated maxima do not tell apart (32 GiB and more): a walk. Granule of a free
 * block before the tail, FIT_NONE or FIT_BAD. */
static COLD int64_t find_huge(const struct shmheap *heap, uint64_t need, uint64_t tail)
{
    struct block_step step = {0, 0, 0};
    enum block_walk walk;
    if (need > tail)
        return FIT_NONE; /* there is no room for it before the tail, whatever is free */
    while ((walk = block_walk_at(heap, &step, tail)) == BLOCK_WALK_BLOCK) {
        if (header_is_free(step.header) && step.size >= need)
            return (int64_t)step.granule;
        block_walk_next(&step);
    }
    return walk == BLOCK_WALK_END ? FIT_NONE : FIT_BAD;
}

/* Whether the block found is a free one of at least need, for the bits too. It ends before the tail: else it would be the tail, or the tail's
 * neighbour. 1 or FIT_BAD. */
static HOT int found_checked(const struct shmheap *heap, const struct found *found, uint64_t need, uint64_t tail)
{
    uint64_t granule = found->granule, size = found->size, header = block_load(heap, granule);
    int sound = header == header_free(value_copy(size)) && size >= need && size < tail - granule;
    if (few_is_list(found->few))
        sound &= index_is_start(heap, granule);
    return LIKELY(sound) ? 1 : FIT_BAD;
}

/* The lowest free block of at least need before the tail: 1, FIT_NONE or FIT_BAD. found: as found_none made it. */
static HOT int find_first(const struct shmheap *heap, uint64_t need, uint64_t tail, struct found *found)
{
    if (UNLIKELY(need >= MAXIMUM_CAP)) {
        int64_t huge = find_huge(heap, need, tail);
        if (huge < 0)
            return (int)huge;
        found->granule = (uint64_t)huge;
    } else if (!frees_find(heap, need, tail, found)) {
        return FIT_NONE;
    }
    uint64_t granule = found->granule;
    if (UNLIKELY(granule >= tail))
        return FIT_BAD;
    /* Where will be written next: the caller into the payload, and we the header of what is left. */
    prefetch(block_payload(heap, granule));
    block_fetch(heap, granule + need);
    if (!few_is_list(found->few) && UNLIKELY(found->size == SPAN_FAR))
        found->size = frees_large_size(heap, granule);
    return found_checked(heap, found, need, tail);
}

/* The tail, or the end where the last block is in use; GRANULE_NONE when control and header contradict each other. */
static inline uint64_t tail_checked(const struct shmheap *heap, uint64_t end)
{
    uint64_t tail = load_u64(&heap->control->tail);
    return LIKELY(tail <= end) ? tail : GRANULE_NONE;
}

static inline int tail_is_sound(const struct shmheap *heap, uint64_t tail, uint64_t end)
{
    return block_load(heap, tail) == header_free(end - tail);
}

static HOT int64_t alloc_from(struct shmheap *heap, uint64_t need, uint64_t few)
{
    struct found found = found_none(few);
    uint64_t end = heap->end, tail = tail_checked(heap, end);
    if (UNLIKELY(tail == GRANULE_NONE))
        return FIT_BAD;
    int result = find_first(heap, need, tail, &found);
    if (result > 0)
        return take_front(heap, &found, need);
    if (result == FIT_BAD || end - tail < need)
        return result;
    if (UNLIKELY(!tail_is_sound(heap, tail, end)))
        return FIT_BAD;
    return take_tail(heap, few, tail, need);
}

/* Once for each form of the set: what is common to them is less than what can be left out. */
static int64_t fit_alloc(struct shmheap *heap, uint64_t need)
{
    uint64_t few = few_count(heap);
    return few_is_list(few) ? alloc_from(heap, need, few) : alloc_from(heap, need, FEW_NOT);
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
static uint64_t carve(struct shmheap *heap, uint64_t from, uint64_t size, uint64_t need, unsigned pieces, unsigned state)
{
    uint64_t rest = size - pieces * need, last = from + (pieces - 1) * need;
    if (rest < heap->block_min)
        rest = 0;
    uint64_t taken = size - rest;
    if (rest != 0)
        block_prepare(heap, from + taken, header_free(rest));
    unsigned stamp = count_held(heap, pieces, taken);
    for (uint64_t at = last; at != from; at -= need)
        block_prepare(heap, at, header_held(heap, at == last ? from + taken - at : need, state, ++stamp));
    block_publish(heap, from, header_held(heap, pieces == 1 ? taken : need, state, ++stamp));
    starts_set(heap, from, last, need);
    return taken;
}

static unsigned take_front_many(struct shmheap *heap, const struct found *from, uint64_t need, unsigned pieces, unsigned state)
{
    front_taken(heap, from, carve(heap, from->granule, from->size, need, pieces, state));
    return pieces;
}

static unsigned take_tail_many(struct shmheap *heap, uint64_t few, uint64_t tail, uint64_t need, unsigned pieces, unsigned state)
{
    tail_taken(heap, few, tail, carve(heap, tail, heap->end - tail, need, pieces, state));
    return pieces;
}

/* The lowest of the smallest free blocks that have room for need; large ones count as equally small. As find_first. */
static int find_best(const struct shmheap *heap, uint64_t need, uint64_t tail, struct found *found)
{
    if (need >= ROWS || !frees_find_best(heap, need, tail, found))
        return find_first(heap, need, tail, found);
    return LIKELY(found->granule < tail) ? found_checked(heap, found, need, tail) : FIT_BAD;
}

/* As many blocks of need as come from one free block, count at most: the lowest that has room for one, or the best. In the first case they are the
 * same that one fit_alloc after the other would take, since what is left of that block stays the lowest with room. */
static HOT int64_t alloc_many_once(struct shmheap *heap, uint64_t need, unsigned state, unsigned count, uint64_t *granules, int best)
{
    struct found found = found_none(few_count(heap));
    uint64_t end = heap->end, tail = tail_checked(heap, end);
    if (UNLIKELY(tail == GRANULE_NONE))
        return FIT_BAD;
    int result = best ? find_best(heap, need, tail, &found) : find_first(heap, need, tail, &found);
    if (result == FIT_BAD || (result < 0 && end - tail < need))
        return result;
    if (UNLIKELY(result < 0 && !tail_is_sound(heap, tail, end)))
        return FIT_BAD;
    uint64_t from = result < 0 ? tail : found.granule, room = result < 0 ? end - tail : found.size;
    unsigned pieces = room / need < count ? (unsigned)(room / need) : count;
    for (unsigned i = 0; i < pieces; i++)
        granules[i] = from + i * need;
    return result < 0 ? take_tail_many(heap, found.few, tail, need, pieces, state) : take_front_many(heap, &found, need, pieces, state);
}

static HOT int64_t alloc_many(struct shmheap *heap, uint64_t need, unsigned state, unsigned count, uint64_t *granules, int best)
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

static int64_t fit_alloc_many(struct shmheap *heap, uint64_t need, unsigned state, unsigned count, uint64_t *granules)
{
    return alloc_many(heap, need, state, count, granules, 0);
}

static int64_t fit_alloc_best(struct shmheap *heap, uint64_t need, unsigned state, unsigned count, uint64_t *granules)
{
    return alloc_many(heap, need, state, count, granules, 1);
}

/* [ from               ] => [ from ][ USED ][ rest ]   one store to from's header publishes it all */
static int64_t take_middle(struct shmheap *heap, uint64_t granule, uint64_t size, uint64_t at, uint64_t need)
{
    struct control *control = heap->control;
    uint64_t end = heap->end, last = granule + size, gap = at - granule, rest = last - at - need;
    int was_tail = last == end;
    if (rest < heap->block_min) {
        need += rest;
        rest = 0;
    } else {
        block_prepare(heap, at + need, header_free(rest));
    }
    block_prepare(heap, at, header_used(heap, need));
    block_publish(heap, granule, header_free(gap));
    if (was_tail) {
        store_u64(&control->tail, at + need);
    } else {
        frees_take(heap, granule, size, granule);
        frees_put(heap, at + need, rest);
    }
    frees_put(heap, granule, gap);
    start_set(heap, at);
    if (rest != 0)
        start_set(heap, at + need);
    if (!few_is_list(few_count(heap))) { /* perhaps since just now, when there were one too many */
        edge_set(heap, granule);
        edge_set(heap, at - 1);
        edge_set_if(heap, at + need, rest != 0);
        edge_clear_if(heap, last - 1, rest == 0);
    }
    count_alloc(control, need, 0);
    if (rest != 0)
        store_add(&control->free_blocks, 1);
    return (int64_t)at;
}

static int64_t take_aligned(struct shmheap *heap, const struct found *from, uint64_t need, uint64_t alignment, uint64_t tail)
{
    uint64_t granule = from->granule, size = from->size, at = align_granule(heap, granule, alignment);
    if (at - granule + need > size)
        return FIT_NONE;
    if (at != granule)
        return take_middle(heap, granule, size, at, need);
    return granule == tail ? take_tail(heap, from->few, tail, need) : take_front(heap, from, need);
}

/* Whether a free block begins at this granule, as the set has it; place: of the list, or FEW_MAX. */
static HOT int is_free_at(const struct shmheap *heap, uint64_t few, uint64_t place, uint64_t granule, uint64_t tail)
{
    return few_is_list(few) ? place != FEW_MAX || granule == tail : index_is_free_start(heap, granule);
}

/* take_aligned of the free block at granule, once the index is found to agree with its header. FIT_NONE: the object does not fit there. */
static int64_t take_aligned_at(struct shmheap *heap, uint64_t few, uint64_t granule, uint64_t need, uint64_t alignment, uint64_t tail)
{
    uint64_t end = heap->end, header = granule < end ? block_load(heap, granule) : ~UINT64_C(0);
    uint64_t size = header_is_free(header) ? block_size_checked(heap, granule, header, end) : 0;
    const struct found from = {granule, size, few, few_place(heap, few, granule), 0, OTHERS_UNKNOWN};
    if (size == 0 || !index_is_start(heap, granule) || (granule + size == end) != (granule == tail) ||
        !is_free_at(heap, few, from.place, granule, tail))
        return FIT_BAD;
    return size >= need ? take_aligned(heap, &from, need, alignment, tail) : FIT_NONE;
}

/* Looks at one free block of the list after the other. FIT_NONE: at all of them. */
static int64_t alloc_aligned_few(struct shmheap *heap, uint64_t few, uint64_t need, uint64_t alignment, uint64_t tail)
{
    int64_t taken = FIT_NONE;
    for (uint64_t place = 0; place < few && taken == FIT_NONE; place++)
        if (load_u32(few_size(heap, place)) >= need)
            taken = take_aligned_at(heap, few, few_granule(heap, place), need, alignment, tail);
    return taken;
}

/* The same in rows and tree: one block is found, and has to do. */
static int64_t alloc_aligned_many(struct shmheap *heap, uint64_t need, uint64_t alignment, uint64_t tail)
{
    uint64_t granule = aligned_find(heap, need, alignment, tail);
    int64_t taken = granule != GRANULE_NONE ? take_aligned_at(heap, FEW_NOT, granule, need, alignment, tail) : FIT_NONE;
    return taken == FIT_NONE && granule != GRANULE_NONE ? FIT_BAD : taken;
}

/* The lowest free block in which the object happens to fit. */
static COLD int64_t alloc_aligned_anywhere(struct shmheap *heap, uint64_t need, uint64_t alignment, uint64_t tail)
{
    const uint64_t few = few_count(heap);
    int64_t taken = few_is_list(few) ? alloc_aligned_few(heap, few, need, alignment, tail) : alloc_aligned_many(heap, need, alignment, tail);
    if (taken != FIT_NONE || heap->end - tail < need)
        return taken;
    return take_aligned_at(heap, few, tail, need, alignment, tail);
}

static int64_t fit_alloc_aligned(struct shmheap *heap, uint64_t need, uint64_t alignment, int exhaustive)
{
    struct found found = found_none(few_count(heap));
    uint64_t end = heap->end, tail = tail_checked(heap, end);
    if (tail == GRANULE_NONE)
        return FIT_BAD;
    if (exhaustive)
        return alloc_aligned_anywhere(heap, need, alignment, tail);
    uint64_t enough = need + (alignment >> heap->shift) + heap->block_min - 1;
    int result = find_first(heap, enough, tail, &found);
    if (result > 0)
        return take_aligned(heap, &found, need, alignment, tail);
    if (result == FIT_BAD || tail == end)
        return result;
    if (!tail_is_sound(heap, tail, end))
        return FIT_BAD;
    found.granule = tail;
    found.size = end - tail;
    return take_aligned(heap, &found, need, alignment, tail);
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
static HOT int neighbour_before(const struct shmheap *heap, uint64_t few, uint64_t granule, unsigned span, struct neighbour *before)
{
    uint64_t size = span;
    before->size = 0;
    before->granule = granule;
    before->place = FEW_MAX;
    if (few_is_list(few)) {
        before->place = few_place_before(heap, few, granule);
        if (before->place == FEW_MAX)
            return 0;
        size = load_u32(few_size(heap, before->place));
    } else {
        if (granule == 0 || !index_is_edge(heap, granule - 1))
            return 0;
        if (UNLIKELY(size == SPAN_FAR))
            size = granule - index_start_of(heap, granule - 1); /* of none: more than granule */
    }
    if (UNLIKELY(size > granule))
        return FIT_BAD;
    before->size = size;
    before->granule = granule - size;
    return LIKELY(block_load(heap, before->granule) == header_free(value_copy(size))) ? 0 : FIT_BAD;
}

/* 0, or FIT_BAD. */
static HOT int neighbour_behind(const struct shmheap *heap, uint64_t few, uint64_t next, uint64_t tail, struct neighbour *behind)
{
    uint64_t end = heap->end;
    behind->size = 0;
    behind->granule = next;
    behind->place = few_is_list(few) ? few_place(heap, few, next) : FEW_MAX;
    if (UNLIKELY(next == end))
        return LIKELY(tail == end) ? 0 : FIT_BAD;
    int is_free = is_free_at(heap, few, behind->place, next, tail);
    if (!is_free && !few_is_list(few))
        return LIKELY(next != tail) ? 0 : FIT_BAD;
    uint64_t header = block_load(heap, next);
    if (!is_free) /* beside a list no edge tells that the tail is wrong, so the header has to */
        return LIKELY(!header_is_free(header)) ? 0 : FIT_BAD;
    behind->size = next == tail                ? end - tail
                   : behind->place != FEW_MAX ? load_u32(few_size(heap, behind->place))
                                              : index_size(heap, next, header);
    int sound = header == header_free(value_copy(behind->size)) && behind->size - 1 < end - next &&
                (next + behind->size == end) == (next == tail);
    return LIKELY(sound) ? 0 : FIT_BAD;
}

/* The set after [ before ][ FREED ][ behind ] => [ -------------------- ], where either neighbour may be missing. */
static HOT void free_set(struct shmheap *heap, uint64_t few, uint64_t next, const struct neighbour *before, const struct neighbour *behind)
{
    uint64_t first = before->granule, last = next + behind->size;
    if (UNLIKELY(last == heap->end)) {
        if (before->place != FEW_MAX)
            few_drop(heap, few, before->place);
        else if (before->size != 0)
            frees_take_many(heap, first, before->size, first);
        store_u64(&heap->control->tail, first);
    } else if (few_is_list(few)) {
        frees_merge_few(heap, few, before->place, behind->place, first, last - first);
    } else {
        if (before->size != 0)
            frees_take_many(heap, first, before->size, first);
        if (behind->size != 0)
            frees_take_many(heap, next, behind->size, first);
        frees_put_many(heap, first, last - first);
    }
}

/* The index after the same. */
static HOT void free_index(struct shmheap *heap, uint64_t few, uint64_t granule, uint64_t next, const struct neighbour *before,
                           const struct neighbour *behind)
{
    free_set(heap, few, next, before, behind);
    if (before->size != 0)
        start_clear(heap, granule);
    if (behind->size != 0)
        start_clear(heap, next);
    if (few_is_list(few))
        return;
    if (before->size == 0)
        edge_set(heap, granule);
    else
        edge_clear_if(heap, granule - 1, before->size > 1);
    if (behind->size == 0)
        edge_set(heap, next - 1);
    else
        edge_clear_if(heap, next, behind->size > 1);
}

/* Frees size granules from granule on, which are one or more whole blocks that are not free. 0 or FIT_BAD. */
static HOT int free_span_into(struct shmheap *heap, uint64_t few, uint64_t granule, uint64_t size, unsigned blocks)
{
    struct control *control = heap->control;
    struct neighbour before, behind;
    uint64_t end = heap->end, tail = tail_checked(heap, end), next = granule + size;
    unsigned back = few_is_list(few) ? 0 : index_span_back(heap, granule);
    /* Whether they are free cannot be predicted: their headers would be asked for late. */
    if (!few_is_list(few)) {
        block_fetch(heap, next);
        block_fetch(heap, granule - back);
    }
    if (UNLIKELY(size - 1 >= end - granule || tail == GRANULE_NONE || neighbour_before(heap, few, granule, back, &before) != 0 ||
                 neighbour_behind(heap, few, next, tail, &behind) != 0))
        return FIT_BAD;
    block_publish(heap, before.granule, header_free(before.size + size + behind.size));
    if (blocks > 1)
        starts_clear(heap, granule + 1, next);
    free_index(heap, few, granule, next, &before, &behind);
    store_add(&control->used_granules, -size);
    store_add(&control->free_blocks, (uint64_t)1 - (before.size != 0) - (behind.size != 0));
    store_add(&control->frees, blocks);
    if (!few_is_list(few))
        frees_settle(heap);
    return 0;
}

/* Once for each form of the set, as fit_alloc. */
static HOT int free_span(struct shmheap *heap, uint64_t granule, uint64_t size, unsigned blocks)
{
    uint64_t few = few_count(heap);
    return few_is_list(few) ? free_span_into(heap, few, granule, size, blocks) : free_span_into(heap, FEW_NOT, granule, size, blocks);
}

static int fit_free(struct shmheap *heap, uint64_t granule)
{
    uint64_t header = index_live(heap, granule);
    if (UNLIKELY(header == 0))
        return FIT_UNKNOWN;
    uint64_t size = index_size(heap, granule, header);
    if (UNLIKELY(value_copy(size) != header_size(header)))
        return FIT_BAD;
    stamp_give_up(heap, header);
    return free_span(heap, granule, size, 1);
}

static int fit_free_span(struct shmheap *heap, uint64_t granule, uint64_t size, unsigned blocks)
{
    struct block_step step = {granule, 0, 0};
    uint64_t last = size <= heap->end - granule ? granule + size : heap->end;
    while (block_walk_at(heap, &step, last) == BLOCK_WALK_BLOCK) {
        stamp_give_up(heap, step.header);
        block_walk_next(&step);
    }
    return free_span(heap, granule, size, blocks);
}

/* The index after the border between a live block and the free space behind it has moved from next (where the free
 * block behind began, if any) to border (where one begins now, unless border is the end of what was free). */
static void resize_index(struct shmheap *heap, uint64_t next, uint64_t border, const struct neighbour *behind)
{
    uint64_t last = next + behind->size, few = few_count(heap);
    if (last == heap->end) {
        store_u64(&heap->control->tail, border); /* the end, where nothing is left */
    } else if (few_is_list(few)) {
        frees_move_few(heap, few, behind->place, border, last - border);
    } else {
        if (behind->size != 0)
            frees_take_many(heap, next, behind->size, next);
        frees_put_many(heap, border, last - border);
    }
    if (behind->size != 0)
        start_clear(heap, next);
    if (border != last)
        start_set(heap, border);
    if (!few_is_list(few_count(heap))) { /* perhaps since just now, as in take_middle */
        edge_clear_if(heap, next, behind->size != 0);
        edge_clear_if(heap, last - 1, behind->size != 0);
        edge_set_if(heap, border, border != last);
        edge_set_if(heap, last - 1, border != last);
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
    uint64_t end = heap->end, tail = tail_checked(heap, end), header = index_live(heap, granule);
    if (UNLIKELY(header == 0))
        return FIT_UNKNOWN;
    uint64_t size = block_size_checked(heap, granule, header, end), next = granule + size;
    if (UNLIKELY(size == 0 || tail == GRANULE_NONE || neighbour_behind(heap, few_count(heap), next, tail, &behind) != 0))
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
    store_u64(&control->free_blocks, load_u64(&control->free_blocks) + (need != room) - (behind.size != 0));
    return 0;
}
