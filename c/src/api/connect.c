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

#include "../cache/cache.h"
#include "../os/file.h"
#include "../heap/fit.h"
#include "../heap/fit_choose.h"
#include "../segment/huge.h"
#include "../process/lock.h"
#include "../os/pause.h"
#include "../os/process.h"
#include "../recovery/recover.h"
#include "../segment/segment.h"
#include "../process/slot_claim.h"

/* SHMHEAP_ALWAYS_HUGE is set in the build that runs all tests with huge pages. */
#ifdef SHMHEAP_ALWAYS_HUGE
#define ALWAYS_HUGE 1
#else
#define ALWAYS_HUGE 0
#endif

enum {
    LEN_DEFAULT = 1 << 20,
    MODE_DEFAULT = 0600,
    TIMEOUT_MS_DEFAULT = 2000,
    LOCK_LIMIT_MS = 30000
};
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10 /* Linux 5.1; older kernels refuse it */
#endif

enum { FLAGS_KNOWN = 4095, LEAVING_LIMIT_MS = 1000 /* that exit() waits for each heap's lock */ };

/* The register. Closed connections stay in it, so that a handle that was disconnected can be told
 * from an open one. It only grows, at its head, so that a child finds it whole whatever its
 * parent's threads were doing. */
static struct shmheap *connections;
static pthread_mutex_t connections_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Children ------------------------------------------------------------- */

/* In a child, told of by a handler or not. Not told, it may have closed its parent's descriptors,
 * and have others of the same number. */
static void child_of(struct shmheap *heap, int told)
{
    if (!told && !file_is(heap->life.fd, heap->device, heap->inode))
        heap->life.fd = -1;
    if (!told && !file_is(heap->use.fd, heap->device, heap->inode))
        heap->use.fd = -1;
    liveness_forked(&heap->life, LIVENESS_PROCESS, told);
    liveness_forked(&heap->use, LIVENESS_FAMILY, told);
}

/* The connection is the parent's until the child has a slot of its own. */
static void child_of_open(struct shmheap *heap, int told)
{
    child_of(heap, told);
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

/* Another thread of the parent was making or ending the connection: it is nothing to the child. */
static void child_of_half_open(struct shmheap *heap, int told)
{
    child_of(heap, told);
    liveness_drop(&heap->use);
    segment_unmap(heap);
    file_close(heap->fd, heap->device, heap->inode);
    heap->fd = -1;
    heap->taken = 0;
}

static void child_begins(int told)
{
    lock_self_forget();
    lock_register();
    process_forget();
    liveness_fork_child();
    cache_fork_child();
    pthread_mutex_init(&connections_mutex, NULL);
    for (struct shmheap *heap = connections; heap != NULL; heap = heap->next) {
        if (heap->open)
            child_of_open(heap, told);
        else if (heap->taken)
            child_of_half_open(heap, told);
    }
}

static void fork_child(void)
{
    int before = errno;
    process_fork_handled();
    child_begins(1);
    errno = before;
}

static void fork_prepare(void)
{
    for (struct shmheap *heap = __atomic_load_n(&connections, __ATOMIC_ACQUIRE); heap != NULL;
         heap = heap->next)
        if (heap->open && !heap->has_claim && load_acquire_u32(&heap->ready))
            slot_fork_prepare(heap);
    liveness_fork_prepare();
}

static void library_begin(void)
{
    process_on_fork(child_begins);
    lock_register();
    pthread_atfork(fork_prepare, liveness_fork_parent, fork_child);
}

static void connect_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_begin);
    process_notice_fork();
}

/* The end of the program, or of the library in it: what its connections hold stays with them until
 * the process is gone, since other threads may go on; but then it counts as given up in order. */
__attribute__((destructor)) static void library_end(void)
{
    if (connections == NULL)
        return;
    process_notice_fork();
    for (struct shmheap *heap = connections; heap != NULL; heap = heap->next)
        if (heap->open && load_acquire_u32(&heap->ready) && segment_is_there(heap)) {
            slot_announce_leaving(heap);
            cache_give_back(heap, LEAVING_LIMIT_MS);
        }
    cache_end_of_library();
}

/* The register --------------------------------------------------------- */

