/* connect.c: opening by name, descriptor or address; closing; lending the file.
 * SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../cache/threads.h"
#include "../heap/fit.h"
#include "../os/file.h"
#include "../os/pause.h"
#include "../os/process.h"
#include "../process/slot.h"
#include "../recovery/recover.h"
#include "fork.h"
#include "make.h"
#include "options.h"
#include "register.h"

static int existing_open(const char *name, const shmheap_options *options)
{
    return file_open_named(name, (options->flags & SHMHEAP_FILE) != 0,
                           options->flags & SHMHEAP_READ_ONLY ? O_RDONLY : O_RDWR);
}

/* Removes a file whose maker has died, or with SHMHEAP_TAKE_OVER any heap that no process uses.
 * Returns 0 when the name is free, or cannot be freed yet. Then *abandoned is 1 where the file
 * of a dead maker is still there, kept by processes that wait for it. Returns -1 with errno only
 * with SHMHEAP_TAKE_OVER. */
static int name_clear(const char *name, const shmheap_options *options, int *abandoned)
{
    int is_path = (options->flags & SHMHEAP_FILE) != 0,
        take_over = (options->flags & SHMHEAP_TAKE_OVER) != 0;
    int fd = file_open_named(name, is_path, O_RDWR);
    *abandoned = fd >= 0 && heap_file_is_abandoned(fd);
    if (fd >= 0)
        close(fd);
    if ((!take_over && !*abandoned) || heap_file_remove_unused(name, is_path, !take_over) == 0 ||
        errno == ENOENT) {
        *abandoned = 0;
        return 0;
    }
    return errno == EBUSY || !take_over ? 0 : -1;
}

/* One attempt. Returns NULL with errno ESTALE when the name has appeared or disappeared
 * meanwhile, EOWNERDEAD when the maker of the file has died. */
static struct shmheap *open_once(const char *name, const struct segment_plan *plan,
                                 const shmheap_options *options, unsigned timeout_ms)
{
    if (!(options->flags & SHMHEAP_CREATE))
        return make_from_existing(existing_open(name, options), name, options, timeout_ms, 1);
    int before = errno, abandoned = 0;
    if (name_clear(name, options, &abandoned) != 0)
        return NULL;
    errno = before;
    struct shmheap *heap = make_named(name, plan, options);
    if (heap != NULL || errno != EEXIST)
        return heap;
    if (abandoned || (options->flags & SHMHEAP_EXCLUSIVE)) {
        int in_use = !abandoned && (options->flags & SHMHEAP_TAKE_OVER);
        error_cause(abandoned ? EOWNERDEAD : EEXIST, in_use ? CAUSE_NAME_KEPT : CAUSE_NONE, 0, 0);
        return NULL;
    }
    heap = make_from_existing(existing_open(name, options), name, options, timeout_ms, 1);
    if (heap == NULL && errno == ENOENT)
        errno = ESTALE;
    return heap;
}

static struct shmheap *open_named(const char *name, const struct segment_plan *plan,
                                  const shmheap_options *options)
{
    /* Other processes may make and remove heaps of this name at the same time. One of them
     * succeeds each time. */
    struct pause pause = pause_begin(options_timeout(options));
    struct shmheap *heap;
    do
        heap = open_once(name, plan, options, pause_left_ms(&pause));
    while (heap == NULL && (errno == ESTALE || errno == EOWNERDEAD) && pause_sleep(&pause));
    if (heap == NULL && errno == ESTALE)
        errno = options->flags & SHMHEAP_CREATE ? EBUSY : ENOENT;
    if (heap == NULL && errno == EOWNERDEAD)
        errno = options->flags & SHMHEAP_CREATE ? EBUSY : ETIMEDOUT;
    return heap;
}

static struct shmheap *open_of_socket(const char *name, struct segment_plan *plan,
                                      const shmheap_options *options)
{
    char of_socket[PATH_MAX];
    struct topology topology;
    if (topology_of_caller(&topology) != 0 ||
        topology_name(of_socket, sizeof of_socket, name, topology.socket) != 0)
        return NULL;
    plan->topology = &topology;
    struct shmheap *heap = open_named(of_socket, plan, options);
    if (heap != NULL) {
        heap->is_of_socket = 1;
        heap->socket = topology.socket;
    }
    return heap;
}

struct shmheap *connect_open(const char *name, const shmheap_options *options)
{
    struct segment_plan plan;
    fork_watch();
    if (options_check_flags(options->flags) != 0 || options_plan(&plan, options) != 0)
        return NULL;
    if (options->flags & SHMHEAP_ANONYMOUS)
        return make_anonymous(name, &plan, options);
    if (name == NULL || name[0] == 0) {
        error_cause(EINVAL, CAUSE_NAME_MISSING, 0, 0);
        return NULL;
    }
    return options->flags & SHMHEAP_SOCKET ? open_of_socket(name, &plan, options)
                                           : open_named(name, &plan, options);
}

