/* threads.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_THREADS_H
#define SHMHEAP_THREADS_H

#include "cache.h"

/* cache_of is this thread's cache for a connection with SHMHEAP_CACHED, made if need be and perhaps
 * not in use yet; NULL: there is none to be had, or it would be too small to be of use. No lock
 * held. */
struct cache *cache_of(struct shmheap *heap);

/* cache_close gives all blocks of the connection's caches back and ends them: no thread is using
 * it, but threads may be ending. No lock held. */
void cache_close(struct shmheap *heap);

/* cache_give_back gives all blocks of the connection's caches back, also while other threads use
 * them, if the lock is to be had within about limit_ms milliseconds. cache_end_of_library: no
 * thread that ends from now on comes here. */
void cache_give_back(struct shmheap *heap, unsigned limit_ms);
void cache_end_of_library(void);

/* In a child of fork, by connect: once, and for each open connection. */
void cache_fork_child(void);
void cache_fork_child_of(struct shmheap *heap);

#endif
