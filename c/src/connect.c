/* SPDX-License-Identifier: Apache-2.0 */
#include "connect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache.h"
#include "file.h"
#include "fit.h"
#include "fit_choose.h"
#include "huge.h"
#include "lock.h"
#include "recover.h"
#include "segment.h"
#include "slot.h"

/* SHMHEAP_ALWAYS_HUGE is set in the build that runs all tests with huge pages. */
#ifdef SHMHEAP_ALWAYS_HUGE
#define ALWAYS_HUGE 1
#else
#define ALWAYS_HUGE 0
#endif

enum { LEN_DEFAULT = 1 << 20, MODE_DEFAULT = 0600, TIMEOUT_MS_DEFAULT = 2000, LOCK_LIMIT_MS = 30000, OPEN_TRIES = 100 };
enum { FLAGS_KNOWN = 2047 };

/* The register. Closed connections stay in it, so that a handle that was disconnected can be told from an open one. */
static struct shmheap *connections;
static pthread_mutex_t connections_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void fork_prepare(void)
{
    pthread_mutex_lock(&connections_mutex);
    cache_fork_prepare();
}

static void fork_parent(void)
{
    cache_fork_parent();
    pthread_mutex_unlock(&connections_mutex);
}

/* The child's descriptor must be a description of its own: else the parent's locks, by which others know that it
 * lives, would live on in the child. The number stays the same. */
static void fork_child_file(struct shmheap *heap)
{
    int fd = file_reopen(heap->fd, heap->read_only);
    if (fd < 0)
        return;
    dup3(fd, heap->fd, O_CLOEXEC);
    close(fd);
    file_use(heap->fd, 0);
}

static void fork_child(void)
{
    lock_self_forget();
    lock_register();
    slot_forget_process();
    cache_fork_child();
    for (struct shmheap *heap = connections; heap != NULL; heap = heap->next) {
        heap->ready = 0;
        heap->slot = 0;
        cache_fork_child_of(heap);
        if (heap->open && heap->fd >= 0)
            fork_child_file(heap);
    }
    pthread_mutex_unlock(&connections_mutex);
}

