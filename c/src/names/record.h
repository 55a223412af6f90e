/* record.h: the blocks that make up a name, and references between them.
 *
 * A reference is a granule and a generation in one word: it is stale once the block is freed. A
 * peer may write anything into these blocks; each call checks what it reads.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_RECORD_H
#define SHMHEAP_RECORD_H

#include "../heap/fit.h"
#include "../free_set/index.h"

#define GENERATION_BITS (~UINT64_C(0) << HEADER_GENERATION_SHIFT)

/* struct name is a name as a caller gave it, padded with zeros. */
struct name {
    uint64_t words[(NAME_LEN_MAX + 1) / 8];
    uint64_t len, hash;
    uint64_t kept; /* 1: names_use keeps the name */
};

/* name_set fills name: 0, or -1 with errno EINVAL or ENAMETOOLONG. */
int name_set(const struct shmheap *heap, struct name *name, const char *text);

static inline uint64_t name_words(uint64_t len) { return (len + 7) / 8; }

/* names_hash_words hashes a name. The key is the heap's id, which is random. */
uint64_t names_hash_words(uint64_t key, const uint64_t *words, uint64_t count);

/* names_header_in_state is the header of the block at granule, any number, if it is in this
 * state; else 0. */
uint64_t names_header_in_state(const struct shmheap *heap, uint64_t granule, unsigned state);

/* names_internal_at is the payload of the internal block of this kind at granule; NULL: there is
 * none of at least len bytes. */
void *names_internal_at(const struct shmheap *heap, uint64_t granule, uint64_t kind, uint64_t len);

/* names_record_at is the record in the block at granule; NULL: it is none. */
struct name_record *names_record_at(const struct shmheap *heap, uint64_t granule);

/* names_more_at is the block of more users at granule; NULL: it is none. */
struct name_more *names_more_at(const struct shmheap *heap, uint64_t granule);

static inline uint64_t reference_make(uint64_t granule, uint64_t header)
{
    return granule | (header & GENERATION_BITS);
}
static inline uint64_t reference_granule(uint64_t word) { return word & HEADER_SIZE_MASK; }

/* names_header_of is the header of the block that a reference names, while it is in this state;
 * else 0. */
uint64_t names_header_of(const struct shmheap *heap, uint64_t word, unsigned state);

/* The last 8 bytes of an object with a name: a reference to its record. */
static inline shared_u64 *object_record_word(const struct shmheap *heap, uint64_t granule,
                                             uint64_t header)
{
    unsigned char *payload = block_payload(heap, granule);
    return (shared_u64 *)(void *)(payload + block_payload_len(heap, header_size(header)) -
                                  sizeof(uint64_t));
}

static inline uint64_t object_len(const struct shmheap *heap, uint64_t header)
{
    return block_payload_len(heap, header_size(header)) - sizeof(uint64_t);
}

/* names_internal_free frees the block at granule. */
void names_internal_free(struct shmheap *heap, uint64_t granule);

/* names_block_publish turns a used block of this process into one without an owner, in this
 * state. Its release store publishes the contents. */
void names_block_publish(struct shmheap *heap, uint64_t granule, unsigned state);

/* From names_changes_begin to names_changes_end a reader without the lock finds nothing for
 * certain. */
static inline void names_changes_begin(struct shmheap *heap)
{
    store_u64(&heap->control->names_changes, load_u64(&heap->control->names_changes) | 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void names_changes_end(struct shmheap *heap)
{
    store_publish(&heap->control->names_changes, (load_u64(&heap->control->names_changes) | 1) + 1);
}

/* names_record_is: 1 where the block at granule is the record of this name. */
int names_record_is(const struct shmheap *heap, uint64_t granule, const struct name *name);

/* names_internals_each calls visit with each internal block. visit may free it, and others. */
void names_internals_each(struct shmheap *heap,
                          void (*visit)(struct shmheap *heap, uint64_t granule));

#endif
