/* lock_hold.h: the one look behind the public interface.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOCK_HOLD_H
#define BENCH_LOCK_HOLD_H

#include <shmheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* lock_hold takes the heap's lock and keeps it, so that a benchmark can die with it. The calling process
 * must have changed the heap before. 0, or -1. */
int lock_hold(shmheap_memory_handle mem);

#ifdef __cplusplus
}
#endif

#endif
