/* A process dies after each single instruction of the calls that make a heap, connect to one and
 * leave it.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>
#include <unistd.h>

#include "tests/crash/scene/scene.h"

enum {
    NEW_LEN = 4096,
    OBJECTS = 3,
    SLOTS_IN_MEMORY = 24,
    SLOTS_FIRST = 15 /* of a small heap with a file */,
    SLOT_LEN = 40
};

static char new_name[64]; /* of the heap that is being made */

static void nothing(struct scene *scene) { CHECK(scene->call != NULL); }

static void connect(struct scene *scene)
{
    scene->own = shmheap_connect(scene->name);
    CHECK(shmheap_valid(scene->own));
}

static void attach(struct scene *scene)
{
    CHECK_EQ(shmheap_attach_at(&scene->own, scene->memory, SCENE_MEMORY), 0);
}

static void connect_and_hold(struct scene *scene)
{
    connect(scene);
    for (unsigned i = 0; i < OBJECTS; i++)
        CHECK((scene->ptrs[i] = shmheap_alloc(scene->own, SCENE_OBJECT_LEN)) != NULL);
}

static void disconnect(struct scene *scene) { shmheap_disconnect(scene->own); }

/* A forked child takes a slot with its first change. */
static void first_change(struct scene *scene)
{
    CHECK(shmheap_alloc(scene->mem, SCENE_OBJECT_LEN) != NULL);
}

/* The dead process left a slot at most; it does not count as alive, and the next process gets a
 * slot and works. */
static void check_slots(struct scene *scene, unsigned stage)
{
    shmheap_stats stats = test_stat(scene->mem);
    CHECK_EQ(stats.processes, 1);
    CHECK_LE(stats.dead, 1);
    shmheap_memory_handle next = test_connect(scene->name);
    void *ptr = shmheap_alloc(next, SCENE_OBJECT_LEN);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(next, ptr), 0);
    CHECK_EQ(test_stat(scene->mem).processes, 2);
    shmheap_disconnect(next);
    CHECK_SOUND(scene->mem);
    CHECK(stage <= 1);
}

/* No slot is lost: all can be taken, also the dead process's, and then no more. */
static void check_all_slots(struct scene *scene, unsigned stage)
{
    shmheap_memory_handle others[SLOTS_IN_MEMORY];
    for (unsigned i = 1; i < SLOTS_IN_MEMORY; i++)
        CHECK_EQ(shmheap_attach_at(&others[i], scene->memory, SCENE_MEMORY), 0);
    CHECK_REFUSED(shmheap_attach_at(&others[0], scene->memory, SCENE_MEMORY) == -1, EAGAIN);
    CHECK_EQ(test_stat(scene->mem).slots, SLOTS_IN_MEMORY);
    for (unsigned i = 1; i < SLOTS_IN_MEMORY; i++)
        shmheap_disconnect(others[i]);
    CHECK_SOUND(scene->mem);
    CHECK(stage <= 1);
}

/* Of the survivor, beside the one that it has in every scene; the last scene's are closed with the
 * next. */
static shmheap_memory_handle crowd[SLOTS_FIRST];

static void fill_slots(struct scene *scene)
{
    for (unsigned i = 1; i < SLOTS_FIRST; i++) {
        if (shmheap_valid(crowd[i]))
            shmheap_disconnect(crowd[i]);
        crowd[i] = test_connect(scene->name);
    }
}

/* All are taken, some by departed processes. */
static void fill_slots_and_leave(struct scene *scene)
{
    fill_slots(scene);
    for (unsigned i = 1; i < SLOTS_FIRST; i += 4) {
        shmheap_disconnect(crowd[i]);
        crowd[i].heap = NULL;
    }
}

static unsigned crowd_count(void)
{
    unsigned count = 1;
    for (unsigned i = 1; i < SLOTS_FIRST; i++)
        count += shmheap_valid(crowd[i]);
    return count;
}

/* The file reaches to this offset, or to the end of that page: memory is reserved in whole
 * pages. */
