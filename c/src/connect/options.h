/* options.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_OPTIONS_H
#define SHMHEAP_OPTIONS_H

#include "../segment/segment.h"
#include "shmheap.h"

/* XXX */
int options_check_flags(unsigned flags);

/* XXX */
int options_plan(struct segment_plan *plan, const shmheap_options *options);

/* XXX */
int options_plan_at(struct segment_plan *plan, void *memory, uint64_t bytes,
                    const shmheap_options *options);

/* XXX */
int options_memory_is_fit(const void *memory, uint64_t bytes, unsigned alignment);

/* XXX */
unsigned options_timeout(const shmheap_options *options);
unsigned options_mode(const shmheap_options *options);

#endif
