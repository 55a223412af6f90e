/* stale.c: whether a heap is in use.
 *
 * Each connection holds a lock on the heap's file, in every version of the format. An unfinished
 * heap has no such locks. It counts as in use while a process has it open, and for STALE_AGE_S
 * seconds after its last change, because processes of other containers cannot be seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/heaps/stale.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/shmheap/processes/file_users.h"

enum { WAIT_MS = 1 };

static enum stale inspect_beginning(enum file_contents kind)
{
    return kind == FILE_UNREADABLE                    ? STALE_ERROR
           : kind == FILE_UNFINISHED                  ? STALE_UNFINISHED
           : kind == FILE_HEAP                        ? STALE_YOUNG
           : kind == FILE_EMPTY || kind == FILE_ZEROS ? STALE_EMPTY
                                                      : STALE_NO_HEAP;
}

static enum stale inspect_unfinished(int fd, const struct stat *status, struct stale_report *found)
{
    if (found->kind == FILE_FOREIGN)
        return STALE_NO_HEAP;
    int in_use = shmheap_in_use(fd);
    if (in_use < 0)
        return STALE_ERROR;
    if (file_users_find(fd, found->users, sizeof found->users) || in_use ||
        time(NULL) - status->st_mtime < STALE_AGE_S)
        return STALE_YOUNG;
    /* Once more: the maker may have finished the heap meanwhile. */
    return inspect_beginning(file_kind_of(fd));
}

/* Call this after disconnecting: shmheap_in_use would count the own connection. */
static enum stale inspect_finished(int fd, struct stale_report *found)
{
    int in_use = shmheap_in_use(fd);
    if (in_use < 0)
        return STALE_ERROR;
    if (in_use)
        file_users_find(fd, found->users, sizeof found->users);
    return in_use ? STALE_LIVE : STALE_UNUSED;
}

static int count_object(const shmheap_block_info *block, void *context)
{
    ((struct stale_report *)context)->objects +=
        block->state == SHMHEAP_STATE_USED || block->state == SHMHEAP_STATE_SHARED ||
        block->state == SHMHEAP_STATE_SENT || block->state == SHMHEAP_STATE_NAMED;
    return 0;
}

static int count_kept(const shmheap_name_info *name, void *context)
{
    ((struct stale_report *)context)->kept_names += name->kept;
    return 0;
}

/* Returns 0, or -1 with errno. */
static int count(shmheap_memory_handle mem, struct stale_report *found)
{
    found->objects = found->kept_names = 0;
    found->counted =
        shmheap_walk(mem, count_object, found) == 0 && shmheap_names(mem, count_kept, found) == 0;
    return found->counted ? 0 : -1;
}

/* A process died in the heap: a read-only connection cannot walk it until a connection that may
 * write has recovered it. */
static void count_recovered(int fd, struct stale_report *found)
{
    shmheap_options options = {.timeout_ms = WAIT_MS};
    shmheap_memory_handle mem;
    if (shmheap_open_fd(&mem, fd, &options) != 0)
        return;
    count(mem, found);
    shmheap_disconnect(mem);
}

static enum stale inspect_fd(int fd, struct stale_report *found)
{
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY, .timeout_ms = WAIT_MS};
    shmheap_memory_handle mem;
    struct stat status;
    if (fstat(fd, &status) != 0)
        return STALE_ERROR;
    if (!S_ISREG(status.st_mode))
        return STALE_NO_HEAP;
    found->file_len = (uint64_t)status.st_size;
    if (shmheap_open_fd(&mem, fd, &options) == 0) {
        found->seen = shmheap_stat(mem, &found->stats) == 0;
        int died = count(mem, found) != 0 && errno == EAGAIN;
        shmheap_disconnect(mem);
        if (died)
            count_recovered(fd, found);
        return inspect_finished(fd, found);
    }
    if (errno == EPROTONOSUPPORT)
        return inspect_finished(fd, found);
    if (errno == ETIMEDOUT)
        return inspect_unfinished(fd, &status, found);
    return errno == EBADMSG ? STALE_NO_HEAP : STALE_ERROR;
}

void stale_inspect(const struct heap_ref *ref, struct stale_report *found)
{
    memset(found, 0, sizeof *found);
    int fd = heap_ref_fd(ref);
    found->kind = fd >= 0 ? file_kind_of(fd) : FILE_UNREADABLE;
    found->stale = fd >= 0 ? inspect_fd(fd, found) : STALE_ERROR;
    if (fd >= 0) {
        int reason = errno;
        close(fd);
        errno = reason;
    }
}
