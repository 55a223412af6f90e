/* make.h: connections to heaps in files, new and existing.
 *
 * Each returns a connection, or NULL with errno.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_MAKE_H
#define SHMHEAP_MAKE_H

#include "../segment/segment.h"
#include "shmheap.h"

/* make_named makes a heap in a new file of this name. errno EEXIST: the name is taken. */
struct shmheap *make_named(const char *name, const struct segment_plan *plan,
                           const shmheap_options *options);

/* make_anonymous makes a heap in a file without a name. name: what /proc shows; NULL or "":
 * "shmheap". */
struct shmheap *make_anonymous(const char *name, const struct segment_plan *plan,
                               const shmheap_options *options);

/* make_seal_for_one_writer lets this connection alone write to its new file: 0, or -1 with errno
 * ENOTSUP (no such seal) or EBUSY (another connection of the process has the file). For
 * segment_plan.mapped. */
int make_seal_for_one_writer(struct shmheap *heap);

/* make_from_existing connects to the heap in the file fd, which it takes, also on failure. Waits at
 * most timeout_ms milliseconds while the heap is being made. had_name: the file had a name when
 * it was opened. */
struct shmheap *make_from_existing(int fd, const char *name, const shmheap_options *options,
                                   unsigned timeout_ms, int had_name);

#endif
