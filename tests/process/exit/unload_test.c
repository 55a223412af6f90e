/* A plug-in that brought the shared library along is unloaded (dlclose) while the process goes on.
 * First argument: the library.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1 << 20, OBJECTS = 3, CALLS = 1000, THREADS = 4, UNLOADS = 200 };

static const char *library_path;

/* struct plugin is the library as it was loaded, and its connection. */
struct plugin {
    void *library;
    int (*open)(shmheap_memory_handle *out, const char *name, const shmheap_options *options);
    void *(*alloc)(shmheap_memory_handle mem, size_t sz);
    void (*free)(shmheap_memory_handle mem, void *ptr);
    void (*disconnect)(shmheap_memory_handle mem);
    shmheap_memory_handle mem;
    struct test_barrier step;
};

static void load(struct plugin *plugin, const char *name, unsigned flags)
{
    const shmheap_options options = {.flags = flags};
    CHECK((plugin->library = dlopen(library_path, RTLD_NOW | RTLD_LOCAL)) != NULL);
    *(void **)(void *)&plugin->open = dlsym(plugin->library, "shmheap_open");
    *(void **)(void *)&plugin->alloc = dlsym(plugin->library, "shmheap_alloc");
    *(void **)(void *)&plugin->free = dlsym(plugin->library, "shmheap_free");
    *(void **)(void *)&plugin->disconnect = dlsym(plugin->library, "shmheap_disconnect");
    CHECK(plugin->open != shmheap_open); /* that of this program is another one */
    CHECK_EQ(plugin->open(&plugin->mem, name, &options), 0);
}

static void *use_and_wait(void *context)
{
    struct plugin *plugin = context;
    for (unsigned i = 0; i < CALLS; i++)
        plugin->free(plugin->mem, plugin->alloc(plugin->mem, 100));
    test_barrier_wait(&plugin->step);
    test_barrier_wait(&plugin->step);
    return NULL;
}

/* Without caches the library is gone then. A thread that has a cache calls the library when it
 * ends, so the library stays. */
static void unload(const struct plugin *plugin, int stays)
{
    CHECK_EQ(dlclose(plugin->library), 0);
    void *again = dlopen(library_path, RTLD_NOW | RTLD_NOLOAD);
    CHECK((again != NULL) == stays);
    if (again != NULL)
        CHECK_EQ(dlclose(again), 0);
}

/* What this program's own library, as another process's would, sees of the heap. */
static void check_kept(const char *name, uint64_t objects)
{
    shmheap_memory_handle mem = test_connect(name);
    CHECK_EQ(test_stat(mem).dead, 0);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_LE(objects, test_stat(mem).used_blocks);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

struct scene {
    const char *name;
    unsigned flags;
    int disconnects;
};

static void use_another_heap(void *context)
{
    shmheap_memory_handle mem = test_anonymous(LEN, 0, 0);
    CHECK(context == NULL && shmheap_alloc(mem, 100) != NULL);
    shmheap_disconnect(mem);
}

static void unload_while_a_thread_lives(void *context)
{
    const struct scene *scene = context;
    const int cached = (scene->flags & SHMHEAP_CACHED) != 0;
    struct plugin plugin;
    pthread_t thread;
    load(&plugin, scene->name, scene->flags);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK(plugin.alloc(plugin.mem, 1000) != NULL);
    test_barrier_begin(&plugin.step, 2);
    CHECK_EQ(pthread_create(&thread, NULL, use_and_wait, &plugin), 0);
    test_barrier_wait(&plugin.step);
    if (scene->disconnects)
        plugin.disconnect(plugin.mem);
    unload(&plugin, cached);
    check_kept(scene->name, OBJECTS);
    test_barrier_wait(&plugin.step);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    test_in_child(use_another_heap, NULL); /* the library's handlers of fork() are gone, or work */
    if (!cached)
        return;
    if (!scene->disconnects) /* its connection is as it was */
        CHECK(plugin.alloc(plugin.mem, 1000) != NULL);
    exit(0); /* in order: the library is still there */
}

static void check_unloading(unsigned flags, int disconnects)
{
    struct scene scene = {test_name(), flags, disconnects};
    shmheap_memory_handle mem = shmheap_create(scene.name, LEN);
    CHECK(shmheap_valid(mem));
    test_in_child(unload_while_a_thread_lives, &scene);
    check_kept(scene.name, OBJECTS);
    CHECK_EQ(test_cached(mem).blocks, 0);
    CHECK_EQ(test_stat(mem).used_blocks,
             OBJECTS + ((flags & SHMHEAP_CACHED) != 0 && !disconnects ? 1 : 0));
    CHECK_EQ(test_stat(mem).processes, 1);
    shmheap_destroy(scene.name, mem);
}

static void after_disconnecting(void)
{
    check_unloading(0, 1);
    check_unloading(SHMHEAP_CACHED, 1);
}

static void without_disconnecting(void)
{
    check_unloading(0, 0);
    check_unloading(SHMHEAP_CACHED, 0);
}

/* Threads end while the plug-in is unloaded. */
static void unload_beside_ends(void *context)
{
    struct plugin plugin;
    pthread_t threads[THREADS];
    load(&plugin, context, SHMHEAP_CACHED);
    test_barrier_begin(&plugin.step, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_and_wait, &plugin), 0);
    test_barrier_wait(&plugin.step);
    test_barrier_wait(&plugin.step);
    CHECK_EQ(dlclose(plugin.library), 0);
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    exit(0);
}

static void while_threads_end(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, LEN);
    for (unsigned round = 0; round < UNLOADS; round++)
        test_in_child(unload_beside_ends, (void *)(uintptr_t)name);
    check_kept(name, 0);
    shmheap_destroy(name, mem);
}

static const struct test tests[] = {TEST(after_disconnecting), TEST(without_disconnecting),
                                    TEST(while_threads_end)};

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    library_path = argv[1];
    return test_main(tests, sizeof tests / sizeof *tests, argc - 1, argv + 1);
}
