/* threads.c: the lists of caches, by thread and by connection.
 * SPDX-License-Identifier: Apache-2.0 */
#include "threads.h"

#include <errno.h>
#include <pthread.h>

#include "../os/process.h"
#include "../process/lock.h"
#include "../recovery/recover.h"
#include "reclaim.h"
#include "refill.h"

/* ENTRIES_SHARE: above the sum of 1 / size over all sizes, 6.35. PADDING: entries, so that the
 * stacks do not all begin in the same set of the processor's cache. THREAD_END_MS: how long an
 * ending thread waits for the lock. */
enum { ENTRIES_SHARE = 7, PADDING = 4, THREAD_END_MS = 100 };

/* Of this thread, one for each connection that it used. */
static __thread struct cache *cache_all PER_THREAD;

/* 1: this thread has emptied its caches and ends. It makes none again: destructors of other
 * libraries may still allocate, and after their last round nothing would empty the new one. */
static __thread int cache_thread_ends PER_THREAD;

/* Guards the lists of caches, for some instructions at a time: no thread waits for a heap's lock
 * while it holds the mutex. A thread that needs both first takes the cache off its list
 * (CACHE_EMPTYING). Another thread that wants the same cache meanwhile waits for cache_emptied,
 * or leaves it alone. */
static pthread_mutex_t cache_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cache_emptied = PTHREAD_COND_INITIALIZER;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;
static pthread_key_t cache_key;
static int cache_key_made;

/* An empty cache with room for the stacks of at most so many granules; NULL: there is no memory.
 * Unused pages cost addresses only. */
static struct cache *cache_map(uint64_t most)
{
    uint64_t entries = most * ENTRIES_SHARE + CACHE_SIZES * (1 + PADDING);
    size_t bytes = sizeof(struct cache) + (size_t)entries * sizeof(struct cache_entry);
    struct cache *cache = process_memory(bytes);
    if (cache == NULL)
        return NULL;
    cache->bytes = bytes;
    struct cache_entry *place = cache->entries;
    for (uint64_t size = 0; size < CACHE_SIZES; size++) {
        cache->stacks[size].bottom = cache->stacks[size].top = place + 1;
        place += 1 + PADDING + (size != 0 ? most / size : 0);
    }
    return cache;
}

static void cache_unmap(struct cache *cache) { process_memory_free(cache, cache->bytes); }

/* Takes the cache off its connection's list. Mutex held. */
static void cache_unlist(struct cache *cache)
{
    for (struct cache **place = &cache->connection->caches; *place != NULL;
         place = &(*place)->next_of_heap)
        if (*place == cache) {
            SHARED_STORE(place, cache->next_of_heap);
            break;
        }
}

/* Takes the connection from the cache. The cache is unmapped with its thread, or now if that has
 * ended. Mutex held. */
static void cache_retire(struct cache *cache)
{
    SHARED_STORE(&cache->heap, &cache_nothing);
    SHARED_STORE(&cache->connection, NULL);
    if (cache->state == CACHE_WITHOUT_THREAD)
        cache_unmap(cache);
    else
        cache->state = CACHE_OF_THREAD;
}

/* Empties the cache of a thread that ends. Where the lock is not free soon, the next thread of
 * the connection gets the cache as it is; its blocks can be reclaimed as those of any cache. */
static void cache_of_thread_end(struct cache *cache)
{
    pthread_mutex_lock(&cache_mutex);
    struct shmheap *heap = cache->connection;
    if (cache->state ==
        CACHE_EMPTYING) { /* A thread that closes the connection empties it, and unmaps it then. */
        cache->state = CACHE_WITHOUT_THREAD;
        pthread_mutex_unlock(&cache_mutex);
        return;
    }
    if (heap != NULL)
        cache->state = CACHE_EMPTYING;
    pthread_mutex_unlock(&cache_mutex);
    int emptied = heap == NULL || cache_is_idle(cache);
    if (!emptied && heap_lock_within(heap, THREAD_END_MS) == 0) {
        cache_empty(cache, heap);
        heap_unlock_freed(heap);
        emptied = 1;
    }
    pthread_mutex_lock(&cache_mutex);
    cache->state = CACHE_WITHOUT_THREAD;
    if (emptied && heap != NULL)
        cache_unlist(cache);
    if (emptied)
        cache_retire(cache);
    pthread_cond_broadcast(&cache_emptied);
    pthread_mutex_unlock(&cache_mutex);
}

static void caches_of_thread_end(void *list)
{
    int cancel_state = process_cancel_off();
    cache_mine = &cache_none;
    cache_all = NULL;
    cache_thread_ends = 1;
    for (struct cache *cache = list, *next; cache != NULL; cache = next) {
        next = cache->next_of_thread;
        cache_of_thread_end(cache);
    }
    process_cancel_restore(cancel_state);
}

static void cache_key_make(void)
{
    cache_key_made = pthread_key_create(&cache_key, caches_of_thread_end) == 0;
}

void cache_end_of_library(void)
{
    if (cache_key_made)
        pthread_key_delete(
            cache_key); /* threads that end from now on would call code that is no longer there */
    cache_key_made = 0;
}

