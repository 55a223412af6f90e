/* threads.h: which cache belongs to which thread, and what happens at the end of threads and
 * processes.
 *
 * No lock is held at any call.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_THREADS_H
#define SHMHEAP_THREADS_H

#include "cache.h"

/* cache_of returns this thread's cache for a connection with SHMHEAP_CACHED; makes one if there
 * is none. It may not be in use yet. NULL: there is no memory, or the cache would be too small. */
struct cache *cache_of(struct shmheap *heap);

/* cache_close gives back the blocks of all caches of the connection, and ends the caches. No
 * thread uses the connection, but threads may be ending. */
void cache_close(struct shmheap *heap);

/* cache_give_back gives back the blocks of all caches of the connection, also while threads use
 * them, if the lock is free within about limit_ms milliseconds. The connection caches no more
 * blocks then. cache_end_of_library lets
 * threads that end from now on keep away. */
void cache_give_back(struct shmheap *heap, unsigned limit_ms);
void cache_end_of_library(void);

/* For a child of fork: cache_fork_child once, cache_fork_child_of for each open connection. */
void cache_fork_child(void);
void cache_fork_child_of(struct shmheap *heap);

#endif
