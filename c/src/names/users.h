/* users.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_USERS_H
#define SHMHEAP_USERS_H

#include "record.h"

enum { CHAIN_MAX = 64, USER_COUNT_SHIFT = 32 };

static inline unsigned user_slot(uint64_t word) { return (uint32_t)word; }
static inline uint64_t user_count(uint64_t word) { return word >> USER_COUNT_SHIFT; }

/* struct users is private: goes through the words of a record's users. */
struct users {
    const struct shmheap *heap;
    shared_u64 *words;
    uint64_t next;
    unsigned left, chain;
};

/* XXX */
struct users names_users_of(const struct shmheap *heap, const struct name_record *record);

/* XXX */
shared_u64 *names_users_next(struct users *users);

/* XXX */
uint64_t names_users(const struct shmheap *heap, const struct name_record *record);

/* XXX */
shared_u64 *names_user_find(const struct shmheap *heap, const struct name_record *record,
                            unsigned slot);

/* XXX */
int names_record_is_held(const struct shmheap *heap, const struct name_record *record);

/* XXX */
shared_u64 *names_user_departed(const struct shmheap *heap, const struct name_record *record);

/* XXX */
int names_user_add(struct shmheap *heap, struct name_record *record, uint64_t granule);

/* XXX */
void names_more_link(struct shmheap *heap, struct name_record *record, uint64_t granule);

#endif