static void fork_register(void)
{
    lock_register();
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

static struct shmheap *connection_new(void)
{
    struct shmheap *heap;
    pthread_once(&fork_once, fork_register);
    pthread_mutex_lock(&connections_mutex);
    for (heap = connections; heap != NULL && heap->taken; heap = heap->next)
        continue;
    if (heap == NULL && (heap = calloc(1, sizeof *heap)) != NULL) {
        heap->next = connections;
        connections = heap;
    }
    if (heap != NULL) {
        struct shmheap *next = heap->next; /* it has no caches */
        memset(heap, 0, sizeof *heap);
        heap->next = next;
        heap->fd = -1;
        heap->fd_lent = -1;
        heap->huge_next = HUGE_NEVER;
        heap->taken = 1;
        heap->lock_limit_ms = LOCK_LIMIT_MS;
        heap->fit = fit_choose();
        heap->few_max = fit_choose_few();
    }
    pthread_mutex_unlock(&connections_mutex);
    return heap;
}

static void connection_release(struct shmheap *heap)
{
    pthread_mutex_lock(&connections_mutex);
    heap->taken = 0;
    pthread_mutex_unlock(&connections_mutex);
}

static struct shmheap *connection_opened(struct shmheap *heap)
{
    pthread_mutex_lock(&connections_mutex);
    heap->open = 1;
    pthread_mutex_unlock(&connections_mutex);
    return heap;
}

/* NULL, errno kept, the descriptor closed. */
static struct shmheap *connection_failed(struct shmheap *heap, int fd)
{
    int reason = errno;
    segment_unmap(heap);
    if (fd >= 0)
        close(fd);
    connection_release(heap);
    errno = reason;
    return NULL;
}

static int invalid(void)
{
    errno = EINVAL;
    return -1;
}

/* Flags that can be together. */
static int flags_check(unsigned flags)
{
    if ((flags & ~(unsigned)FLAGS_KNOWN) != 0 || ((flags & (SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER)) && !(flags & SHMHEAP_CREATE)) ||
        ((flags & SHMHEAP_READ_ONLY) && (flags & SHMHEAP_CREATE)) ||
        ((flags & SHMHEAP_ANONYMOUS) && (!(flags & SHMHEAP_CREATE) || (flags & (SHMHEAP_FILE | SHMHEAP_TAKE_OVER | SHMHEAP_SOCKET)))))
        return invalid();
    return 0;
}

static int plan_fill(struct segment_plan *plan, const shmheap_options *options)
{
    memset(plan, 0, sizeof *plan);
    plan->len = options->len != 0 ? options->len : LEN_DEFAULT;
    plan->max_len = options->max_len != 0 ? options->max_len : plan->len;
    plan->shift = options->alignment == 8 ? 3 : 4;
    plan->flags = (options->flags & SHMHEAP_SPARSE ? FORMAT_SPARSE : 0) | (options->flags & SHMHEAP_REAP ? FORMAT_REAP : 0);
    plan->slot_count = SLOTS_MAX;
    plan->region_align = FILE_ALIGN;
    if (plan->len < REGION_LEN_MIN || plan->max_len < plan->len ||
        (options->alignment != 0 && options->alignment != 8 && options->alignment != 16) || options->mode > 07777)
        return invalid();
    return 0;
}

static unsigned timeout_of(const shmheap_options *options)
{
    return options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
}

/* A descriptor of what has the name, marked as used from a moment when it had it; or -1, with errno ESTALE when somebody has removed
 * the name in between. */
static int open_and_use(const char *name, const shmheap_options *options, int oflags, unsigned mode)
{
    int fd = file_open_named(name, (options->flags & SHMHEAP_FILE) != 0, oflags, mode);
    if (fd < 0)
        return -1;
    if (file_use(fd, timeout_of(options)) == 0) {
        if (!file_is_nameless(fd))
            return fd;
        errno = ESTALE;
    }
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

/* The new heap in the empty file fd, complete: others see it from here on. */
static struct shmheap *connect_make(int fd, const struct segment_plan *plan, const shmheap_options *options)
{
    struct shmheap *heap = connection_new();
    if (heap == NULL) {
        close(fd);
        return NULL;
    }
    heap->is_path = (options->flags & SHMHEAP_FILE) != 0;
    heap->huge = ALWAYS_HUGE || (options->flags & SHMHEAP_HUGE_PAGES) != 0;
    heap->cached = (options->flags & SHMHEAP_CACHED) != 0;
    if (segment_make(heap, fd, plan) != 0)
        return connection_failed(heap, fd);
    fit_format(heap);
    if (recover_take_slot(heap) != 0)
        return connection_failed(heap, fd);
    segment_announce(heap);
    return connection_opened(heap);
}

/* The heap in the file fd, which becomes the connection's. had_name: and which is not waited for once it has none. */
static struct shmheap *connect_map(int fd, const shmheap_options *options, int had_name)
{
    struct shmheap *heap = connection_new();
    if (heap == NULL) {
        close(fd);
        return NULL;
    }
    heap->is_path = (options->flags & SHMHEAP_FILE) != 0;
    heap->huge = ALWAYS_HUGE || (options->flags & SHMHEAP_HUGE_PAGES) != 0;
    heap->cached = (options->flags & SHMHEAP_CACHED) != 0;
    heap->read_only = (options->flags & SHMHEAP_READ_ONLY) != 0;
    if (segment_map(heap, fd, timeout_of(options), had_name) != 0)
        return connection_failed(heap, fd);
    if (!heap->read_only && recover_take_slot(heap) != 0)
        return connection_failed(heap, fd);
    return connection_opened(heap);
}

static struct shmheap *create_named(const char *name, const struct segment_plan *plan, const shmheap_options *options)
{
    int fd = open_and_use(name, options, O_RDWR | O_CREAT | O_EXCL, options->mode != 0 ? options->mode : MODE_DEFAULT);
    int mark = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1; /* keeps the file in use until its name is removed */
    if (fd < 0)
        return NULL;
    struct shmheap *heap = connect_make(fd, plan, options);
    int reason = errno;
    if (heap == NULL)
        file_remove(name, (options->flags & SHMHEAP_FILE) != 0);
    if (mark >= 0)
        close(mark);
    errno = reason;
    return heap;
}

static struct shmheap *connect_named(const char *name, const shmheap_options *options)
{
    int fd = open_and_use(name, options, options->flags & SHMHEAP_READ_ONLY ? O_RDONLY : O_RDWR, 0);
    return fd >= 0 ? connect_map(fd, options, 1) : NULL;
}

static struct shmheap *create_anonymous(const char *name, const struct segment_plan *plan, const shmheap_options *options)
{
    int fd = file_memory(name != NULL && name[0] != 0 ? name : "shmheap");
    if (fd >= 0)
        file_use(fd, 0);
    return fd >= 0 ? connect_make(fd, plan, options) : NULL;
}

/* One attempt: NULL with errno ESTALE when the name has come or gone in between. */
static struct shmheap *open_once(const char *name, const struct segment_plan *plan, const shmheap_options *options)
{
    if (!(options->flags & SHMHEAP_CREATE))
        return connect_named(name, options);
    if ((options->flags & SHMHEAP_TAKE_OVER) && file_remove_unused(name, (options->flags & SHMHEAP_FILE) != 0) != 0 &&
        errno != EBUSY && errno != ENOENT)
        return NULL;
    struct shmheap *heap = create_named(name, plan, options);
    if (heap != NULL || errno != EEXIST || (options->flags & SHMHEAP_EXCLUSIVE))
        return heap;
    heap = connect_named(name, options);
    if (heap == NULL && errno == ENOENT)
        errno = ESTALE;
    return heap;
}

static struct shmheap *open_named(const char *name, const struct segment_plan *plan, const shmheap_options *options)
{
    /* Whoever makes and removes heaps of this name at the same time: one of both succeeds in the end. */
    for (int i = 0; i < OPEN_TRIES; i++) {
        struct shmheap *heap = open_once(name, plan, options);
        if (heap != NULL || errno != ESTALE)
            return heap;
    }
    errno = options->flags & SHMHEAP_CREATE ? EBUSY : ENOENT;
    return NULL;
}

static struct shmheap *open_of_socket(const char *name, struct segment_plan *plan, const shmheap_options *options)
{
    char of_socket[PATH_MAX];
    struct scope scope;
    if (scope_of_caller(&scope) != 0 || scope_name(of_socket, sizeof of_socket, name, scope.socket) != 0)
        return NULL;
    plan->scope = &scope;
    struct shmheap *heap = open_named(of_socket, plan, options);
    if (heap != NULL) {
        heap->is_of_socket = 1;
        heap->socket = scope.socket;
    }
    return heap;
}

struct shmheap *connect_open(const char *name, const shmheap_options *options)
{
    struct segment_plan plan;
    if (flags_check(options->flags) != 0 || plan_fill(&plan, options) != 0)
        return NULL;
    if (options->flags & SHMHEAP_ANONYMOUS)
        return create_anonymous(name, &plan, options);
    if (name == NULL || name[0] == 0) {
        errno = EINVAL;
        return NULL;
    }
    return options->flags & SHMHEAP_SOCKET ? open_of_socket(name, &plan, options) : open_named(name, &plan, options);
}

struct shmheap *connect_fd(int fd, const shmheap_options *options)
{
    const unsigned allowed = SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES | SHMHEAP_CACHED;
    if ((options->flags & ~allowed) != 0) {
        errno = EINVAL;
        return NULL;
    }
    struct stat status;
    if (flags_check(options->flags) != 0 || fstat(fd, &status) != 0)
        return NULL;
    if (!S_ISREG(status.st_mode)) {
        errno = EBADMSG;
        return NULL;
    }
    int own = file_reopen(fd, (options->flags & SHMHEAP_READ_ONLY) != 0);
    if (own >= 0 && file_use(own, timeout_of(options)) != 0) {
        close(own);
        errno = ETIMEDOUT;
        return NULL;
    }
    struct shmheap *heap = own >= 0 ? connect_map(own, options, !file_is_nameless(own)) : NULL;
    if (heap == NULL && errno == ESTALE)
        errno = ETIMEDOUT; /* there is no name to look behind */
    return heap;
}

/* Slots for memory of this size: the table is at most about a sixteenth of it. */
static uint32_t slots_for(uint64_t bytes)
{
    uint64_t slots = bytes / (16 * SLOT_SIZE);
    return (uint32_t)(slots < SLOTS_MIN ? SLOTS_MIN : slots > SLOTS_MAX ? SLOTS_MAX : slots);
}

static int plan_fill_at(struct segment_plan *plan, void *memory, uint64_t bytes, const shmheap_options *options)
{
    const unsigned allowed = SHMHEAP_CACHED | SHMHEAP_REAP;
    if ((options->flags & ~allowed) != 0 || plan_fill(plan, options) != 0)
        return invalid();
    plan->slot_count = slots_for(bytes);
    plan->region_align = 16;
    if (memory == NULL || (uintptr_t)memory % (plan->shift == 3 ? 8 : 16) != 0)
        return invalid();
    if (options->len == 0) {
        plan->len = segment_region_fitting(bytes, plan->shift, plan->slot_count, plan->region_align);
        plan->max_len = plan->len;
    }
    if (plan->len == 0) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

struct shmheap *connect_make_at(void *memory, uint64_t bytes, const shmheap_options *options)
{
    struct segment_plan plan;
    if (plan_fill_at(&plan, memory, bytes, options) != 0)
        return NULL;
    struct shmheap *heap = connection_new();
    if (heap == NULL)
        return NULL;
    heap->cached = (options->flags & SHMHEAP_CACHED) != 0;
    if (segment_make_at(heap, memory, bytes, &plan) != 0)
        return connection_failed(heap, -1);
    fit_format(heap);
    if (recover_take_slot(heap) != 0)
        return connection_failed(heap, -1);
    segment_announce(heap);
    return connection_opened(heap);
}

struct shmheap *connect_attach_at(void *memory, uint64_t bytes)
{
    if (memory == NULL || (uintptr_t)memory % 8 != 0) {
        errno = EINVAL;
        return NULL;
    }
    struct shmheap *heap = connection_new();
    if (heap == NULL)
        return NULL;
    if (segment_map_at(heap, memory, bytes) != 0)
        return connection_failed(heap, -1);
    if (heap->shift == 4 && (uintptr_t)memory % 16 != 0) {
        errno = EINVAL;
        return connection_failed(heap, -1);
    }
    if (recover_take_slot(heap) != 0)
        return connection_failed(heap, -1);
    return connection_opened(heap);
}

void connect_close(struct shmheap *heap)
{
    int fd = heap->fd, lent = heap->fd_lent;
    cache_close(heap);
    pthread_mutex_lock(&connections_mutex);
    heap->open = 0;
    heap->ready = 0;
    pthread_mutex_unlock(&connections_mutex);
    slot_leave(heap);
    segment_unmap(heap);
    if (fd >= 0)
        close(fd);
    if (lent >= 0)
        close(lent);
    connection_release(heap);
}