struct shmheap *connect_make_sealed(const shmheap_options *options)
{
    struct segment_plan plan;
    shmheap_options sealed = *options;
    sealed.flags |= SHMHEAP_ANONYMOUS | SHMHEAP_CREATE;
    fork_watch();
    if (options_check_flags(sealed.flags) != 0 || options_plan(&plan, &sealed) != 0)
        return NULL;
    plan.mapped = make_seal_for_one_writer;
    return make_anonymous(NULL, &plan, &sealed);
}

struct shmheap *connect_fd(int fd, const shmheap_options *options)
{
    const unsigned allowed =
        SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES | SHMHEAP_CACHED | SHMHEAP_NO_DUMP;
    if ((options->flags & ~allowed) != 0) {
        error_cause(EINVAL, CAUSE_FLAGS_NOT_HERE, options->flags & ~allowed, 0);
        return NULL;
    }
    struct stat status;
    fork_watch();
    if (options_check_flags(options->flags) != 0 || fstat(fd, &status) != 0)
        return NULL;
    if (!S_ISREG(status.st_mode)) { /* file_reopen would open it anew */
        errno = EBADMSG;
        return NULL;
    }
    if (file_can_be_cut(fd)) {
        error_cause(EPERM, CAUSE_CAN_BE_CUT, 0, 0);
        return NULL;
    }
    int own = file_reopen(fd, NULL, 0, (options->flags & SHMHEAP_READ_ONLY) != 0);
    struct shmheap *heap = make_from_existing(own, NULL, options, options_timeout(options),
                                              own >= 0 && !file_is_nameless(own));
    if (heap == NULL && (errno == ESTALE || errno == EOWNERDEAD))
        errno = ETIMEDOUT; /* a heap without a name cannot be replaced */
    return heap;
}

/* Takes a slot in a heap that lies in memory of the caller. */
static struct shmheap *memory_take_slot(struct shmheap *heap, const void *memory)
{
    heap->is_private = process_memory_is_private(memory);
    return recover_take_slot(heap) == 0 ? heap : NULL;
}

struct shmheap *connect_make_at(void *memory, uint64_t bytes, const shmheap_options *options)
{
    struct segment_plan plan;
    fork_watch();
    if (options_plan_at(&plan, memory, bytes, options) != 0)
        return NULL;
    struct shmheap *heap = register_take(options);
    if (heap == NULL)
        return NULL;
    if (segment_make_at(heap, memory, bytes, &plan) != 0)
        return register_failed(heap);
    fit_format(heap);
    if (memory_take_slot(heap, memory) == NULL)
        return register_failed(heap);
    segment_announce(heap);
    return register_opened(heap);
}

struct shmheap *connect_attach_at(void *memory, uint64_t bytes)
{
    static const shmheap_options none;
    fork_watch();
    if (!options_memory_is_fit(memory, bytes, 8)) {
        error_cause(EINVAL, CAUSE_MEMORY, (uintptr_t)memory, bytes);
        return NULL;
    }
    struct shmheap *heap = register_take(&none);
    if (heap == NULL)
        return NULL;
    if (segment_map_at(heap, memory, bytes) != 0)
        return register_failed(heap);
    if (heap->shift == 4 && (uintptr_t)memory % 16 != 0) {
        error_cause(EINVAL, CAUSE_MEMORY, (uintptr_t)memory, bytes);
        return register_failed(heap);
    }
    if (memory_take_slot(heap, memory) == NULL)
        return register_failed(heap);
    return register_opened(heap);
}

void connect_close(struct shmheap *heap)
{
    process_notice_fork();
    cache_close(heap);
    register_closed(heap);
    slot_leave(heap);
    register_release(heap);
}

int connect_lend(struct shmheap *heap, int writable)
{
    int *place = &heap->lent_fd[writable];
    if (!heap->has_file) {
        errno = ENOTSUP;
        return -1;
    }
    int lent = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (lent >= 0 && file_is_lent(lent, heap->device, heap->inode))
        return lent;
    int fd = connection_fd(heap);
    if (fd < 0)
        return -1;
    if (writable && heap->read_only)
        return error_cause(EACCES, CAUSE_READ_ONLY, 0, 0);
    int fresh = file_reopen(fd, heap->name, heap->is_path, !writable);
    file_mark_lent(fresh);
    if (fresh >= 0 &&
        !__atomic_compare_exchange_n(place, &lent, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        close(fresh); /* another thread was faster */
        return lent;
    }
    return fresh;
}
