/* process.c: the heap of this process.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "process.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "settings.h"

enum { MOST_MIRRORS = 16 };

static struct process_page first_page; /* until the wiped page is mapped */
struct process_page *process_page = &first_page;
shmheap_memory_handle process_heap;
struct mirror *process_mirror;
__thread int process_inside __attribute__((tls_model("initial-exec")));

static struct mirror mirrors[MOST_MIRRORS];
static size_t mirror_count;
static int image_has_begun; /* in a forked child it is 1 already */
static int made;            /* this process made the heap, and removes it */
static struct stat standard_error;

static struct {
    int known;
    long long runner;
    unsigned flags;
    unsigned long long len;
    char name[PATH_MAX];
} settings;

static char heap_name[PATH_MAX + RUN_PID_ROOM]; /* of this process's heap */

struct mirror *process_mirror_of(const void *object)
{
    for (size_t i = mirror_count; i-- > 0;)
        if (mirror_has(&mirrors[i], object))
            return &mirrors[i];
    return NULL;
}

const char *process_heap_name(void)
{
    return heap_name + (settings.flags & RUN_FILE ? 0 : 1); /* without the leading '/' */
}

void process_say(const char *format, ...)
{
    char text[512];
    struct stat now;
    if (fstat(STDERR_FILENO, &now) || now.st_dev != standard_error.st_dev ||
        now.st_ino != standard_error.st_ino)
        return;
    va_list arguments;
    va_start(arguments, format);
    int len = snprintf(text, sizeof text - 1, "shmheap run: ");
    len += vsnprintf(text + len, sizeof text - 1 - (size_t)len, format, arguments);
    va_end(arguments);
    len = len < (int)sizeof text - 1 ? len : (int)sizeof text - 2;
    text[len] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)len + 1);
    (void)ignored;
}

/* Before Linux 4.14 the kernel wipes no page, and only this handler notices a child. */
static void forked(void) { memset(process_page, 0, sizeof *process_page); }

static void image_begin(void)
{
    struct process_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || madvise(page, sizeof *page, MADV_WIPEONFORK))
        pthread_atfork(NULL, NULL, forked);
    if (page != MAP_FAILED)
        __atomic_store_n(&process_page, page, __ATOMIC_RELEASE);
}

static void settings_read(void)
{
    const char *text = getenv(RUN_VARIABLE);
    int at = 0;
    fstat(STDERR_FILENO, &standard_error);
    if (!text ||
        sscanf(text, "%lld %u %llu %n", &settings.runner, &settings.flags, &settings.len, &at) <
            3 ||
        text[at] != '/' || strlen(text + at) >= PATH_MAX)
        return;
    strcpy(settings.name, text + at);
    settings.known = 1;
}

/* Opens the heap that `shmheap run` made. If this process has called exec, the heap has the objects
 * of the image before. */
static int heap_join(void)
{
    const shmheap_options options = {
        .flags = (settings.flags & RUN_CACHED ? (unsigned)SHMHEAP_CACHED : 0u) |
                 (settings.flags & RUN_FILE ? (unsigned)SHMHEAP_FILE : 0u)};
    strcpy(heap_name, settings.name);
    if (shmheap_open(&process_heap, heap_name, &options))
        return -1;
    shmheap_reap(process_heap, SHMHEAP_REAP_SHARED);
    return 0;
}

/* Makes NAME.PID. SHMHEAP_TAKE_OVER: an image of this process before exec may have made it. */
static int heap_make(void)
{
    shmheap_options options = run_options(settings.flags, settings.len);
    options.flags |= SHMHEAP_TAKE_OVER;
    snprintf(heap_name, sizeof heap_name, "%s.%ld", settings.name, (long)getpid());
    if (shmheap_open(&process_heap, heap_name, &options))
        return -1;
    made = 1;
    return 0;
}

/* Keeps errno. */
static void heap_leave(void)
{
    int error = errno;
    shmheap_disconnect(process_heap);
    if (made)
        shmheap_unlink(heap_name);
    made = 0;
    errno = error;
}

static void heap_open(int is_child)
{
    int is_program = !is_child && getppid() == settings.runner;
    if (!is_program && !(settings.flags & RUN_CHILDREN))
        return;
    if (mirror_count == MOST_MIRRORS) {
        process_say(
            "process %ld has forked ancestors with %d heaps; it uses the C library's malloc",
            (long)getpid(), MOST_MIRRORS);
        return;
    }
    if ((is_program ? heap_join() : heap_make()) == 0) {
        if (mirror_map(&mirrors[mirror_count], process_heap) == 0) {
            process_mirror = &mirrors[mirror_count++];
            return;
        }
        heap_leave();
    }
    process_say("cannot open the heap '%s': %s; process %ld uses the C library's malloc",
                process_heap_name(), strerror(errno), (long)getpid());
}

/* The objects of the parent stay where they are, in the child's copy. The child needs the parent's
 * heap no longer, and ends its claim on what lies there. */
static void child_begin(void)
{
    if (process_mirror)
        shmheap_disconnect(process_heap);
    process_mirror = NULL;
    made = 0;
}

static void process_open(void)
{
    int is_child = image_has_begun;
    image_has_begun = 1;
    if (is_child)
        child_begin();
    else
        settings_read();
    if (settings.known)
        heap_open(is_child);
}

void process_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int saved = errno;
    if (!environ)
        return; /* the dynamic linker allocates before the C library sets environ */
    process_inside = 1;
    pthread_once(&once, image_begin);
    struct process_page *page = process_page;
    pthread_mutex_lock(&page->lock);
    if (!page->begun) {
        process_open();
        __atomic_store_n(&page->begun, 1, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&page->lock);
    process_inside = 0;
    errno = saved;
}

/* A program that allocates nothing has a heap, too. */
__attribute__((constructor)) static void image_start(void) { process_is_on(); }

__attribute__((destructor)) static void image_end(void)
{
    if (made && process_page->begun && !(settings.flags & RUN_KEEP))
        shmheap_unlink(heap_name);
}
