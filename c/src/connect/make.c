/* make.c: from a file to a connection: adopt the file, mark it as used, make or map the heap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "make.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/kernel.h"
#include "../heap/fit.h"
#include "../os/file.h"
#include "../recovery/recover.h"
#include "../segment/reserve.h"
#include "options.h"
#include "register.h"

enum { MEMFD_NAME_MOST = 249 }; /* bytes, memfd_create(2) */

/* Gives fd to the connection, also on failure: 0, or -1 with errno. */
static int file_adopt(struct shmheap *heap, int fd, const char *name)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        int reason = errno;
        close(fd); /* later it could not be told from a descriptor of the program */
        errno = reason;
        return -1;
    }
    heap->fd = fd;
    register_note_file(heap, status.st_dev, status.st_ino);
    reserve_begin(heap);
    if (!S_ISREG(status.st_mode)) {
        errno = EBADMSG;
        return -1;
    }
    if (name != NULL && strlen(name) >= sizeof heap->name_text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    heap->name = name != NULL ? strcpy(heap->name_text, name) : NULL;
    error_name(heap->label, name);
    return 0;
}

/* Locks the file as one that a process uses. had_name: the file must still have a name, else
 * errno ESTALE. 0, or -1 with errno. */
static int file_mark_used(struct shmheap *heap, unsigned timeout_ms, int had_name)
{
    int fd = heap->fd;
    const struct liveness_file file = {fd, heap->name, heap->is_path, heap->read_only};
    if (liveness_open(&heap->use, &file, LIVENESS_FAMILY) != 0) {
        errno = errno == ENODEV ? EBADMSG : errno; /* a file that cannot be mapped is no heap */
        return -1;
    }
    if (file_use(heap->use.fd, timeout_ms) != 0)
        return -1;
    if (had_name && file_is_nameless(fd)) {
        errno = ESTALE;
        return -1;
    }
    return 0;
}

/* Makes the heap in the connection's empty file, with this mode. Other processes can connect
 * when it returns. 0, or -1 with errno. A death in here leaves an unfinished file, and
 * drops the maker's lock: a later open recognises it as abandoned. */
static int heap_fill(struct shmheap *heap, const struct segment_plan *plan, unsigned mode)
{
    const struct liveness_file file = connection_file(heap);
    if (liveness_open(&heap->life, &file, LIVENESS_PROCESS) != 0)
        return -1;
    file_lock(heap->life.fd, F_WRLCK, MAKER_BYTE, 1);
    /* Under the lock: a process that may only read the file could else hold it first. */
    if (fchmod(heap->fd, mode) != 0)
        return -1;
    if (segment_make(heap, plan) != 0)
        return -1;
    fit_format(heap);
    if (recover_take_slot(heap) != 0)
        return -1;
    segment_announce(heap);
    file_unlock(heap->life.fd, MAKER_BYTE, 1);
    return 0;
}

/* Clears the file where it has data, so that the mapping reads as that of a new file. */
static void file_data_zero(struct shmheap *heap)
{
    const uint64_t end = heap->map_len;
    struct file_data data = file_data_next(heap->fd, 0);
    for (; data.from < end; data = file_data_next(heap->fd, data.to))
        memset(heap->base + data.from, 0, (size_t)((data.to < end ? data.to : end) - data.from));
}

/* Threads of this process can open the file by /proc/self/fd as soon as it exists. Therefore:
 * 1 seal: the kernel refuses later writes and later writable mappings
 * 2 search the register: a connection that mapped the file before the seal noted the file there
 *   first
 * 3 clear what was written before the seal */
int make_seal_for_one_writer(struct shmheap *heap)
{
    if (fcntl(heap->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0)
        return error_cause(ENOTSUP, CAUSE_SEAL_MISSING, 0, 0);
    if (register_has_file_elsewhere(heap))
        return error_cause(EBUSY, CAUSE_SEAL_LATE, 0, 0);
    file_data_zero(heap);
    return 0;
}

struct shmheap *make_named(const char *name, const struct segment_plan *plan,
                           const shmheap_options *options)
{
    int fd = file_create_named(name, (options->flags & SHMHEAP_FILE) != 0);
    if (fd < 0)
        return NULL;
    struct shmheap *heap = register_take(options);
    if (heap == NULL) {
        file_remove(name, (options->flags & SHMHEAP_FILE) != 0);
        close(fd);
        return NULL;
    }
    if (file_adopt(heap, fd, name) == 0 && file_mark_used(heap, options_timeout(options), 1) == 0 &&
        heap_fill(heap, plan, options_mode(options)) == 0)
        return register_opened(heap);
    int reason = errno;
    /* The name belongs to this process while `use` is locked: that keeps other processes from
     * taking it over. */
    if (!file_is_nameless(fd))
        file_remove(name, heap->is_path);
    errno = reason;
    return register_failed(heap);
}

struct shmheap *make_from_existing(int fd, const char *name, const shmheap_options *options,
                                   unsigned timeout_ms, int had_name)
{
    struct shmheap *heap = fd >= 0 ? register_take(options) : NULL;
    if (heap == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    /* Until the heap is ready the connection does not count as a user: another process may then
     * replace an unfinished file. */
    int take_over = (options->flags & SHMHEAP_TAKE_OVER) != 0;
    if (file_adopt(heap, fd, name) != 0 ||
        heap_file_await(heap, timeout_ms, had_name, take_over) != 0 ||
        file_mark_used(heap, timeout_ms, name != NULL) != 0 || segment_map(heap) != 0 ||
        (!heap->read_only && recover_take_slot(heap) != 0))
        return register_failed(heap);
    return register_opened(heap);
}

struct shmheap *make_anonymous(const char *name, const struct segment_plan *plan,
                               const shmheap_options *options)
{
    if (name != NULL && strlen(name) > MEMFD_NAME_MOST) {
        error_cause(EINVAL, CAUSE_NAME_LONG, MEMFD_NAME_MOST, 0);
        return NULL;
    }
    int fd = file_memory(name != NULL && name[0] != 0 ? name : "shmheap");
    struct shmheap *heap = fd >= 0 ? register_take(options) : NULL;
    if (heap == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (file_adopt(heap, fd, NULL) != 0)
        return register_failed(heap);
    error_name(heap->label, name);
    if (file_mark_used(heap, 0, 0) != 0 || heap_fill(heap, plan, options_mode(options)) != 0)
        return register_failed(heap);
    return register_opened(heap);
}
