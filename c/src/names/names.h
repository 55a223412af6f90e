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

#include "users.h"

/* names_space_needed is how many granules names_use may need, at most, in one piece. */
uint64_t names_space_needed(const struct shmheap *heap, const struct name *name, size_t len);

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

/* names_sound tells whether the record at granule, its object and the table fit each other. */
int names_sound(const struct shmheap *heap, uint64_t granule);

/* XXX */
void names_free_parts(struct shmheap *heap, struct name_record *record, uint64_t granule);

/* XXX */
void names_remove_record(struct shmheap *heap, struct name_record *record, uint64_t granule);

#endif