static void connection_clear(struct shmheap *heap)
{
    const struct liveness none = LIVENESS_NONE;
    struct shmheap *next = heap->next; /* a child may go through the list at any moment */
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

static struct shmheap *connection_new(const shmheap_options *options)
{
    struct shmheap *heap;
    pthread_mutex_lock(&connections_mutex);
    for (heap = connections; heap != NULL && heap->taken; heap = heap->next)
        continue;
    if (heap == NULL && (heap = process_memory(sizeof *heap)) != NULL) {
        heap->next = connections;
        __atomic_store_n(&connections, heap, __ATOMIC_RELEASE);
    }
    if (heap != NULL) {
        connection_clear(heap);
        heap->taken = 1;
    }
    pthread_mutex_unlock(&connections_mutex);
    if (heap == NULL)
        return NULL;
    heap->is_path = (options->flags & SHMHEAP_FILE) != 0;
    heap->huge = ALWAYS_HUGE || (options->flags & SHMHEAP_HUGE_PAGES) != 0;
    heap->cached = (options->flags & SHMHEAP_CACHED) != 0;
    heap->read_only = (options->flags & SHMHEAP_READ_ONLY) != 0;
    heap->no_dump = (options->flags & SHMHEAP_NO_DUMP) != 0;
    return heap;
}

static struct shmheap *connection_opened(struct shmheap *heap)
{
    connection_settle(heap);
    if (heap->layout.granules_max >= UPPER_SIZES)
        heap->cached = 0; /* block.h says why */
    pthread_mutex_lock(&connections_mutex);
    heap->open = 1;
    pthread_mutex_unlock(&connections_mutex);
    return heap;
}

/* All that belongs to the connection but its caches and its slot. */
static void connection_end_of(struct shmheap *heap)
{
    int before = errno;
    liveness_drop(&heap->life);
    segment_unmap(heap);
    liveness_drop(&heap->use);
    connection_drop_inherited(heap);
    for (unsigned i = 0; i < 2; i++)
        file_close(heap->lent_fd[i], heap->device, heap->inode);
    file_close(heap->fd, heap->device, heap->inode);
    heap->fd = -1;
    pthread_mutex_lock(&connections_mutex);
    heap->taken = 0;
    pthread_mutex_unlock(&connections_mutex);
    errno = before;
}

/* NULL, errno kept. */
static struct shmheap *connection_failed(struct shmheap *heap)
{
    slot_leave(heap);
    connection_end_of(heap);
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
    if ((flags & ~(unsigned)FLAGS_KNOWN) != 0 ||
        ((flags & (SHMHEAP_EXCLUSIVE | SHMHEAP_TAKE_OVER)) && !(flags & SHMHEAP_CREATE)) ||
        ((flags & SHMHEAP_READ_ONLY) && (flags & SHMHEAP_CREATE)) ||
        ((flags & SHMHEAP_ANONYMOUS) &&
         (!(flags & SHMHEAP_CREATE) ||
          (flags & (SHMHEAP_FILE | SHMHEAP_TAKE_OVER | SHMHEAP_SOCKET)))))
        return invalid();
    return 0;
}

static int plan_fill(struct segment_plan *plan, const shmheap_options *options)
{
    memset(plan, 0, sizeof *plan);
    plan->len = options->len != 0 ? options->len : LEN_DEFAULT;
    plan->max_len = options->max_len != 0 ? options->max_len : plan->len;
    plan->shift = options->alignment == 8 ? 3 : 4;
    plan->flags = (options->flags & SHMHEAP_SPARSE ? FORMAT_SPARSE : 0) |
                  (options->flags & SHMHEAP_REAP ? FORMAT_REAP : 0);
    plan->slot_count = SLOTS_MAX;
    plan->region_align = FILE_ALIGN;
    if (plan->len < REGION_LEN_MIN || plan->max_len < plan->len ||
        (options->alignment != 0 && options->alignment != 8 && options->alignment != 16) ||
        options->mode > 07777)
        return invalid();
    return 0;
}

static unsigned timeout_of(const shmheap_options *options)
{
    return options->timeout_ms != 0 ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
}

/* Files ---------------------------------------------------------------- */

/* The connection gets the file of fd, which becomes its own also when this fails: 0, or -1 with
 * errno. */
static int connection_get(struct shmheap *heap, int fd, const char *name)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        int reason = errno;
        close(fd); /* later it could not be told from a file of the program's */
        errno = reason;
        return -1;
    }
    heap->fd = fd;
    pthread_mutex_lock(&connections_mutex); /* is_mapped_elsewhere looks at all connections */
    heap->has_file = 1;
    heap->device = status.st_dev;
    heap->inode = status.st_ino;
    pthread_mutex_unlock(&connections_mutex);
    if (!S_ISREG(status.st_mode)) {
        errno = EBADMSG;
        return -1;
    }
    if (name != NULL && strlen(name) >= sizeof heap->name_text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    heap->name = name != NULL ? strcpy(heap->name_text, name) : NULL;
    return 0;
}

