/* names.h: objects that processes find by name, and which processes use them.
 *
 *  [ record: name, users ] --> [ object (state named) .... | back to the record ]
 *       |  more users, in blocks of their own
 *
 * The truth is the records. The table that finds a record, the links and the states of objects are
 * derived: names_recover.
 *
 * A name exists from the store that publishes its record until the store that removes its last
 * user, or its mark as kept, whichever goes last. All calls but names_find and names_object_len
 * need the lock.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_NAMES_H
#define SHMHEAP_NAMES_H

#include "users.h"

/* names_space_needed is the most granules, in one piece, that names_use may need. */
uint64_t names_space_needed(const struct shmheap *heap, const struct name *name, size_t len);

/* names_use counts this slot as a user of the name's object, which must have at least len bytes;
 * makes the object if there is none. Returns its granule, or FIT_NONE, FIT_BAD, NAMES_TOO_SHORT. */
int64_t names_use(struct shmheap *heap, const struct name *name, size_t len);

/* names_release takes back one use of the object at granule: one by this slot, or else one of a
 * departed process. The last one frees the object; then *lowest becomes the least of what it was
 * and the lowest granule freed, and names_taken must follow. Returns 0, FIT_UNKNOWN (no object with
 * a name), NAMES_NO_USER or FIT_BAD. */
int names_release(struct shmheap *heap, uint64_t granule, uint64_t *lowest);

enum { NAMES_TOO_SHORT = -20, NAMES_NO_USER = -21, NAMES_BUSY = -22 };

/* names_keep makes the name stay without users. Returns 0, FIT_UNKNOWN (there is none) or
 * FIT_BAD. A death leaves it kept, or as it was. */
int names_keep(struct shmheap *heap, const struct name *name);

/* names_remove removes the mark as kept, and the uses of dead and departed processes. Where no
 * use remains, it frees the object and removes the name. Returns 0; 1: living processes still
 * use it; FIT_UNKNOWN: there is no such name; FIT_BAD. A death leaves a whole name, or none. */
int names_remove(struct shmheap *heap, const struct name *name);

/* names_find finds the object and its length, and counts no use. locked: the caller holds the
 * lock. Returns its granule; FIT_UNKNOWN: there is none; NAMES_BUSY: names change too fast for a
 * search without the lock. */
int64_t names_find(const struct shmheap *heap, const struct name *name, int locked, uint64_t *len);

/* names_object_len is the length of the object in state named at granule; 0: there is none. */
uint64_t names_object_len(const struct shmheap *heap, uint64_t granule);

/* names_sound: 1 where the record at granule, its object and the table, if there is one, agree. */
int names_sound(const struct shmheap *heap, uint64_t granule);

/* names_free_parts frees the blocks of a name that nothing holds. A death in here leaves a part
 * that recovery finds and frees. */
void names_free_parts(struct shmheap *heap, struct name_record *record, uint64_t granule);

/* names_take_record removes a name that nothing holds, its record at granule, its blocks and its
 * entry. *lowest becomes the least of what it was and its lowest granule. names_taken must follow
 * one such call or several (GRANULE_NONE: there was none). It makes the table as small as it
 * should be, once, since that takes linear time. */
void names_take_record(struct shmheap *heap, struct name_record *record, uint64_t granule,
                       uint64_t *lowest);
void names_taken(struct shmheap *heap, uint64_t lowest);

#endif