/* Takes the caches of closed connections off this thread's list. Mutex held. */
static void caches_of_thread_tidy(void)
{
    for (struct cache **place = &cache_all; *place != NULL;) {
        struct cache *cache = *place;
        if (cache->connection != NULL) {
            place = &cache->next_of_thread;
            continue;
        }
        *place = cache->next_of_thread;
        cache_unmap(cache);
    }
}

/* Gives this thread a cache of the connection whose thread has ended; NULL: there is none. Mutex
 * held. */
static struct cache *cache_adopt(struct shmheap *heap)
{
    struct cache *cache = heap->caches;
    while (cache != NULL && cache->state != CACHE_WITHOUT_THREAD)
        cache = cache->next_of_heap;
    if (cache != NULL)
        cache->state = CACHE_OF_THREAD;
    return cache;
}

static struct cache *cache_new(struct shmheap *heap)
{
    pthread_once(&cache_once, cache_key_make);
    if (!cache_key_made || cache_thread_ends)
        return NULL;
    pthread_mutex_lock(&cache_mutex);
    cache_mine = &cache_none;
    caches_of_thread_tidy();
    struct cache *cache = cache_adopt(heap);
    if (cache == NULL && (cache = cache_map(cache_limit(heap, heap->layout.max_len))) != NULL) {
        cache->heap = &cache_nothing;
        SHARED_STORE(&cache->connection, heap);
        cache->next_of_heap = heap->caches;
        SHARED_STORE(&heap->caches, cache);
    }
    if (cache != NULL) {
        cache->next_of_thread = cache_all;
        cache_all = cache;
    }
    pthread_mutex_unlock(&cache_mutex);
    if (cache != NULL)
        pthread_setspecific(cache_key, cache_all);
    return cache;
}

struct cache *cache_of(struct shmheap *heap)
{
    int before = errno;
    struct cache *cache;
    process_notice_fork();
    if (!lock_barrier_remote || load_u64(&heap->len_known) < CACHE_LEN_MIN)
        return NULL;
    for (cache = cache_all; cache != NULL && SHARED_LOAD(&cache->connection) != heap;
         cache = cache->next_of_thread)
        continue;
    if (cache == NULL && (cache = cache_new(heap)) == NULL) {
        errno = before; /* the call does without a cache */
        return NULL;
    }
    cache_mine = cache;
    return cache;
}

/* Takes off the list a cache of the connection that no thread is emptying. Waits for the caches
 * that other threads are emptying. NULL: there are none. Mutex held. */
static struct cache *cache_take_off(struct shmheap *heap)
{
    while (heap->caches != NULL) {
        struct cache *cache = heap->caches;
        while (cache != NULL && cache->state == CACHE_EMPTYING)
            cache = cache->next_of_heap;
        if (cache != NULL) {
            cache_unlist(cache);
            return cache;
        }
        /* at most THREAD_END_MS and the time that emptying takes */
        pthread_cond_wait(&cache_emptied, &cache_mutex);
    }
    return NULL;
}

void cache_close(struct shmheap *heap)
{
    int locked = 0, tried = 0; /* tried: one wait for the lock, which may last 30 s */
    struct cache *cache;
    pthread_mutex_lock(&cache_mutex);
    while ((cache = cache_take_off(heap)) != NULL) {
        int had_thread = cache->state == CACHE_OF_THREAD;
        if (had_thread)
            cache->state = CACHE_EMPTYING;
        pthread_mutex_unlock(&cache_mutex);
        if (!tried && !cache_is_idle(cache)) {
            locked = heap_lock(heap) == 0;
            tried = 1;
        }
        if (locked)
            cache_empty(cache, heap);
        pthread_mutex_lock(&cache_mutex);
        cache_retire(cache);
    }
    pthread_mutex_unlock(&cache_mutex);
    if (locked)
        heap_unlock_freed(heap);
}

void cache_give_back(struct shmheap *heap, unsigned limit_ms)
{
    /* Without the mutex: a cache that a thread makes meanwhile is left to the reclaimers. */
    if (SHARED_LOAD(&heap->caches) == NULL || heap_lock_within(heap, limit_ms) != 0)
        return;
    connection_cache_no_more(heap);
    if (process_is_alone()) {
        for (struct cache *cache = heap->caches; cache != NULL; cache = cache->next_of_heap)
            cache_empty(cache, heap);
    } else {
        reclaim_caches_of(heap, heap->slot);
    }
    heap_unlock_freed(heap);
}

void cache_fork_child(void)
{
    pthread_mutex_init(&cache_mutex, NULL);
    pthread_cond_init(&cache_emptied, NULL);
}

/* The blocks are the parent's. The caches of threads that the child lacks go to later threads of
 * the child. */
void cache_fork_child_of(struct shmheap *heap)
{
    for (struct cache *cache = heap->caches; cache != NULL; cache = cache->next_of_heap) {
        int mine = 0;
        for (const struct cache *own = cache_all; own != NULL && !mine; own = own->next_of_thread)
            mine = own == cache;
        SHARED_STORE(&cache->heap, &cache_nothing);
        cache->state = mine ? CACHE_OF_THREAD : CACHE_WITHOUT_THREAD;
    }
}
