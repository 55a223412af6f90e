/* users.h: which slots use a name, and how often.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_USERS_H
#define SHMHEAP_USERS_H

#include "record.h"

/* CHAIN_MAX: blocks of more users that a walk follows, whatever the links say. */
enum { CHAIN_MAX = 64, USER_COUNT_SHIFT = 32 };

static inline unsigned user_slot(uint64_t word) { return (uint32_t)word; }
static inline uint64_t user_count(uint64_t word) { return word >> USER_COUNT_SHIFT; }

/* struct users is a walk over the words of a record's users. */
struct users {
    const struct shmheap *heap;
    shared_u64 *words;
    uint64_t next;
    unsigned remaining, chain;
};

/* names_users_of begins a walk. */
struct users names_users_of(const struct shmheap *heap, const struct name_record *record);

/* names_users_next is the next word; NULL: the end. */
shared_u64 *names_users_next(struct users *users);

/* names_users is how often the name is in use. */
uint64_t names_users(const struct shmheap *heap, const struct name_record *record);

/* names_user_find is the word of this slot, with a count; NULL: it has none. */
shared_u64 *names_user_find(const struct shmheap *heap, const struct name_record *record,
                            unsigned slot);

/* names_record_is_held: 1 where a user or the mark as kept holds the name. Any value but 0 is
 * the mark: forging it only keeps a name. */
int names_record_is_held(const struct shmheap *heap, const struct name_record *record);

/* names_user_departed is a word with uses of a departed process, which no call will take back,
 * whether its slot was given away since or not; NULL: there is none. */
shared_u64 *names_user_departed(struct shmheap *heap, const struct name_record *record);

/* names_user_add counts one more use by this slot. Returns 0, FIT_NONE or FIT_BAD. granule: of
 * the record. */
int names_user_add(struct shmheap *heap, struct name_record *record, uint64_t granule);

/* names_more_link puts the block of more users at granule at the head of the record's chain. */
void names_more_link(struct shmheap *heap, struct name_record *record, uint64_t granule);

#endif