static int reaches_just(uint64_t size, uint64_t off)
{
    return size >= off && size - off < (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The table is as long as it was or twice as long, its entries are those of live processes, and the
 * next process gets one and works. */
static void check_table(struct scene *scene, unsigned stage)
{
    struct stat status;
    shmheap_stats stats = test_stat(scene->mem);
    CHECK_EQ(fstat(shmheap_fd(scene->mem), &status), 0);
    uint64_t table_off = stats.segment_len - stats.len + stats.max_len,
             table_end = table_off + (SLOTS_FIRST + 1) * SLOT_LEN;
    CHECK(reaches_just((uint64_t)status.st_size, stats.segment_len) ||
          reaches_just((uint64_t)status.st_size, table_end));
    CHECK_EQ(stats.processes, crowd_count());
    CHECK_LE(stats.dead, 1);
    shmheap_memory_handle next[3];
    for (unsigned i = 0; i < 3; i++) {
        next[i] = test_connect(scene->name);
        void *ptr = shmheap_alloc(next[i], SCENE_OBJECT_LEN);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(next[i], ptr), 0);
    }
    CHECK_EQ(test_stat(scene->mem).processes, crowd_count() + 3);
    CHECK_SOUND(scene->mem);
    for (unsigned i = 0; i < 3; i++)
        shmheap_disconnect(next[i]);
    CHECK(stage <= 1);
}

static void create(struct scene *scene)
{
    scene->own = shmheap_create(new_name, NEW_LEN);
    CHECK(shmheap_valid(scene->own));
}

/* The new heap is whole, or a connecting process is told that it was not finished; in both cases
 * the name can be removed and used anew. */
static void check_created(struct scene *scene, unsigned stage)
{
    const shmheap_options options = {.timeout_ms = 1};
    shmheap_memory_handle mem;
    errno = 0;
    if (shmheap_open(&mem, new_name, &options) == 0) {
        test_check_empty(mem);
        shmheap_disconnect(mem);
    } else {
        CHECK(errno == ENOENT || errno == ETIMEDOUT);
    }
    if (errno != ENOENT)
        CHECK_EQ(shmheap_unlink(new_name), 0);
    mem = shmheap_create(new_name, NEW_LEN);
    CHECK(shmheap_valid(mem));
    shmheap_destroy(new_name, mem);
    CHECK(scene->call != NULL && stage <= 1);
}

static void unlink_new(struct scene *scene)
{
    shmheap_unlink(new_name);
    CHECK(scene->call != NULL);
}

static const struct scene_call calls[] = {
    {.text = "connect",
     .prepare = nothing,
     .operate = connect,
     .afterwards = check_slots,
     .named_heap = 1,
     .without_lock = 1},
    {.text = "attach_at, memory without a file",
     .prepare = nothing,
     .operate = attach,
     .afterwards = check_all_slots,
     .in_memory = 1,
     .without_lock = 1},
    {.text = "first change after fork",
     .prepare = nothing,
     .operate = first_change,
     .afterwards = check_slots,
     .named_heap = 1},
    {.text = "disconnect, holding nothing",
     .prepare = connect,
     .operate = disconnect,
     .afterwards = check_slots,
     .named_heap = 1,
     .without_lock = 1},
    {.text = "disconnect, holding three objects",
     .prepare = connect_and_hold,
     .operate = disconnect,
     .afterwards = check_slots,
     .named_heap = 1,
     .without_lock = 1},
    {.text = "first change after fork, in such memory",
     .prepare = nothing,
     .operate = first_change,
     .afterwards = check_all_slots,
     .in_memory = 1},
    {.text = "disconnect, from memory without a file",
     .prepare = attach,
     .operate = disconnect,
     .afterwards = check_all_slots,
     .in_memory = 1,
     .without_lock = 1},
    {.text = "connect, all slots taken",
     .build = fill_slots,
     .prepare = nothing,
     .operate = connect,
     .afterwards = check_table,
     .named_heap = 1},
    {.text = "connect, all slots taken, some left",
     .build = fill_slots_and_leave,
     .prepare = nothing,
     .operate = connect,
     .afterwards = check_table,
     .named_heap = 1},
    {.text = "create",
     .build = unlink_new,
     .prepare = nothing,
     .operate = create,
     .afterwards = check_created,
     .without_lock = 1},
};

static void coming_and_going_at_every_instruction(void)
{
    snprintf(new_name, sizeof new_name, "%s", test_name());
    scene_sweep(calls, sizeof calls / sizeof *calls);
}

static const struct test tests[] = {TEST(coming_and_going_at_every_instruction)};
TEST_MAIN(tests)
