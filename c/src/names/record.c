/* record.c: reads records and references without trusting them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <errno.h>
#include <string.h>

#include "../base/error.h"

uint64_t names_header_in_state(const struct shmheap *heap, uint64_t granule, unsigned state)
{
    uint64_t end = connection_end(heap);
    uint64_t header = granule < end && bits_is_start(heap, granule) ? block_load(heap, granule) : 0;
    return header_state(header) == state && block_size_checked(heap, granule, header, end) != 0
               ? header
               : 0;
}

void *names_internal_at(const struct shmheap *heap, uint64_t granule, uint64_t kind, uint64_t len)
{
    uint64_t header = names_header_in_state(heap, granule, SHMHEAP_STATE_INTERNAL);
    if (header == 0 || block_payload_len(heap, header_size(header)) < len)
        return NULL;
    void *payload = block_payload(heap, granule);
    return load_u64(payload) == kind ? payload : NULL;
}

struct name_record *names_record_at(const struct shmheap *heap, uint64_t granule)
{
    return names_internal_at(heap, granule, INTERNAL_NAME, sizeof(struct name_record));
}

struct name_more *names_more_at(const struct shmheap *heap, uint64_t granule)
{
    return names_internal_at(heap, granule, INTERNAL_USERS, sizeof(struct name_more));
}

uint64_t names_header_of(const struct shmheap *heap, uint64_t word, unsigned state)
{
    uint64_t header = names_header_in_state(heap, reference_granule(word), state);
    return (header & GENERATION_BITS) == (word & GENERATION_BITS) ? header : 0;
}

void names_internal_free(struct shmheap *heap, uint64_t granule)
{
    uint64_t header = block_load(heap, granule), size = bits_size_checked(heap, granule, header);
    if (size != 0)
        heap->fit->free_span(heap, granule, size, 1);
}

void names_block_publish(struct shmheap *heap, uint64_t granule, unsigned state)
{
    uint64_t header = block_load(heap, granule);
    block_publish(heap, granule,
                  header_make(header_size(header), state, SLOT_GONE, header_generation(header)));
}

/* A word at a time: multiply, xor, shift. */
uint64_t names_hash_words(uint64_t key, const uint64_t *words, uint64_t count)
{
    uint64_t hash = key ^ count;
    for (uint64_t i = 0; i < count; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    hash *= UINT64_C(0xd6e8feb86659fd93);
    return hash ^ hash >> 29;
}

int name_set(const struct shmheap *heap, struct name *name, const char *text)
{
    size_t len = text != NULL ? strnlen(text, NAME_LEN_MAX + 1) : 0;
    if (len == 0)
        return error_cause(EINVAL, CAUSE_NAME_EMPTY, 0, 0);
    if (len > NAME_LEN_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memset(name->words, 0, sizeof name->words);
    memcpy(name->words, text, len);
    name->len = len;
    name->kept = 0;
    name->hash = names_hash_words(heap->id, name->words, name_words(len));
    return 0;
}

int names_record_is(const struct shmheap *heap, uint64_t granule, const struct name *name)
{
    uint64_t words = name_words(name->len);
    const struct name_record *record =
        names_internal_at(heap, granule, INTERNAL_NAME, sizeof *record + words * 8);
    if (record == NULL || load_u64(&record->name_len) != name->len)
        return 0;
    const shared_u64 *text = record->name;
    for (uint64_t i = 0; i < words; i++)
        if (load_u64(text + i) != name->words[i])
            return 0;
    return 1;
}

void names_internals_each(struct shmheap *heap,
                          void (*visit)(struct shmheap *heap, uint64_t granule))
{
    struct block_step step = {0, 0, 0};
    while (block_walk_at(heap, &step, heap->end) == BLOCK_WALK_BLOCK) {
        uint64_t next = step.granule + step.size;
        if (header_state(step.header) == SHMHEAP_STATE_INTERNAL) {
            visit(heap, step.granule);
            next = index_next_start(heap, next);
        }
        step.granule = next;
    }
}
