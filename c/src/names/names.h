/* names.h: objects that are found by name, and who uses them.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   [ record: name, users ] --> [ object (state named) .... | back to the record ]
 *        |  more users, in blocks of their own
 *   The table, by which a record is found, is derived, as the links are, and the states of objects:
 *   names_recover.
 *
 * A name exists from the store that publishes its record until the one that takes away the last
 * user, or the mark that it is kept, whichever goes last. All but names_find is called under the
 * lock. */
#ifndef SHMHEAP_NAMES_H
#define SHMHEAP_NAMES_H

#include "../heap/fit.h"

/* struct name is private: what is looked for, filled up with zeros. */
struct name {
    uint64_t words[(NAME_LEN_MAX + 1) / 8];
    uint64_t len, hash;
    uint64_t kept; /* 1: names_use keeps the name */
};

/* 0; -1 with errno EINVAL or ENAMETOOLONG. */
int name_set(const struct shmheap *heap, struct name *name, const char *text);

/* names_namespace is how many granules names_use may need, at most, in one piece. */
uint64_t names_namespace(const struct shmheap *heap, const struct name *name, size_t len);

/* names_use counts the connection's slot as a user of the name's object, which must have at least
 * len bytes, and makes it if there is none: its granule, or FIT_NONE, FIT_BAD, NAMES_TOO_SHORT. */
int64_t names_use(struct shmheap *heap, const struct name *name, size_t len);

/* names_release takes one use back, by this slot, or else of those who are gone; the last one frees
 * the object: 0; FIT_UNKNOWN, no object of a name is at granule; NAMES_NO_USER; FIT_BAD. */
int names_release(struct shmheap *heap, uint64_t granule);

enum { NAMES_TOO_SHORT = -20, NAMES_NO_USER = -21, NAMES_BUSY = -22 };

/* names_keep makes the name stay without users: 0; FIT_UNKNOWN, there is none; FIT_BAD. A death
 * leaves it kept, or as it was. */
int names_keep(struct shmheap *heap, const struct name *name);

/* names_remove takes the mark away, and the uses of departed processes, dead ones and those that
 * left in order; without further users the object is freed, and the name goes: 0; 1, living
 * processes still use it; FIT_UNKNOWN, there is no such name; FIT_BAD. A death leaves a whole name,
 * or none. */
int names_remove(struct shmheap *heap, const struct name *name);

/* names_find looks without counting, and without the lock unless locked says it is held: the
 * granule of the object and its length; FIT_UNKNOWN, there is none; NAMES_BUSY, names change too
 * fast to tell: ask under the lock. */
int64_t names_find(const struct shmheap *heap, const struct name *name, int locked, uint64_t *len);

/* names_object_len is the length of the object in state named at granule; 0: there is none. Needs
 * no lock. */
uint64_t names_object_len(const struct shmheap *heap, uint64_t granule);

/* names_relabel gives uses by slots in gone and left (bits) the labels SLOT_GONE and SLOT_DEPARTED. */
void names_relabel(struct shmheap *heap, const uint64_t *gone, const uint64_t *left);

/* names_reap takes back the uses of the dead slots, given as bits: how many objects that freed, or
 * -1 with errno EBADMSG. */
long names_reap(struct shmheap *heap, const uint64_t *dead);

/* names_recover makes all that is derived anew, after a death, from sound headers and their index.
 * */
void names_recover(struct shmheap *heap);

/* The record in the block at granule; NULL: it is none. */
const struct name_record *names_record(const struct shmheap *heap, uint64_t granule);

/* names_sound tells whether the record at granule, its object and the table fit each other. */
int names_sound(const struct shmheap *heap, uint64_t granule);

/* How often the name of the record is in use. */
uint64_t names_users(const struct shmheap *heap, const struct name_record *record);

#endif
