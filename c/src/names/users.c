/* users.c: the list of a name's users: a record's own words first, then chained blocks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "users.h"

#include <string.h>

#include "../process/slot.h"

struct users names_users_of(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = {heap, (shared_u64 *)(uintptr_t)record->users, load_u64(&record->more),
                          NAME_USERS, 0};
    return users;
}

shared_u64 *names_users_next(struct users *users)
{
    if (users->remaining == 0) {
        struct name_more *more =
            users->chain++ < CHAIN_MAX ? names_more_at(users->heap, users->next - 1) : NULL;
        if (more == NULL)
            return NULL;
        users->words = more->users;
        users->next = load_u64(&more->more);
        users->remaining = USERS_MORE;
    }
    users->remaining--;
    return users->words++;
}

uint64_t names_users(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = names_users_of(heap, record);
    uint64_t sum = 0;
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;)
        sum += user_count(load_u64(word));
    return sum;
}

shared_u64 *names_user_find(const struct shmheap *heap, const struct name_record *record,
                            unsigned slot)
{
    struct users users = names_users_of(heap, record);
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;) {
        uint64_t user = load_u64(word);
        if (user_slot(user) == slot && user_count(user) != 0)
            return word;
    }
    return NULL;
}

int names_record_is_held(const struct shmheap *heap, const struct name_record *record)
{
    return load_u64(&record->kept) != 0 || names_users(heap, record) != 0;
}

shared_u64 *names_user_departed(struct shmheap *heap, const struct name_record *record)
{
    struct users users = names_users_of(heap, record);
    const unsigned limit = slot_limit(heap);
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;) {
        uint64_t user = load_u64(word);
        unsigned slot = user_slot(user);
        if (user_count(user) != 0 && (slot == SLOT_DEPARTED || slot == SLOT_GONE ||
                                      (slot < limit && slot_departed(heap, slot))))
            return word;
    }
    return NULL;
}

static shared_u64 *user_vacancy(const struct shmheap *heap, const struct name_record *record)
{
    struct users users = names_users_of(heap, record);
    for (shared_u64 *word; (word = names_users_next(&users)) != NULL;)
        if (load_u64(word) == 0)
            return word;
    return NULL;
}

void names_more_link(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    struct name_more *more = block_payload(heap, granule);
    store_u64(&more->more, load_u64(&record->more));
    store_u64(&record->more, granule + 1);
}

/* Adds a block of more users, with this word in it. A death before it is published leaves a used
 * block of a dead process; after it, recovery links the block. */
static int user_add_block(struct shmheap *heap, struct name_record *record, uint64_t record_granule,
                          uint64_t word)
{
    int64_t granule = heap->fit->alloc(heap, block_granules(heap, sizeof(struct name_more)));
    if (granule < 0)
        return (int)granule;
    struct name_more *more = block_payload(heap, (uint64_t)granule);
    memset(more, 0, sizeof *more);
    store_u64(&more->kind, INTERNAL_USERS);
    store_u64(&more->record, reference_make(record_granule, block_load(heap, record_granule)));
    store_u64(&more->users[0], word);
    names_block_publish(heap, (uint64_t)granule, SHMHEAP_STATE_INTERNAL);
    names_more_link(heap, record, (uint64_t)granule);
    return 0;
}

int names_user_add(struct shmheap *heap, struct name_record *record, uint64_t granule)
{
    const uint64_t one = UINT64_C(1) << USER_COUNT_SHIFT;
    shared_u64 *word = names_user_find(heap, record, heap->slot);
    if (word != NULL) {
        uint64_t user = load_u64(word);
        if (user_count(user) == UINT32_MAX)
            return FIT_NONE;
        store_publish(word, user + one);
        return 0;
    }
    word = user_vacancy(heap, record);
    if (word == NULL)
        return user_add_block(heap, record, granule, heap->slot | one);
    store_publish(word, heap->slot | one);
    return 0;
}
