/* register.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_REGISTER_H
#define SHMHEAP_REGISTER_H

#include "../segment/connection.h"
#include "shmheap.h"

/* XXX */
struct shmheap *register_first(void);

/* XXX */
struct shmheap *register_take(const shmheap_options *options);

/* XXX */
struct shmheap *register_opened(struct shmheap *heap);

/* XXX */
void register_closed(struct shmheap *heap);

/* XXX */
void register_release(struct shmheap *heap);

/* XXX */
struct shmheap *register_failed(struct shmheap *heap);

/* XXX */
void register_note_file(struct shmheap *heap, dev_t device, ino_t inode);

/* XXX */
int register_has_file_elsewhere(const struct shmheap *heap);

/* XXX */
void register_fork_child(void);

#endif
