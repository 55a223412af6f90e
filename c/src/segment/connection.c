/* connection.c: renews the descriptors of a connection: those that the program has closed, and
 * those of a child.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../base/error.h"
#include "../os/file.h"

/* Opens the file by its name or, with CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN, by the mapping of
 * `use`. -1 with errno EMFILE, ENFILE, or EBADF: neither leads to the file. */
static int open_again(const struct shmheap *heap)
{
    int oflags = heap->read_only ? O_RDONLY : O_RDWR;
    int again = heap->name != NULL ? file_open_named(heap->name, heap->is_path, oflags) : -1;
    if (again >= 0 && file_is_ours(again, heap->device, heap->inode))
        return again;
    if (again >= 0)
        close(again);
    else if (heap->name != NULL && (errno == EMFILE || errno == ENFILE))
        return -1;
    int refused = again < 0 && heap->name != NULL && errno == EACCES;
    errno = EBADF;
    again = heap->use.page != NULL ? file_open_mapped(heap->use.page, heap->use.len, oflags) : -1;
    if (again < 0 && errno != EMFILE && errno != ENFILE)
        error_cause(EBADF, refused ? CAUSE_CLOSED : CAUSE_NONE, 0, 0);
    return again;
}

int connection_fd(const struct shmheap *heap)
{
    int fd = __atomic_load_n(&heap->fd, __ATOMIC_ACQUIRE);
    if (fd >= 0 && file_is_ours(fd, heap->device, heap->inode))
        return fd;
    int again = open_again(heap), reason = again < 0 ? errno : EBADF;
    if (again >= 0 && file_is_ours(again, heap->device, heap->inode) &&
        __atomic_compare_exchange_n((int *)(uintptr_t)&heap->fd, &fd, again, 0, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return again;
    if (again >= 0)
        close(again); /* another file, or another thread was faster */
    if (fd >= 0 && file_is_ours(fd, heap->device, heap->inode))
        return fd;
    errno = reason;
    return -1;
}

struct liveness_file connection_file(const struct shmheap *heap)
{
    const struct liveness_file file = {connection_fd(heap), heap->name, heap->is_path,
                                       heap->read_only};
    return file;
}

/* struct inherited holds `use` of a parent, in a mapping of its own. A child does not call
 * malloc() before its first change: after _Fork(), a thread that does not exist here may hold
 * malloc's lock. */
struct inherited {
    struct liveness use;
    struct inherited *next;
};

static struct inherited *inherited_new(void)
{
    void *memory = mmap(NULL, sizeof(struct inherited), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

void connection_drop_inherited(struct shmheap *heap)
{
    for (struct inherited *next, *from = heap->inherited; from != NULL; from = next) {
        next = from->next;
        liveness_drop(&from->use);
        munmap(from, sizeof *from);
    }
    heap->inherited = NULL;
}

/* Gives `use` a new description of this process's own. The list of inherited ones keeps a parent's;
 * a description of this process's own is dropped. */
static int use_renew(struct shmheap *heap, const struct liveness_file *file)
{
    struct liveness use = LIVENESS_NONE;
    struct inherited *from = heap->use_is_parents ? inherited_new() : NULL;
    if (heap->use_is_parents && from == NULL)
        return -1;
    if (liveness_open(&use, file, LIVENESS_FAMILY) != 0) {
        int reason = errno;
        if (from != NULL)
            munmap(from, sizeof *from);
        errno = reason;
        return -1;
    }
    file_use(use.fd, 0); /* cannot fail: the lock that it replaces excludes removers until then */
    if (from != NULL) {
        from->use = heap->use;
        from->next = heap->inherited;
        heap->inherited = from;
    } else {
        liveness_drop(&heap->use);
    }
    heap->use = use;
    heap->use_is_parents = 0;
    return 0;
}

int connection_lockable(struct shmheap *heap)
{
    if (!heap->has_file)
        return 0;
    const struct liveness_file file = connection_file(heap);
    if (file.fd < 0 || (heap->use.fd < 0 && use_renew(heap, &file) != 0))
        return -1;
    return heap->life.fd >= 0 ? 0 : liveness_open(&heap->life, &file, LIVENESS_PROCESS);
}

void connection_settle(struct shmheap *heap)
{
    liveness_settle(&heap->life);
    liveness_settle(&heap->use);
}
