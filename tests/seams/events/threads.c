/* Threads that end in unusual ways, a library that is unloaded, a name that changes hands.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/seams/events/events.h"

/* Calls with a cancellation pending, each in a thread of its own. */

static void call_alloc(void) { shmheap_free(mem, shmheap_alloc(mem, 8)); }
static void call_named(void)
{
    void *ptr = shmheap_alloc_named(mem, "cancelled", 8);
    if (ptr != NULL)
        shmheap_free(mem, ptr);
}
static void call_reap(void) { shmheap_reap(mem, 0); }
static void call_check(void) { check_sound("while a cancellation is pending"); }
static int any_process(const shmheap_process_info *process, void *context)
{
    (void)process;
    (void)context;
    return 0;
}
static void call_processes(void) { shmheap_processes(mem, any_process, NULL); }
static void call_open(void)
{
    shmheap_memory_handle other;
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};
    EXPECT(shmheap_open(&other, NULL, &options) == 0,
           "another heap is expected to be made (errno %d)", errno);
    shmheap_disconnect(other);
}
static void call_connect(void)
{
    shmheap_memory_handle other;
    shmheap_options options;
    options_fill(&options, 0);
    if (row_is(MEMORY, MEMORY_SHARED))
        shmheap_attach_at(&other, stage->place.memory, stage->place.memory_len);
    else if (!row_named() || shmheap_open(&other, stage->place.name, &options) != 0)
        return;
    shmheap_disconnect(other);
}

static const struct {
    const char *words;
    void (*call)(void);
} calls[] = {{"shmheap_alloc and shmheap_free", call_alloc},
             {"shmheap_alloc_named", call_named},
             {"shmheap_reap", call_reap},
             {"shmheap_check", call_check},
             {"shmheap_processes", call_processes},
             {"making a heap", call_open},
             {"connecting", call_connect}};
enum { CALLS = sizeof calls / sizeof *calls };

static volatile int returned;
static void *call_cancelled(void *index)
{
    pthread_cancel(pthread_self());
    calls[(uintptr_t)index].call();
    returned = 1;
    return NULL;
}

static long act_cancel(uint64_t unused)
{
    pthread_t thread;
    (void)unused;
    for (uintptr_t i = 0; i < CALLS; i++) {
        returned = 0;
        EXPECT(pthread_create(&thread, NULL, call_cancelled, (void *)i) == 0,
               "a thread is expected to be made");
        pthread_join(thread, NULL);
        EXPECT(
            returned,
            "%s is expected to return although a cancellation is pending; the thread ended inside",
            calls[i].words);
        calls[i].call();
    }
    me()->has_slot = 1;
    return 0;
}

/* The subject; and a child whose first change is made with a cancellation pending. */
void event_cancel(void)
{
    unsigned child = helper_new();
    ask(stage->subject, act_cancel, 0);
    ask(stage->subject, act_fork, child);
    peer_await_start(child);
    ask(child, act_cancel, 0);
    ask(child, act_fill, 2);
    ask(stage->subject, act_churn, 50);
}

/* The main thread ends, and another serves from then on. */
static int main_thread_is_gone(void)
{
    char path[60], text[300];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = 0;
    char *state = strrchr(text, ')');
    return got <= 0 || (state != NULL && state[2] == 'Z');
}

static void *serve_on(void *unused)
{
    (void)unused;
    while (!main_thread_is_gone())
        sched_yield();
    peer_resume();
}

static long act_main_gone(uint64_t unused)
{
    pthread_t thread;
    (void)unused;
    EXPECT(pthread_create(&thread, NULL, serve_on, NULL) == 0, "a thread is expected to be made");
    pthread_exit(NULL);
}

void event_main_gone(void)
{
    ask(stage->subject, act_main_gone, 0);
    ask(stage->subject, act_fill, 3);
    ask(stage->subject, act_churn, 50);
}

/* The shared library comes, is used by a thread with a cache, and goes before the thread. */
static struct {
    int (*open)(shmheap_memory_handle *, const char *, const shmheap_options *);
    void *(*alloc)(shmheap_memory_handle, size_t);
    void (*free)(shmheap_memory_handle, void *);
    void (*destroy)(const char *, shmheap_memory_handle);
    shmheap_memory_handle mem;
    pthread_barrier_t used, unloaded;
} plugin;

