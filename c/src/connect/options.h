/* options.h: from the options of a caller to the plan of a heap.
 *
 * Calls that return int return 0, or -1 with errno EINVAL unless said otherwise.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_OPTIONS_H
#define SHMHEAP_OPTIONS_H

#include "../segment/segment.h"
#include "shmheap.h"

/* options_check_flags checks that the flags are known and may be combined. */
int options_check_flags(unsigned flags);

/* options_plan fills the plan of a heap in a file. */
int options_plan(struct segment_plan *plan, const shmheap_options *options);

/* options_plan_at fills the plan of a heap in bytes of memory of the caller. errno ENOMEM: no
 * heap fits into them. */
int options_plan_at(struct segment_plan *plan, void *memory, uint64_t bytes,
                    const shmheap_options *options);

/* options_memory_is_fit: 1 where the memory has this alignment and bytes of it are mapped, else 0.
 * bytes 0: the length is unknown, and only the alignment is checked. */
int options_memory_is_fit(const void *memory, uint64_t bytes, unsigned alignment);

/* The value of the option, or its default. */
unsigned options_timeout(const shmheap_options *options);
unsigned options_mode(const shmheap_options *options);

#endif