/* The connection says that it uses its file. had_name: the file must have a name still, else errno
 * ESTALE. 0, or -1 with errno. */
static int connection_use(struct shmheap *heap, unsigned timeout_ms, int had_name)
{
    int fd = heap->fd;
    const struct liveness_file file = {fd, heap->name, heap->is_path, heap->read_only};
    if (liveness_open(&heap->use, &file, LIVENESS_FAMILY) != 0) {
        errno = errno == ENODEV ? EBADMSG : errno; /* what cannot be mapped is no heap */
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

/* Making and connecting ------------------------------------------------ */

static unsigned mode_of(const shmheap_options *options)
{
    return options->mode != 0 ? options->mode : MODE_DEFAULT;
}

/* The new heap in the connection's empty file, complete: other processes see it from here on. mode:
 * its permissions. */
static int heap_make(struct shmheap *heap, const struct segment_plan *plan, unsigned mode)
{
    const struct liveness_file file = connection_file(heap);
    if (liveness_open(&heap->life, &file, LIVENESS_PROCESS) != 0)
        return -1;
    file_lock(heap->life.fd, F_WRLCK, MAKER_BYTE, 1);
    /* With the lock, which a process that may only read the file could else keep from us. */
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

/* Whether another connection of this process has the file, or is about to map it. */
static int is_mapped_elsewhere(const struct shmheap *heap)
{
    int found = 0;
    pthread_mutex_lock(&connections_mutex);
    for (const struct shmheap *other = connections; other != NULL; other = other->next)
        found |= other != heap && other->taken && other->has_file &&
                 other->device == heap->device && other->inode == heap->inode;
    pthread_mutex_unlock(&connections_mutex);
    return found;
}

/* Zeros where the file has data: the mapping has it then as a new file's. */
static void file_data_zero(struct shmheap *heap)
{
    off_t from = 0, to, end = (off_t)heap->map_len;
    int before = errno;
    while ((from = lseek(heap->fd, from, SEEK_DATA)) >= 0 && from < end &&
           (to = lseek(heap->fd, from, SEEK_HOLE)) > from) {
        memset(heap->base + from, 0, (size_t)((to < end ? to : end) - from));
        from = to;
    }
    errno = before;
}

/* The new file is this connection's alone to write: 0, or -1 with errno. Threads of this process can open it by
 * /proc/self/fd as soon as it is there. So the seal comes first, by which the kernel refuses later writes and later
 * mappings to write. A connection that mapped the file before has noted its file before that, and is found. Then what was
 * written before the seal goes. */
static int seal_for_one_writer(struct shmheap *heap)
{
    if (fcntl(heap->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) != 0) {
        errno = ENOTSUP;
        return -1;
    }
    if (is_mapped_elsewhere(heap)) {
        errno = EBUSY;
        return -1;
    }
    file_data_zero(heap);
    return 0;
}

static struct shmheap *create_named(const char *name, const struct segment_plan *plan,
                                    const shmheap_options *options)
{
    int fd = file_create_named(name, (options->flags & SHMHEAP_FILE) != 0);
    if (fd < 0)
        return NULL;
    struct shmheap *heap = connection_new(options);
    if (heap == NULL) {
        file_remove(name, (options->flags & SHMHEAP_FILE) != 0);
        close(fd);
        return NULL;
    }
    if (connection_get(heap, fd, name) == 0 && connection_use(heap, timeout_of(options), 1) == 0 &&
        heap_make(heap, plan, mode_of(options)) == 0)
        return connection_opened(heap);
    int reason = errno;
    if (!file_is_nameless(fd)) /* the name is ours as long as `use` keeps those out who would take
                                  it over */
        file_remove(name, heap->is_path);
    errno = reason;
    return connection_failed(heap);
}

/* The connection to the heap in the file fd, which becomes the connection's. */
static struct shmheap *connect_file(int fd, const char *name, const shmheap_options *options,
                                    unsigned timeout_ms, int had_name)
{
    struct shmheap *heap = fd >= 0 ? connection_new(options) : NULL;
    if (heap == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    /* While it waits it uses nothing: an unfinished file that processes wait for can be replaced. */
    if (connection_get(heap, fd, name) != 0 || segment_await(heap, timeout_ms, had_name) != 0 ||
        connection_use(heap, timeout_ms, name != NULL) != 0 || segment_map(heap) != 0 ||
        (!heap->read_only && recover_take_slot(heap) != 0))
        return connection_failed(heap);
    return connection_opened(heap);
}

static int open_existing(const char *name, const shmheap_options *options)
{
    return file_open_named(name, (options->flags & SHMHEAP_FILE) != 0,
                           options->flags & SHMHEAP_READ_ONLY ? O_RDONLY : O_RDWR);
}

static struct shmheap *create_anonymous(const char *name, const struct segment_plan *plan,
                                        const shmheap_options *options)
{
    int fd = file_memory(name != NULL && name[0] != 0 ? name : "shmheap");
    struct shmheap *heap = fd >= 0 ? connection_new(options) : NULL;
    if (heap == NULL) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    if (connection_get(heap, fd, NULL) != 0 || connection_use(heap, 0, 0) != 0 ||
        heap_make(heap, plan, mode_of(options)) != 0)
        return connection_failed(heap);
    return connection_opened(heap);
}

/* What a maker left that died, or with SHMHEAP_TAKE_OVER any heap that no process uses, goes. 0
 * when the name is free now, or not to be had as yet; *abandoned: a dead maker's work is still
 * there, kept by processes that wait for it. -1 with errno, with SHMHEAP_TAKE_OVER alone. */
static int make_way(const char *name, const shmheap_options *options, int *abandoned)
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

/* One attempt: NULL with errno ESTALE when the name has come or gone in between, EOWNERDEAD when
 * the maker of what is there has died. */
static struct shmheap *open_once(const char *name, const struct segment_plan *plan,
                                 const shmheap_options *options, unsigned timeout_ms)
{
    if (!(options->flags & SHMHEAP_CREATE))
        return connect_file(open_existing(name, options), name, options, timeout_ms, 1);
    int before = errno, abandoned = 0;
    if (make_way(name, options, &abandoned) != 0)
        return NULL;
    errno = before;
    struct shmheap *heap = create_named(name, plan, options);
    if (heap != NULL || errno != EEXIST)
        return heap;
    if (abandoned || (options->flags & SHMHEAP_EXCLUSIVE)) {
        errno = abandoned ? EOWNERDEAD : EEXIST;
        return NULL;
    }
    heap = connect_file(open_existing(name, options), name, options, timeout_ms, 1);
    if (heap == NULL && errno == ENOENT)
        errno = ESTALE;
    return heap;
}

static struct shmheap *open_named(const char *name, const struct segment_plan *plan,
                                  const shmheap_options *options)
{
    /* Other processes may make and remove heaps of this name at the same time: one of them succeeds
     * each time. */
    struct pause pause = pause_begin(timeout_of(options));
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
    struct topology scope;
    if (topology_of_caller(&scope) != 0 ||
        topology_name(of_socket, sizeof of_socket, name, scope.socket) != 0)
        return NULL;
    plan->topology = &scope;
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
    connect_begin();
    if (flags_check(options->flags) != 0 || plan_fill(&plan, options) != 0)
        return NULL;
    if (options->flags & SHMHEAP_ANONYMOUS)
        return create_anonymous(name, &plan, options);
    if (name == NULL || name[0] == 0) {
        errno = EINVAL;
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
    connect_begin();
    if (flags_check(sealed.flags) != 0 || plan_fill(&plan, &sealed) != 0)
        return NULL;
    plan.mapped = seal_for_one_writer;
    return create_anonymous(NULL, &plan, &sealed);
}

struct shmheap *connect_fd(int fd, const shmheap_options *options)
{
    const unsigned allowed =
        SHMHEAP_READ_ONLY | SHMHEAP_HUGE_PAGES | SHMHEAP_CACHED | SHMHEAP_NO_DUMP;
    if ((options->flags & ~allowed) != 0) {
        errno = EINVAL;
        return NULL;
    }
    struct stat status;
    connect_begin();
    if (flags_check(options->flags) != 0 || fstat(fd, &status) != 0)
        return NULL;
    if (!S_ISREG(status.st_mode)) { /* what it is would be opened anew */
        errno = EBADMSG;
        return NULL;
    }
    int own = file_reopen(fd, NULL, 0, (options->flags & SHMHEAP_READ_ONLY) != 0);
    struct shmheap *heap =
        connect_file(own, NULL, options, timeout_of(options), own >= 0 && !file_is_nameless(own));
    if (heap == NULL && (errno == ESTALE || errno == EOWNERDEAD))
        errno = ETIMEDOUT; /* there is no name to look behind */
    return heap;
}

/* Slots for memory of this size: the table is at most about a sixteenth of it. */
static uint32_t slots_for(uint64_t bytes)
{
    uint64_t slots = bytes / (16 * SLOT_SIZE);
    return (uint32_t)(slots < SLOTS_MIN ? SLOTS_MIN : slots > SLOTS_MAX ? SLOTS_MAX : slots);
}

/* Memory of the caller can hold a heap of this alignment: 1, else 0. */
static int memory_is_fit(const void *memory, uint64_t bytes, unsigned alignment)
{
    return memory != NULL && (uintptr_t)memory % alignment == 0 &&
           (bytes == 0 || process_memory_is_there(memory, bytes));
}

static int plan_fill_at(struct segment_plan *plan, void *memory, uint64_t bytes,
                        const shmheap_options *options)
{
    const unsigned allowed = SHMHEAP_CACHED | SHMHEAP_REAP;
    if ((options->flags & ~allowed) != 0 || plan_fill(plan, options) != 0)
        return invalid();
    plan->slot_count = slots_for(bytes);
    plan->region_align = 16;
    if (!memory_is_fit(memory, bytes, plan->shift == 3 ? 8 : 16))
        return invalid();
    if (options->len == 0) {
        plan->len =
            segment_region_fitting(bytes, plan->shift, plan->slot_count, plan->region_align);
        plan->max_len = plan->len;
    }
    if (plan->len == 0) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

/* A connection to memory of the caller, with a slot. */
static struct shmheap *connection_in_memory(struct shmheap *heap, const void *memory)
{
    heap->is_private = process_memory_is_private(memory);
    return recover_take_slot(heap) == 0 ? heap : NULL;
}

struct shmheap *connect_make_at(void *memory, uint64_t bytes, const shmheap_options *options)
{
    struct segment_plan plan;
    connect_begin();
    if (plan_fill_at(&plan, memory, bytes, options) != 0)
        return NULL;
    struct shmheap *heap = connection_new(options);
    if (heap == NULL)
        return NULL;
    if (segment_make_at(heap, memory, bytes, &plan) != 0)
        return connection_failed(heap);
    fit_format(heap);
    if (connection_in_memory(heap, memory) == NULL)
        return connection_failed(heap);
    segment_announce(heap);
    return connection_opened(heap);
}

struct shmheap *connect_attach_at(void *memory, uint64_t bytes)
{
    static const shmheap_options none;
    connect_begin();
    if (!memory_is_fit(memory, bytes, 8)) {
        errno = EINVAL;
        return NULL;
    }
    struct shmheap *heap = connection_new(&none);
    if (heap == NULL)
        return NULL;
    if (segment_map_at(heap, memory, bytes) != 0)
        return connection_failed(heap);
    if (heap->shift == 4 && (uintptr_t)memory % 16 != 0) {
        errno = EINVAL;
        return connection_failed(heap);
    }
    if (connection_in_memory(heap, memory) == NULL)
        return connection_failed(heap);
    return connection_opened(heap);
}

void connect_close(struct shmheap *heap)
{
    process_notice_fork();
    cache_close(heap);
    pthread_mutex_lock(&connections_mutex);
    heap->open = 0;
    store_u32(&heap->ready, 0);
    pthread_mutex_unlock(&connections_mutex);
    slot_leave(heap);
    connection_end_of(heap);
}

int connect_lend(struct shmheap *heap, int writable)
{
    int *place = &heap->lent_fd[writable];
    if (!heap->has_file) {
        errno = ENOTSUP;
        return -1;
    }
    int lent = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (lent >= 0 && file_is(lent, heap->device, heap->inode))
        return lent;
    int fd = connection_fd(heap);
    if (fd < 0 || (writable && heap->read_only)) {
        errno = fd < 0 ? EBADF : EACCES;
        return -1;
    }
    int fresh = file_reopen(fd, heap->name, heap->is_path, !writable);
    if (fresh >= 0 &&
        !__atomic_compare_exchange_n(place, &lent, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        close(fresh); /* another thread was quicker */
        return lent;
    }
    return fresh;
}
