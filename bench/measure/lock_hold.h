/* lock_hold.h: takes the heap's lock; the only use of the core's internals in the benchmark.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_LOCK_HOLD_H
#define BENCH_LOCK_HOLD_H

#include <shmheap.h>

#ifdef __cplusplus
extern "C" {
#endif

/* lock_hold takes the heap's lock and keeps it, so that the calling process can die with it. The
 * process must have changed the heap before, so that it has a slot. Returns 0, or -1. */
int lock_hold(shmheap_memory_handle mem);

#ifdef __cplusplus
}
#endif

#endif
