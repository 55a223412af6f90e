/* SPDX-License-Identifier: Apache-2.0 */
#include "ownership.h"

#include <errno.h>
#include <string.h>

#include "../cache/reclaim.h"
#include "../heap/fit.h"
#include "../free_set/index.h"
#include "../names/names.h"
#include "../recovery/recover.h"
#include "../process/slot_claim.h"

/* Asking whether the holder of a slot lives is a system call, which takes the longer the more
 * processes there are: half a microsecond, and five where there are a thousand. */
enum {
    ASK_ALWAYS = 16, /* so many each alloc that fails asks after; */
    ASK_PACE_NS = 64 /* with n more than that, n * n * 64 ns pass from one time to the next, 64 ms
                        for a thousand */
};

/* Allocs that fail from one look at the lines of caches to the next, at most: so many, that each
 * pays less for the looks than for what it does itself. */
enum { LINES_PACE_MOST = 63, LINES_PACE_OWNER = 64 };

/* The stamp of one more step in an object's life: handles from before it are stale. */
static unsigned generation_next(uint64_t header)
{
    return (header_generation(header) + 1) & GENERATION_MASK;
}

/* The word so many words before the end of a payload. */
static shared_u64 *word_before_end(const struct shmheap *heap, uint64_t granule, uint64_t size,
                                   size_t words)
{
    unsigned char *payload = block_payload(heap, granule);
    return (shared_u64 *)(void *)(payload + block_payload_len(heap, size) -
                                  words * sizeof(uint64_t));
}

/* Writes words at the end of a held object: 0, or -1 where it is shorter or its header damaged. */
static ALWAYS_INLINE int label_write(const struct shmheap *heap, uint64_t granule, uint64_t header,
                                     const uint64_t *words, size_t count)
{
    uint64_t size = block_size_checked(heap, granule, header, connection_end(heap));
    if (UNLIKELY(size == 0 || count > block_payload_len(heap, size) / sizeof(uint64_t)))
        return -1;
    for (size_t i = 0; i < count; i++)
        store_u64(word_before_end(heap, granule, size, count - i), words[i]);
    return 0;
}

static ALWAYS_INLINE uint64_t send(const struct shmheap *heap, uint64_t granule,
                                   const uint64_t *words, size_t count)
{
    /* Others may turn it from used to shared once meanwhile. */
    for (int i = 0; i < 2; i++) {
        uint64_t header = index_live(heap, granule);
        if (header == 0)
            break;
        if (header_slot(header) != heap->slot || heap->slot == 0) {
            errno = EPERM;
            return 0;
        }
        if (count != 0 && label_write(heap, granule, header, words, count) != 0) {
            errno = EBADMSG;
            return 0;
        }
        uint64_t sent = header_make(header_size(header), SHMHEAP_STATE_SENT, SLOT_GONE,
                                    generation_next(header));
        if (block_republish(heap, granule, header, sent))
            return sent;
    }
    errno = EINVAL;
    return 0;
}

uint64_t ownership_send(const struct shmheap *heap, uint64_t granule)
{
    return send(heap, granule, NULL, 0);
}

uint64_t ownership_send_labelled(const struct shmheap *heap, uint64_t granule,
                                 const uint64_t *words, size_t count)
{
    return send(heap, granule, words, count);
}

/* The header of the object in transit; 0 where there is none of that stamp. */
static uint64_t in_transit(const struct shmheap *heap, uint64_t granule, unsigned generation)
{
    uint64_t header = index_is_start(heap, granule) ? block_load(heap, granule) : 0;
    return header_state(header) == SHMHEAP_STATE_SENT && header_generation(header) == generation
               ? header
               : 0;
}

uint64_t ownership_receive(struct shmheap *heap, uint64_t granule, unsigned generation)
{
    uint64_t header = in_transit(heap, granule, generation);
    if (header != 0) {
        uint64_t used = header_make(header_size(header), SHMHEAP_STATE_USED, heap->slot,
                                    generation_next(header));
        if (block_republish(heap, granule, header, used))
            return used;
    }
    errno = ESTALE;
    return 0;
}

