/* The shared library is unloaded (dlclose) while the process goes on: a plug-in brought it along.
 * First argument: the library.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { LEN = 1 << 20, OBJECTS = 3, CALLS = 1000 };

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

static void load(struct plugin *plugin, const char *name)
{
    const shmheap_options options = {.flags = SHMHEAP_CACHED};
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

static void unload(const struct plugin *plugin)
{
    CHECK_EQ(dlclose(plugin->library), 0);
    CHECK(dlopen(library_path, RTLD_NOW | RTLD_NOLOAD) == NULL);
}

/* What this program's own library, as another process's would, sees of the heap. */
static void check_kept(const char *name, uint64_t objects)
{
    shmheap_memory_handle mem = test_connect(name);
    CHECK_EQ(test_stat(mem).dead, 0);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_EQ(test_cached(mem).blocks, 0);
    CHECK_LE(objects, test_stat(mem).used_blocks);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

struct scene {
    const char *name;
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
    struct plugin plugin;
    pthread_t thread;
    load(&plugin, scene->name);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK(plugin.alloc(plugin.mem, 1000) != NULL);
    test_barrier_begin(&plugin.step, 2);
    CHECK_EQ(pthread_create(&thread, NULL, use_and_wait, &plugin), 0);
    test_barrier_wait(&plugin.step);
    if (scene->disconnects)
        plugin.disconnect(plugin.mem);
    unload(&plugin);
    check_kept(scene->name, OBJECTS);
    test_barrier_wait(&plugin.step);
    CHECK_EQ(pthread_join(thread, NULL), 0); /* the thread ends, and the library is not there */
    test_in_child(use_another_heap, NULL);   /* nor is it when the process forks */
    check_kept(scene->name, OBJECTS);
}

static void check_unloading(int disconnects)
{
    struct scene scene = {test_name(), disconnects};
    shmheap_memory_handle mem = shmheap_create(scene.name, LEN);
    CHECK(shmheap_valid(mem));
    test_in_child(unload_while_a_thread_lives, &scene);
    check_kept(scene.name, OBJECTS);
    CHECK_EQ(test_stat(mem).used_blocks, OBJECTS);
    CHECK_EQ(test_stat(mem).processes, 1);
    shmheap_destroy(scene.name, mem);
}

static void after_disconnecting(void) { check_unloading(1); }
static void without_disconnecting(void) { check_unloading(0); }

static const struct test tests[] = {TEST(after_disconnecting), TEST(without_disconnecting)};

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    library_path = argv[1];
    return test_main(tests, sizeof tests / sizeof *tests, argc - 1, argv + 1);
}