static void symbol(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);
    EXPECT(found != NULL, "the shared library is expected to have %s", name);
    memcpy(function, &found, sizeof found);
}

static void *use_plugin(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < 100; i++)
        plugin.free(plugin.mem, plugin.alloc(plugin.mem, 100));
    pthread_barrier_wait(&plugin.used);
    pthread_barrier_wait(&plugin.unloaded);
    return NULL;
}

static long act_dlclose(uint64_t unused)
{
    shmheap_options options;
    pthread_t thread;
    (void)unused;
    void *library = dlopen(seams_library, RTLD_NOW | RTLD_LOCAL);
    EXPECT(library != NULL, "the shared library is expected to load: %s", dlerror());
    symbol(library, "shmheap_open", &plugin.open);
    symbol(library, "shmheap_alloc", &plugin.alloc);
    symbol(library, "shmheap_free", &plugin.free);
    symbol(library, "shmheap_destroy", &plugin.destroy);
    options_fill(&options, 1);
    options.flags |= SHMHEAP_CACHED;
    EXPECT(plugin.open(&plugin.mem, stage->place.other, &options) == 0,
           "the library is expected to make a heap; errno "
           "%d (%s)",
           errno, strerror(errno));
    pthread_barrier_init(&plugin.used, NULL, 2);
    pthread_barrier_init(&plugin.unloaded, NULL, 2);
    EXPECT(pthread_create(&thread, NULL, use_plugin, NULL) == 0, "a thread is expected to be made");
    pthread_barrier_wait(&plugin.used);
    plugin.destroy(stage->place.other, plugin.mem);
    dlclose(library);
    pthread_barrier_wait(&plugin.unloaded);
    pthread_join(thread, NULL);
    return 0;
}

void event_dlclose(void)
{
    unsigned host = helper_new();
    if (seams_library == NULL)
        seams_skip(EVENT, "the shared library is not given (--library)");
    peer_start(host);
    ask(host, act_dlclose, 0);
}

/* The name goes and is made anew for another heap; then a user of the old one destroys it by
 * name. */

static uint64_t heap_id(shmheap_memory_handle of)
{
    shmheap_stats stats;
    EXPECT(shmheap_stat(of, &stats) == 0, "shmheap_stat is expected to succeed (errno %d)", errno);
    return stats.id;
}

static void name_remove(void)
{
    int result =
        row_is(MEMORY, MEMORY_SHM) ? shm_unlink(stage->place.name) : unlink(stage->place.name);
    EXPECT(result == 0, "the name is expected to be removed: %s", strerror(errno));
}

static long act_make_anew(uint64_t unused)
{
    shmheap_options options;
    (void)unused;
    options_fill(&options, 1);
    options.flags |= SHMHEAP_EXCLUSIVE;
    me()->fds_before = descriptors_open();
    int result = shmheap_open(&mem, stage->place.name, &options);
    EXPECT(result == 0, "a heap is expected to be made under a name that was removed; errno %d",
           errno);
    return (long)(heap_id(mem) >> 1);
}

static long act_destroy(uint64_t unused)
{
    (void)unused;
    shmheap_destroy(stage->place.name, mem);
    place_check_process();
    return 0;
}

static long act_name_leads_to(uint64_t id)
{
    shmheap_memory_handle other;
    shmheap_options options;
    options_fill(&options, 0);
    EXPECT(shmheap_open(&other, stage->place.name, &options) == 0,
           "shmheap_destroy of an old heap is expected to leave "
           "alone the name of a new one; connecting fails with errno %d (%s)",
           errno, strerror(errno));
    EXPECT(heap_id(other) >> 1 == id, "the name is expected to lead to the new heap");
    shmheap_disconnect(other);
    return 0;
}

void event_renamed(void)
{
    unsigned old = newcomer(), anew = helper_new();
    ask(stage->subject, act_churn, 20);
    name_remove();
    stage->nameless = 1;
    peer_start(anew);
    long id = ask(anew, act_make_anew, 0);
    ask(old, act_destroy, 0);
    stage->peers[old].end = END_LEFT;
    ask(stage->witness, act_name_leads_to, (uint64_t)id);
    ask(anew, act_destroy, 0);
}