uint64_t ownership_receive_labelled(struct shmheap *heap, uint64_t granule, unsigned generation,
                                    uint64_t label, size_t least)
{
    uint64_t header = in_transit(heap, granule, generation);
    if (header != 0) {
        uint64_t size = block_size_checked(heap, granule, header, connection_end(heap));
        if (UNLIKELY(size == 0)) {
            errno = EBADMSG;
            return 0;
        }
        if (UNLIKELY(load_u64(word_before_end(heap, granule, size, 1)) != label)) {
            errno = ENOMSG;
            return 0;
        }
        if (UNLIKELY(block_payload_len(heap, size) < least)) {
            errno = ERANGE;
            return 0;
        }
        /* The stamps may have gone round since the label was loaded, and another object lie here under the very same
         * header. Once claimed, it stays what it is: the label is compared again. A death between claim and putting
         * back leaves an object of the dead. */
        uint64_t used = header_make(size, SHMHEAP_STATE_USED, heap->slot, generation_next(header));
        if (block_republish(heap, granule, header, used)) {
            if (LIKELY(load_u64(word_before_end(heap, granule, size, 1)) == label))
                return used;
            block_republish(heap, granule, used, header);
        }
    }
    errno = ESTALE;
    return 0;
}

int ownership_put_back(const struct shmheap *heap, uint64_t granule, unsigned generation)
{
    uint64_t sent = header_make(0, SHMHEAP_STATE_SENT, SLOT_GONE, generation);
    uint64_t used = header_make(0, SHMHEAP_STATE_USED, heap->slot, generation_next(sent));
    uint64_t header = heap->slot != 0 ? index_live(heap, granule) : 0;
    if (header - header_size(header) == used &&
        block_republish(heap, granule, header, sent | header_size(header)))
        return 0;
    errno = ESTALE;
    return -1;
}

/* Copies words of a payload that a peer may write meanwhile: each is loaded once. */
static void copy_out(unsigned char *to, const unsigned char *from, size_t bytes)
{
    size_t done = 0;
    if (((uintptr_t)from & 7) == 0)
        for (; bytes - done >= 8; done += 8) {
            uint64_t word = load_u64((const shared_u64 *)(const void *)(from + done));
            memcpy(to + done, &word, sizeof word);
        }
    for (; done < bytes; done++)
        to[done] = load_u8(from + done);
}

uint64_t ownership_peek(const struct shmheap *heap, uint64_t granule, unsigned generation,
                        const struct ownership_part *part)
{
    uint64_t header = in_transit(heap, granule, generation);
    if (header == 0) {
        errno = ESTALE;
        return 0;
    }
    uint64_t size = block_size_checked(heap, granule, header, connection_end(heap));
    if (size == 0) {
        errno = EBADMSG;
        return 0;
    }
    uint64_t len = block_payload_len(heap, size),
             from = part->from_end ? len - part->offset : part->offset;
    if (part->offset > len || part->bytes > len - from) {
        errno = ERANGE;
        return 0;
    }
    copy_out(part->buffer, (const unsigned char *)block_payload(heap, granule) + from, part->bytes);
    /* Where the header is still the same, the object was in transit at every load of the copy. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (block_load(heap, granule) != header) {
        errno = ESTALE;
        return 0;
    }
    return len;
}

/* struct dead is private: the slots that reaping is about. */
struct dead {
    uint64_t slots[SLOT_SET_WORDS];    /* slot_reapable, and SLOT_GONE */
    uint64_t departed[SLOT_SET_WORDS]; /* of processes that left in order: what threads of theirs
                                          cached even then is to be freed too */
};

static struct dead dead_slots(struct shmheap *heap)
{
    struct dead dead = {{0}, {0}};
    slot_reapable(heap, dead.slots);
    slot_set_add(dead.slots, SLOT_GONE); /* labels of those who died before */
    slot_set_add(dead.departed, SLOT_DEPARTED);
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++)
        if (slot_departed(heap, slot))
            slot_set_add(dead.departed, slot);
    return dead;
}

static int to_reap(const struct shmheap *heap, const struct block_step *step,
                   const struct dead *dead, int shared)
{
    unsigned slot = header_slot(step->header), state = header_state(step->header);
    int is_dead = slot_set_has(dead->slots, slot);
    if (!is_dead && !slot_set_has(dead->departed, slot))
        return 0;
    return state == SHMHEAP_STATE_CACHED || reclaim_is_line(heap, step) ||
           (is_dead && (state == SHMHEAP_STATE_USED || (shared && state == SHMHEAP_STATE_SHARED)));
}

