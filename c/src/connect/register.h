/* register.h: the connections of this process, open and closed.
 *
 * An entry is never freed: opening takes one that is closed, or adds one.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_REGISTER_H
#define SHMHEAP_REGISTER_H

#include "../segment/connection.h"
#include "shmheap.h"

/* register_first is the head of the list; struct shmheap.next links it. Needs no lock. */
struct shmheap *register_first(void);

/* register_take returns an entry for a new connection, with these options; NULL with errno: no
 * memory. */
struct shmheap *register_take(const shmheap_options *options);

/* register_opened marks the connection as open and returns it. */
struct shmheap *register_opened(struct shmheap *heap);

/* register_closed marks the connection as closed. Its resources stay. */
void register_closed(struct shmheap *heap);

/* register_release closes files and mapping, and returns the entry to the register. Caches and
 * slot are the caller's matter. errno stays. */
void register_release(struct shmheap *heap);

/* register_failed gives up the slot and releases the entry, after a failure to open. Returns
 * NULL. errno stays. */
struct shmheap *register_failed(struct shmheap *heap);

/* register_note_file stores which file the connection has. Call it before the file is mapped:
 * register_has_file_elsewhere relies on that. */
void register_note_file(struct shmheap *heap, dev_t device, ino_t inode);

/* register_has_file_elsewhere: another connection of this process has the file, or is about to
 * map it. */
int register_has_file_elsewhere(const struct shmheap *heap);

/* register_lock keeps open connections open and mapped until register_unlock: 1, or 0 when another
 * thread has not done with the list within limit_ms. */
int register_lock(unsigned limit_ms);
void register_unlock(void);

/* register_fork_child makes the mutex usable in a child. */
void register_fork_child(void);

#endif
