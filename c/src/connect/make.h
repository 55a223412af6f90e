/* make.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_MAKE_H
#define SHMHEAP_MAKE_H

#include "../segment/segment.h"
#include "shmheap.h"

/* XXX */
struct shmheap *make_named(const char *name, const struct segment_plan *plan,
                           const shmheap_options *options);

/* XXX */
struct shmheap *make_anonymous(const char *name, const struct segment_plan *plan,
                               const shmheap_options *options);

/* XXX */
int make_seal_for_one_writer(struct shmheap *heap);

/* XXX */
struct shmheap *make_connection(int fd, const char *name, const shmheap_options *options,
                                unsigned timeout_ms, int had_name);

#endif
