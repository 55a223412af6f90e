/* record.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_RECORD_H
#define SHMHEAP_RECORD_H

#include "../heap/fit.h"
#include "../free_set/index.h"

#define GENERATION_BITS (~UINT64_C(0) << HEADER_GENERATION_SHIFT)

/* struct name is private: what is looked for, filled up with zeros. */
struct name {
    uint64_t words[(NAME_LEN_MAX + 1) / 8];
    uint64_t len, hash;
    uint64_t kept; /* 1: names_use keeps the name */
};

int name_set(const struct shmheap *heap, struct name *name, const char *text);

static inline uint64_t name_words(uint64_t len) { return (len + 7) / 8; }

/* XXX */
uint64_t names_hash_words(uint64_t key, const uint64_t *words, uint64_t count);

/* XXX */
uint64_t names_header_in_state(const struct shmheap *heap, uint64_t granule, unsigned state);

/* XXX */
void *names_internal_at(const struct shmheap *heap, uint64_t granule, uint64_t kind, uint64_t len);

/* XXX */
struct name_record *names_record_at(const struct shmheap *heap, uint64_t granule);

/* XXX */
struct name_more *names_more_at(const struct shmheap *heap, uint64_t granule);

static inline uint64_t reference_make(uint64_t granule, uint64_t header)
{
    return granule | (header & GENERATION_BITS);
}
static inline uint64_t reference_granule(uint64_t word) { return word & HEADER_SIZE_MASK; }

/* XXX */
uint64_t names_header_of(const struct shmheap *heap, uint64_t word, unsigned state);

/* The last 8 bytes of an object with a name: its record. */
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

/* XXX */
void names_internal_free(struct shmheap *heap, uint64_t granule);

/* XXX */
void names_block_publish(struct shmheap *heap, uint64_t granule, unsigned state);

static inline void names_changes_begin(struct shmheap *heap)
{
    store_u64(&heap->control->names_changes, load_u64(&heap->control->names_changes) | 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static inline void names_changes_end(struct shmheap *heap)
{
    store_publish(&heap->control->names_changes, (load_u64(&heap->control->names_changes) | 1) + 1);
}

/* XXX */
int names_record_is(const struct shmheap *heap, uint64_t granule, const struct name *name);

/* XXX */
void names_internals_each(struct shmheap *heap,
                          void (*visit)(struct shmheap *heap, uint64_t granule));

#endif
