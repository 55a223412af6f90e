/* SPDX-License-Identifier: Apache-2.0 */
#include "anchor.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "file.h"
#include "../base/kernel.h"
#include "process.h"

enum { FORK_WAITS_NS = 100000000 };

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* From the moment when a descriptor exists to the moment when its number is known to the handlers
 * of fork(). */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static int gate_is_ours; /* of the thread that forks */

/* The length of a page, which on hugetlbfs is longer; and whether a mapping keeps the description.
 */
static size_t page_of(struct anchor *anchor)
{
    struct statfs status;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (fstatfs(anchor->fd, &status) != 0)
        return page;
    uint32_t type = (uint32_t)status.f_type;
    anchor->mapping_fails = type == OVERLAYFS_SUPER_MAGIC || type == FUSE_SUPER_MAGIC;
    return type == HUGETLBFS_MAGIC ? (size_t)status.f_bsize : page;
}

static int anchor_map(struct anchor *anchor, enum anchor_kind kind)
{
    size_t len = page_of(anchor);
    if (anchor->mapping_fails && file_identify(anchor->fd, &anchor->device, &anchor->inode) != 0)
        return -1;
    void *page = process_map(NULL, len, PROT_NONE, MAP_SHARED | MAP_NORESERVE, anchor->fd);
    if (page == MAP_FAILED)
        return -1;
    int before = errno;
    madvise(page, len, MADV_DONTDUMP); /* core dumps contain PROT_NONE pages as well */
    if (kind == ANCHOR_LIFE)
        madvise(page, len, MADV_DONTFORK); /* refused: anchor_forked unmaps it */
    errno = before;
    anchor->len = len;
    anchor->page = page;
    return 0;
}

int anchor_open(struct anchor *anchor, const struct anchor_file *file, enum anchor_kind kind)
{
    pthread_mutex_lock(&gate);
    anchor->page = NULL;
    anchor->kept = anchor->mapping_fails = 0;
    anchor->fd = file_reopen(file->fd, file->name, file->is_path, file->read_only);
    pthread_mutex_unlock(&gate);
    if (anchor->fd < 0)
        return -1;
    if (anchor_map(anchor, kind) == 0)
        return 0;
    int reason = errno;
    anchor_settle(anchor);
    errno = reason;
    return -1;
}

void anchor_settle(struct anchor *anchor)
{
    int fd = anchor->fd;
    anchor->fd = -1;
    if (fd >= 0 && anchor->page != NULL && anchor->mapping_fails)
        anchor->kept = fd + 1;
    else if (fd >= 0)
        close(fd);
}

static void kept_close(struct anchor *anchor)
{
    int fd = anchor->kept - 1;
    anchor->kept = 0;
    if (fd >= 0)
        file_close(fd, anchor->device, anchor->inode);
}

void anchor_drop(struct anchor *anchor)
{
    void *page = anchor->page;
    anchor->page = NULL;
    if (page != NULL)
        munmap(page, anchor->len);
    anchor_settle(anchor);
    kept_close(anchor);
}

void anchor_forked(struct anchor *anchor, enum anchor_kind kind, int told)
{
    anchor_settle(anchor);
    if (kind != ANCHOR_LIFE || anchor->page == NULL)
        return;
    if (told)
        kept_close(anchor);
    /* An emulator or a filter of system calls may refuse MADV_DONTFORK: then the page is here. */
    if (told && msync(anchor->page, anchor->len, MS_ASYNC) == 0)
        munmap(anchor->page, anchor->len);
    anchor->page = NULL;
}

void anchor_fork_prepare(void)
{
    struct timespec limit;
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_nsec += FORK_WAITS_NS;
    limit.tv_sec += limit.tv_nsec / 1000000000;
    limit.tv_nsec %= 1000000000;
    gate_is_ours = pthread_mutex_timedlock(&gate, &limit) == 0;
}

void anchor_fork_parent(void)
{
    if (gate_is_ours)
        pthread_mutex_unlock(&gate);
}

void anchor_fork_child(void) { pthread_mutex_init(&gate, NULL); }
