/* liveness.c: locks that live as long as the process: a mapping of one page keeps their
 * description, or a descriptor where mappings fail.
 *
 * fork() waits at a mutex, the gate, while a struct does not have what exists: a new descriptor or
 * mapping, or one that is about to go. A child drops what it finds in the structs. A descriptor or
 * mapping that it does not know would keep the locks after the end of the process.
 * SPDX-License-Identifier: Apache-2.0 */
#include "liveness.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../base/kernel.h"
#include "file.h"
#include "process.h"

enum { NO_ADVICE = 1 << 30 }; /* no kernel has it */

#define FORK_WAITS_NS UINT64_C(100000000)
#define OPENING_WAITS_NS UINT64_C(10000000)

/* Held while a descriptor or a mapping exists that the handlers of fork() cannot find. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
/* By this thread, which forks. Of another thread that forks at the same time it says nothing. */
static __thread int gate_is_locked PER_THREAD;

/* Returns the length of a page, longer on hugetlbfs, and notes whether a mapping keeps the
 * description. */
static size_t page_of(struct liveness *liveness)
{
    struct statfs status;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (fstatfs(liveness->fd, &status) != 0)
        return page;
    uint32_t type = (uint32_t)status.f_type;
    liveness->mapping_fails = type == OVERLAYFS_SUPER_MAGIC || type == FUSE_SUPER_MAGIC;
    return type == HUGETLBFS_MAGIC ? (size_t)status.f_bsize : page;
}

/* Returns 1 if children made by fork() will not have the page. Filters of system calls refuse the
 * advice; qemu-user accepts any advice, also one that does not exist, and ignores it. */
static int leave_out_of_children(void *page, size_t len)
{
    return madvise(page, len, MADV_DONTFORK) == 0 && madvise(page, len, NO_ADVICE) != 0;
}

static int liveness_map(struct liveness *liveness, enum liveness_kind kind)
{
    size_t len = page_of(liveness);
    if (liveness->mapping_fails &&
        file_identify(liveness->fd, &liveness->device, &liveness->inode) != 0)
        return -1;
    void *page = process_map(NULL, len, PROT_NONE, MAP_SHARED | MAP_NORESERVE, liveness->fd);
    if (page == MAP_FAILED)
        return -1;
    int before = errno;
    madvise(page, len, MADV_DONTDUMP); /* core dumps contain PROT_NONE pages as well */
    if (kind == LIVENESS_PROCESS)
        liveness->is_inherited = !leave_out_of_children(page, len);
    errno = before;
    liveness->len = len;
    liveness->page = page;
    return 0;
}

/* A program's fork handler may open a heap, or wait for a lock that a thread holds while it opens
 * one. So opening does not wait for ever either, and not for its own thread. A fork that began so
 * long ago has copied the descriptors already, or waits for that lock and finds this one
 * recorded. */
static int gate_enter(void)
{
    return !gate_is_locked && mutex_lock_within(&gate, OPENING_WAITS_NS);
}

static void gate_leave(int locked)
{
    if (locked)
        pthread_mutex_unlock(&gate);
}

/* The caller is in the gate. Where there is a page, the descriptor is open. */
static void descriptor_settle(struct liveness *liveness)
{
    int fd = liveness->fd;
    liveness->fd = -1;
    if (liveness->page != NULL && liveness->mapping_fails)
        liveness->kept = fd + 1;
    else if (fd >= 0)
        close(fd);
}

int liveness_open(struct liveness *liveness, const struct liveness_file *file,
                  enum liveness_kind kind)
{
    int locked = gate_enter();
    liveness->page = NULL;
    liveness->kept = liveness->mapping_fails = 0;
    liveness->fd = file_reopen(file->fd, file->name, file->is_path, file->read_only);
    int result = liveness->fd >= 0 ? liveness_map(liveness, kind) : -1, reason = errno;
    if (result != 0)
        descriptor_settle(liveness);
    gate_leave(locked);
    errno = reason;
    return result;
}

void liveness_settle(struct liveness *liveness)
{
    if (liveness->fd < 0)
        return;
    int locked = gate_enter();
    descriptor_settle(liveness);
    gate_leave(locked);
}

static void kept_close(struct liveness *liveness)
{
    int fd = liveness->kept - 1;
    liveness->kept = 0;
    if (fd >= 0)
        file_close(fd, liveness->device, liveness->inode);
}

void liveness_drop(struct liveness *liveness)
{
    void *page = liveness->page;
    if (page == NULL && liveness->fd < 0 && liveness->kept == 0)
        return;
    int locked = gate_enter();
    liveness->page = NULL;
    if (page != NULL)
        munmap(page, liveness->len);
    descriptor_settle(liveness);
    kept_close(liveness);
    gate_leave(locked);
}

void liveness_forked(struct liveness *liveness, enum liveness_kind kind, int in_handler)
{
    liveness_settle(liveness);
    if (kind != LIVENESS_PROCESS || liveness->page == NULL)
        return;
    if (in_handler)
        kept_close(liveness);
    /* Elsewhere a handler of the program's may have mapped something at the page's place. */
    if (liveness->is_inherited)
        munmap(liveness->page, liveness->len);
    liveness->page = NULL;
}

void liveness_fork_prepare(void) { gate_is_locked = mutex_lock_within(&gate, FORK_WAITS_NS); }

void liveness_fork_parent(void)
{
    if (gate_is_locked)
        pthread_mutex_unlock(&gate);
    gate_is_locked = 0;
}

/* The child's thread holds the gate as the parent's did, or a thread does that is not here. */
void liveness_fork_child(void)
{
    if (gate_is_locked)
        pthread_mutex_unlock(&gate);
    else
        pthread_mutex_init(&gate, NULL);
    gate_is_locked = 0;
}
