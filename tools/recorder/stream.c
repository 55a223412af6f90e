/* stream.c: writes the recorder's file of this process through a mapped window.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, FIRST_WINDOW = 1 << 16, LAST_WINDOW = 1 << 24 };

/* struct process lies in a page that the kernel fills with zeros in every forked child. There the
 * lock is free and no file is open, so the child starts its own file and never writes to its
 * parent's. */
struct process {
    pthread_mutex_t lock;
    int opened, stopped;
    uint32_t threads;
    uint64_t serial; /* differs between processes */
    struct raw_header *header;
    struct raw_event *next, *end; /* in the window */
    void *window;
    size_t window_len;
    uint64_t window_off;
    char path[PATH_ROOM / 2];
};

/* Private to the thread. initial-exec: the first access must not allocate. */
struct thread {
    int busy;
    uint32_t number;
    uint64_t serial;
};

static struct process *process;
static int wiped_on_fork;
static pid_t owner; /* for kernels without MADV_WIPEONFORK */
static char folder[PATH_ROOM / 4];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread struct thread thread __attribute__((tls_model("initial-exec")));

static void process_begin(void)
{
    const char *text = getenv(RAW_FOLDER_VARIABLE);
    void *page =
        mmap(NULL, sizeof *process, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || !text || strlen(text) >= sizeof folder)
        return;
    strcpy(folder, text);
    wiped_on_fork = madvise(page, sizeof *process, MADV_WIPEONFORK) == 0;
    owner = getpid();
    process = page;
}

/* For kernels before 4.14: checks at each event whether the process has changed. */
static void notice_fork(void)
{
    pid_t now = getpid();
    if (now == owner)
        return;
    memset(process, 0, sizeof *process);
    owner = now;
}

int stream_lock(void)
{
    int saved = errno;
    if (thread.busy)
        return 0;
    if (!environ)
        return 0; /* the dynamic linker allocates before the C library sets environ */
    thread.busy = 1;
    pthread_once(&once, process_begin);
    if (process && !wiped_on_fork)
        notice_fork();
    if (!process || process->stopped) {
        thread.busy = 0;
        errno = saved;
        return 0;
    }
    pthread_mutex_lock(&process->lock);
    errno = saved;
    return 1;
}

void stream_unlock(void)
{
    /* A child that a signal handler forked inside a recorded call has a page of zeros. Unlocking
     * its free mutex does no harm. */
    pthread_mutex_unlock(&process->lock);
    thread.busy = 0;
}

static char *put_number(char *out, uint64_t value)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n)
        *out++ = digits[--n];
    return out;
}

static void name_file(unsigned attempt)
{
    char *at = stpcpy(process->path, folder);
    *at++ = '/';
    at = put_number(at, (uint64_t)getpid());
    *at++ = '.';
    *put_number(at, attempt) = '\0';
}

/* Opens the first PID.N that does not exist. An image after exec has the same pid, and a process of
 * another PID namespace may have it. */
static int open_new(void)
{
    for (unsigned attempt = 0; attempt < 100000; attempt++) {
        name_file(attempt);
        int fd = open(process->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Allocates disk space for the window. A full disk is then an error here instead of a SIGBUS
 * later. */
static int reserve(int fd, uint64_t offset, size_t len)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && offset + len > limit.rlim_cur)
        return -1; /* posix_fallocate would raise SIGXFSZ */
    return posix_fallocate(fd, (off_t)offset, (off_t)len) == 0 ? 0 : -1;
}

static void *map_file(int fd, uint64_t offset, size_t len)
{
    if (reserve(fd, offset, len))
        return NULL;
    void *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    return memory == MAP_FAILED ? NULL : memory;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void put_header(struct raw_header *header)
{
    header->started_ns = process->serial = now_ns();
    header->pid = getpid();
    header->parent = getppid();
    strncpy(header->name, program_invocation_short_name, sizeof header->name - 1);
    __atomic_store_n(&header->magic, RAW_MAGIC, __ATOMIC_RELEASE);
}

static void stop(void)
{
    if (process->header)
        process->header->cut = 1;
    process->stopped = 1;
}

static void set_window(void *window, uint64_t offset, size_t len)
{
    process->window = window;
    process->window_off = offset;
    process->window_len = len;
    process->next = window;
    process->end = process->next + len / sizeof(struct raw_event);
}

static void open_stream(void)
{
    process->opened = 1;
    int fd = open_new();
    if (fd < 0) {
        stop();
        return;
    }
    struct raw_header *header = map_file(fd, 0, RAW_HEADER);
    void *window = header ? map_file(fd, RAW_HEADER, FIRST_WINDOW) : NULL;
    close(fd);
    if (header)
        put_header(header);
    process->header = header;
    if (window)
        set_window(window, RAW_HEADER, FIRST_WINDOW);
    else
        stop();
}

/* Opens the file again by name. The program might close a descriptor that stayed open, and then
 * reuse its number for another file. */
static void next_window(void)
{
    uint64_t offset = process->window_off + process->window_len;
    size_t len = process->window_len < LAST_WINDOW ? 2 * process->window_len : LAST_WINDOW;
    int fd = open(process->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    void *window = fd >= 0 ? map_file(fd, offset, len) : NULL;
    if (fd >= 0)
        close(fd);
    if (!window) {
        stop();
        return;
    }
    munmap(process->window, process->window_len);
    set_window(window, offset, len);
}

static uint32_t thread_number(void)
{
    if (thread.serial != process->serial) {
        thread.serial = process->serial;
        thread.number = process->threads++;
    }
    return thread.number;
}

void stream_put(enum raw_op op, unsigned align_log2, const void *address, uint64_t size,
                const void *moved)
{
    int saved = errno;
    if (!process->opened)
        open_stream();
    if (!process->stopped && process->next == process->end)
        next_window();
    if (!process->stopped) {
        struct raw_event *event = process->next++;
        event->thread = thread_number();
        event->address = (uint64_t)(uintptr_t)address;
        event->size = size;
        event->moved = (uint64_t)(uintptr_t)moved;
        __atomic_store_n(&event->op_align, (uint32_t)op | align_log2 << 8, __ATOMIC_RELEASE);
    }
    errno = saved;
}
