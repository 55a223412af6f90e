/* ownership.c: the transfer of objects, by compare-and-swap of one header.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ownership.h"

#include <errno.h>
#include <string.h>

#include "../free_set/index.h"
#include "../process/slot.h"

/* The generation after one more step in an object's life: earlier handles become stale. */
static unsigned generation_next(uint64_t header)
{
    return (header_generation(header) + 1) & GENERATION_MASK;
}

/* The word that lies so many words before the end of the payload. */
static shared_u64 *word_before_end(const struct shmheap *heap, uint64_t granule, uint64_t size,
                                   size_t words)
{
    unsigned char *payload = block_payload(heap, granule);
    return (shared_u64 *)(void *)(payload + block_payload_len(heap, size) -
                                  words * sizeof(uint64_t));
}

/* Writes words at the end of an object: 0, or -1 where the object is shorter or its header is
 * damaged. */
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
    /* A peer may turn the object from used to shared once meanwhile. */
    for (int i = 0; i < 2; i++) {
        uint64_t header = bits_live_header(heap, granule);
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

static NOINLINE uint64_t send_words(const struct shmheap *heap, uint64_t granule,
                                    const uint64_t *words, size_t count)
{
    return send(heap, granule, words, count);
}

/* Most labels are one word: that path has no loop, and saves no registers for one. */
uint64_t ownership_send_labelled(const struct shmheap *heap, uint64_t granule,
                                 const uint64_t *words, size_t count)
{
    return LIKELY(count == 1) ? send(heap, granule, words, 1)
                              : send_words(heap, granule, words, count);
}

/* The header of the object in transit with this generation; 0: there is none. */
static ALWAYS_INLINE uint64_t in_transit(const struct shmheap *heap, uint64_t granule,
                                         unsigned generation)
{
    uint64_t header = bits_is_start(heap, granule) ? block_load(heap, granule) : 0;
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

static COLD uint64_t refused(int error)
{
    errno = error;
    return 0;
}

uint64_t ownership_receive_labelled(struct shmheap *heap, uint64_t granule, unsigned generation,
                                    uint64_t label, size_t least)
{
    uint64_t header = in_transit(heap, granule, generation);
    if (UNLIKELY(header == 0))
        return refused(ESTALE);
    uint64_t size = block_size_checked(heap, granule, header, connection_end(heap));
    if (UNLIKELY(size == 0))
        return refused(EBADMSG);
    const shared_u64 *last = word_before_end(heap, granule, size, 1);
    if (UNLIKELY(load_u64(last) != label))
        return refused(ENOMSG);
    if (UNLIKELY(block_payload_len(heap, size) < least))
        return refused(ERANGE);
    /* Between the load of the label and the claim, the generations may have wrapped around and
     * another object may lie here under an equal header. A claimed object does not change, so its
     * label is compared again. A death between the claim and its undoing leaves an object of a dead
     * process. */
    uint64_t used = header_make(size, SHMHEAP_STATE_USED, heap->slot, generation_next(header));
    if (UNLIKELY(!block_republish(heap, granule, header, used)))
        return refused(ESTALE);
    if (LIKELY(load_u64(last) == label))
        return used;
    block_republish(heap, granule, used, header);
    return refused(ESTALE);
}

int ownership_put_back(const struct shmheap *heap, uint64_t granule, unsigned generation)
{
    uint64_t sent = header_make(0, SHMHEAP_STATE_SENT, SLOT_GONE, generation);
    uint64_t used = header_make(0, SHMHEAP_STATE_USED, heap->slot, generation_next(sent));
    uint64_t header = heap->slot != 0 ? bits_live_header(heap, granule) : 0;
    if (header - header_size(header) == used &&
        block_republish(heap, granule, header, sent | header_size(header)))
        return 0;
    errno = ESTALE;
    return -1;
}

/* Copies bytes that a peer may write meanwhile. Loads each once. */
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
    /* The object was in transit at every load above if the header is unchanged. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (block_load(heap, granule) != header) {
        errno = ESTALE;
        return 0;
    }
    return len;
}
