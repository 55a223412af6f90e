/* fork.c: fork handlers, and the end of the library.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fork.h"

#include <errno.h>
#include <pthread.h>

#include "../cache/threads.h"
#include "../os/file.h"
#include "../os/memory.h"
#include "../os/process.h"
#include "../process/lock.h"
#include "../process/slot_claim.h"
#include "../segment/segment.h"
#include "register.h"

/* How long exit() waits for the list of connections and for the lock of each heap, and fork() for
 * the list. */
enum { LEAVING_LIMIT_MS = 1000, FORK_LIMIT_MS = 100 };

/* Runs in a child. in_handler: pthread_atfork() runs it. Else the child may have closed the
 * parent's descriptors and reused their numbers. */
static void child_of(struct shmheap *heap, int in_handler)
{
    if (!in_handler && !file_is_ours(heap->life.fd, heap->device, heap->inode))
        heap->life.fd = -1;
    if (!in_handler && !file_is_ours(heap->use.fd, heap->device, heap->inode))
        heap->use.fd = -1;
    liveness_forked(&heap->life, LIVENESS_PROCESS, in_handler);
    liveness_forked(&heap->use, LIVENESS_FAMILY, in_handler);
}

/* The connection stays the parent's until the child has a slot of its own. */
static void child_of_open(struct shmheap *heap, int in_handler)
{
    child_of(heap, in_handler);
    heap->use_is_parents = heap->has_file;
    store_u32(&heap->ready, 0);
    heap->slot = 0;
    pthread_mutex_init(&heap->slot_mutex, NULL);
    cache_fork_child_of(heap);
    if (heap->has_file || !segment_is_there(heap)) {
        heap->slot_copy = 0;
    } else if (!heap->is_private) {
        slot_inherit(heap);
    } else {
        lock_take_over(heap);
        slot_take_over(heap);
        store_u32(&heap->ready, heap->slot != 0);
    }
}

/* Another thread of the parent was opening or closing the connection. The child drops it. */
static void child_of_unfinished(struct shmheap *heap, int in_handler)
{
    child_of(heap, in_handler);
    liveness_drop(&heap->use);
    segment_unmap(heap);
    file_close(heap->fd, heap->device, heap->inode);
    heap->fd = -1;
    heap->taken = 0;
}

static void child_begin(int in_handler)
{
    lock_self_forget();
    lock_register();
    process_forget();
    memory_forget();
    liveness_fork_child();
    cache_fork_child();
    register_fork_child();
    for (struct shmheap *heap = register_first(); heap != NULL; heap = heap->next) {
        if (heap->open)
            child_of_open(heap, in_handler);
        else if (heap->taken)
            child_of_unfinished(heap, in_handler);
    }
}

static void fork_child(void)
{
    int before = errno;
    /* A handler of the program's has run before and called the library. */
    if (!process_fork_is_handled()) {
        process_fork_handled();
        child_begin(1);
    }
    errno = before;
}

/* Under the register's mutex no other thread unmaps an open heap. The wait has a limit: a signal
 * handler may call fork() inside a call that has the mutex. */
static void fork_prepare(void)
{
    int locked = register_lock(FORK_LIMIT_MS);
    for (struct shmheap *heap = register_first(); heap != NULL; heap = heap->next)
        if (heap->open && !heap->has_claim && load_acquire_u32(&heap->ready))
            slot_fork_prepare(heap);
    if (locked)
        register_unlock();
    liveness_fork_prepare();
}

static void library_begin(void)
{
    process_on_fork(child_begin);
    lock_register();
    pthread_atfork(fork_prepare, liveness_fork_parent, fork_child);
}

void fork_watch(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_begin);
    process_notice_fork();
}

/* The process's end, whenever it comes, counts as an orderly departure from this heap. Under the
 * register's mutex no other thread unmaps the heap. The wait for it has a limit: a signal handler
 * may call exit() inside a call that has the mutex. Returns 0 when the limit has passed. */
static int leave_at_end(struct shmheap *heap, unsigned limit_ms)
{
    int locked = register_lock(limit_ms);
    if (heap->open && load_acquire_u32(&heap->ready) && segment_is_there(heap)) {
        slot_announce_leaving(heap);
        cache_give_back(heap, LEAVING_LIMIT_MS);
    }
    if (locked)
        register_unlock();
    return locked;
}

/* The program ends, or unloads the library. Other threads may continue, also to open and close
 * heaps, so the connections stay open until the process ends. One wait for the register's mutex is
 * enough, however many connections there were. */
__attribute__((destructor)) static void library_end(void)
{
    if (register_first() == NULL)
        return;
    process_notice_fork();
    unsigned limit_ms = LEAVING_LIMIT_MS;
    for (struct shmheap *heap = register_first(); heap != NULL; heap = heap->next)
        if (!leave_at_end(heap, limit_ms))
            limit_ms = 0;
    cache_end_of_library();
}
