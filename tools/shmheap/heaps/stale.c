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

#include "c/src/base/layout.h"
#include "tools/shmheap/processes/file_users.h"

enum { WAIT_MS = 1 };

/* The creator writes these fields before the magic. */
static int is_beginning_of_heap(const struct control *control)
{
    struct layout layout;
    return control->magic == 0 && control->version == FORMAT_VERSION &&
           layout_compute(&layout, control->max_len, control->shift, control->slot_count,
                          control->region_align) == 0 &&
           layout.region_off == control->region_off;
}

/* Reads the control words; those behind the end of the file are 0. As pread. */
static ssize_t control_read(int fd, struct control *control)
{
    memset(control, 0, sizeof *control);
    return pread(fd, control, sizeof *control, 0);
}

static enum stale inspect_beginning(int fd)
{
    static const struct control zeros;
    struct control control;
    if (control_read(fd, &control) < 0)
        return STALE_ERROR;
    if (is_beginning_of_heap(&control))
        return STALE_UNFINISHED;
    return memcmp(&control, &zeros, sizeof control) == 0 ? STALE_EMPTY : STALE_NO_HEAP;
}

int stale_begins_as_heap(int fd)
{
    struct control control;
    return control_read(fd, &control) <= 0 || control.magic == FORMAT_MAGIC ||
           is_beginning_of_heap(&control);
}

static enum stale inspect_unfinished(int fd, const struct stat *status, struct stale_report *found)
{
    int in_use = shmheap_in_use(fd);
    if (in_use < 0)
        return STALE_ERROR;
    if (file_users_find(fd, found->users, sizeof found->users) || in_use ||
        time(NULL) - status->st_mtime < STALE_AGE_S)
        return STALE_YOUNG;
    return inspect_beginning(fd);
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
    found->begins_as_heap = fd < 0 || stale_begins_as_heap(fd);
    found->stale = fd >= 0 ? inspect_fd(fd, found) : STALE_ERROR;
    if (fd >= 0) {
        int reason = errno;
        close(fd);
        errno = reason;
    }
}