long ownership_reap(struct shmheap *heap, int shared)
{
    struct dead dead = dead_slots(heap);
    struct block_step step = {0, 0, 0};
    long freed = reclaim_lines_free(heap, dead.slots);
    reclaim_lines_free(heap, dead.departed);
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        if (to_reap(heap, &step, &dead, shared)) {
            if (!index_is_start(heap, step.granule) ||
                index_size_checked(heap, step.granule, step.header) == 0 ||
                heap->fit->free_span(heap, step.granule, step.size, 1) != 0)
                break;
            freed +=
                slot_set_has(dead.slots, header_slot(step.header)); /* a departed process leaves
                                                                          no objects to reap */
            /* A free block behind it has become part of it: go on where the next block begins. */
            next = index_next_start(heap, next);
        }
        step.granule = next;
    }
    if (step.granule != heap->end) {
        errno = EBADMSG;
        return -1;
    }
    long named = names_reap(heap, dead.slots);
    if (named < 0 || recover_slots_reaped(heap, dead.slots) < 0)
        return -1;
    store_u64(&connection_hints(heap)->reap_wanted, 0);
    return freed + named;
}

/* The pause after so many processes were asked after, if they were many. */
static void ask_pace(struct shmheap *heap, uint64_t taken)
{
    if (taken > ASK_ALWAYS)
        store_u64(&connection_hints(heap)->reap_after_ns,
                  clock_ns(CLOCK_MONOTONIC) + taken * taken * ASK_PACE_NS);
}

/* Whether that pause lasts. A time that is further away than any pause is an invention of a peer's,
 * or of another boot. */
static int ask_is_early(const struct shmheap *heap)
{
    const uint64_t longest = (uint64_t)SLOTS_MAX * SLOTS_MAX * ASK_PACE_NS;
    uint64_t after = load_u64(&connection_hints(heap)->reap_after_ns);
    return after != 0 && after - clock_ns(CLOCK_MONOTONIC) <= longest;
}

/* A look at the lines found nothing: the next one comes after more allocs that fail. */
static void lines_pace(struct shmheap *heap, unsigned owners, unsigned lines)
{
    unsigned most = LINES_PACE_MOST + LINES_PACE_OWNER * owners + lines;
    unsigned pace = 2 * heap->lines_pace + 1;
    heap->lines_pace = pace < most ? pace : most;
    heap->lines_wait = heap->lines_pace;
}

long ownership_free_lines(struct shmheap *heap, int at_once)
{
    struct reclaim_owners owners;
    uint64_t gone[SLOT_SET_WORDS] = {0};
    unsigned living = 0;
    if (load_u64(&heap->control->cache_lines) == 0)
        return 0;
    if (!at_once && heap->lines_wait != 0) {
        heap->lines_wait--;
        return 0;
    }
    reclaim_lines_owners(heap, &owners);
    for (unsigned slot = 0; slot <= SLOTS_MAX; slot++) {
        if (!slot_set_has(owners.slots, slot))
            continue;
        if (slot != SLOT_GONE && slot != SLOT_DEPARTED && slot_alive(heap, slot))
            living++;
        else
            slot_set_add(gone, slot);
    }
    long freed = reclaim_lines_free(heap, gone);
    if (freed == 0)
        lines_pace(heap, living, owners.lines);
    else
        heap->lines_pace = heap->lines_wait = 0;
    return freed;
}

/* Whether the holder of a slot is dead, and what it held can be reaped. */
static int slots_ask(struct shmheap *heap)
{
    uint64_t reapable[SLOT_SET_WORDS], taken = 0, found = 0;
    slot_reapable(heap, reapable);
    for (unsigned word = 0; word < SLOT_SET_WORDS; word++)
        found |= reapable[word];
    if (found != 0)
        return 1;
    for (unsigned slot = 1, limit = slot_limit(heap); slot < limit; slot++) {
        enum slot_state state = slot_state_of(heap, slot);
        taken += state != SLOT_FREE && state != SLOT_VACATED;
    }
    ask_pace(heap, taken);
    return 0;
}

int ownership_reap_is_due(struct shmheap *heap)
{
    if (load_u64(&connection_hints(heap)->reap_wanted) != 0)
        return 1;
    return !ask_is_early(heap) && slots_ask(heap);
}
