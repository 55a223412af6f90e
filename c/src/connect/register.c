/* register.c: the list of the connections of this process.
 * SPDX-License-Identifier: Apache-2.0 */
#include "register.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../heap/fit_choose.h"
#include "../os/file.h"
#include "../os/process.h"
#include "../process/slot.h"
#include "../segment/huge.h"
#include "../segment/segment.h"

/* Defined in the build that runs all tests with huge pages. */
#ifdef SHMHEAP_ALWAYS_HUGE
#define ALWAYS_HUGE 1
#else
#define ALWAYS_HUGE 0
#endif

/* How long a call waits for a live owner of the lock. */
enum { LOCK_LIMIT_MS = 30000 };

/* Closed connections stay in the list: a handle to a closed connection must be recognised. The
 * list only grows, at its head. So a child finds it whole, whatever the parent's threads were
 * doing. */
static struct shmheap *connections;
static pthread_mutex_t register_mutex = PTHREAD_MUTEX_INITIALIZER;

struct shmheap *register_first(void) { return __atomic_load_n(&connections, __ATOMIC_ACQUIRE); }

static void entry_clear(struct shmheap *heap)
{
    const struct liveness none = LIVENESS_NONE;
    struct shmheap *next = heap->next; /* a child may walk over the list at any moment */
    memset(heap, 0, offsetof(struct shmheap, next));
    heap->next = next;
    heap->fd = heap->lent_fd[0] = heap->lent_fd[1] = -1;
    heap->use = heap->life = none;
    store_u64(&heap->huge_next, HUGE_NEVER);
    heap->lock_limit_ms = LOCK_LIMIT_MS;
    heap->fit = fit_choose();
    heap->list_max = fit_choose_list_max();
    pthread_mutex_init(&heap->slot_mutex, NULL);
}

struct shmheap *register_take(const shmheap_options *options)
{
    struct shmheap *heap;
    pthread_mutex_lock(&register_mutex);
    for (heap = connections; heap != NULL && heap->taken; heap = heap->next)
        continue;
    if (heap == NULL && (heap = process_memory(sizeof *heap)) != NULL) {
        heap->next = connections;
        __atomic_store_n(&connections, heap, __ATOMIC_RELEASE);
    }
    if (heap != NULL) {
        entry_clear(heap);
        heap->taken = 1;
    }
    pthread_mutex_unlock(&register_mutex);
    if (heap == NULL)
        return NULL;
    heap->is_path = (options->flags & SHMHEAP_FILE) != 0;
    heap->huge = ALWAYS_HUGE || (options->flags & SHMHEAP_HUGE_PAGES) != 0;
    heap->cached = (options->flags & SHMHEAP_CACHED) != 0;
    heap->read_only = (options->flags & SHMHEAP_READ_ONLY) != 0;
    heap->no_dump = (options->flags & SHMHEAP_NO_DUMP) != 0;
    return heap;
}

struct shmheap *register_opened(struct shmheap *heap)
{
    connection_settle(heap);
    if (heap->layout.granules_max >= UPPER_SIZES)
        heap->cached = 0; /* block.h says why */
    if (heap->cached)
        process_keep_library();
    pthread_mutex_lock(&register_mutex);
    heap->open = 1;
    pthread_mutex_unlock(&register_mutex);
    return heap;
}

int register_lock(unsigned limit_ms)
{
    return mutex_lock_within(&register_mutex, limit_ms * UINT64_C(1000000));
}

void register_unlock(void) { pthread_mutex_unlock(&register_mutex); }

void register_closed(struct shmheap *heap)
{
    pthread_mutex_lock(&register_mutex);
    heap->open = 0;
    store_u32(&heap->ready, 0);
    pthread_mutex_unlock(&register_mutex);
}

void register_release(struct shmheap *heap)
{
    int before = errno;
    liveness_drop(&heap->life);
    segment_unmap(heap);
    liveness_drop(&heap->use);
    connection_drop_inherited(heap);
    for (unsigned i = 0; i < 2; i++)
        if (heap->lent_fd[i] >= 0 && file_is_lent(heap->lent_fd[i], heap->device, heap->inode))
            close(heap->lent_fd[i]);
    file_close(heap->fd, heap->device, heap->inode);
    heap->fd = -1;
    pthread_mutex_lock(&register_mutex);
    heap->taken = 0;
    pthread_mutex_unlock(&register_mutex);
    errno = before;
}

struct shmheap *register_failed(struct shmheap *heap)
{
    slot_leave(heap);
    register_release(heap);
    return NULL;
}

void register_note_file(struct shmheap *heap, dev_t device, ino_t inode)
{
    pthread_mutex_lock(&register_mutex);
    heap->has_file = 1;
    heap->device = device;
    heap->inode = inode;
    pthread_mutex_unlock(&register_mutex);
}

int register_has_file_elsewhere(const struct shmheap *heap)
{
    int found = 0;
    pthread_mutex_lock(&register_mutex);
    for (const struct shmheap *other = connections; other != NULL; other = other->next)
        found |= other != heap && other->taken && other->has_file &&
                 other->device == heap->device && other->inode == heap->inode;
    pthread_mutex_unlock(&register_mutex);
    return found;
}

void register_fork_child(void) { pthread_mutex_init(&register_mutex, NULL); }
