/* Every process of a heap is killed in the midst of work, over and over: the heap opens again,
 * sound, with its kept names and all they hold.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "tests/support/test.h"

enum {
    ROUNDS = 60,
    WORKERS = 4,
    SLOTS = 64,
    LEN = 1 << 20,
    MAX_LEN = 32 << 20,
    CONST_LEN = 5000,
    NAMES = 16,
    MARK = 9
};

/* struct root lies in the heap, under a kept name: the handles of whole objects, taken out before
 * they are freed. */
struct root {
    uint64_t handles[WORKERS][SLOTS];
};

/* struct object lies in the heap. */
struct object {
    uint64_t len, mark, bytes[];
};

/* struct stage is shared by parent and workers. */
struct stage {
    const char *name;
    shmheap_options options;
    volatile uint64_t operations[WORKERS];
    unsigned round;
};

/* struct worker is private. */
struct worker {
    struct stage *stage;
    unsigned index;
};

static shmheap_memory_handle open_heap(const struct stage *stage, unsigned flags)
{
    shmheap_memory_handle mem;
    shmheap_options options = stage->options;
    options.flags |= flags;
    CHECK_EQ(shmheap_open(&mem, stage->name, &options), 0);
    return mem;
}

/* The first call of every process, whether the object is there or not: it makes the object or finds
 * it. */
static struct root *find_root(shmheap_memory_handle mem)
{
    struct root *root = shmheap_alloc_kept(mem, "root", sizeof *root);
    CHECK(root != NULL);
    return root;
}

static void publish(uint64_t *slot, uint64_t bits)
{
    __atomic_store_n(slot, bits, __ATOMIC_RELEASE);
}

static void change_slot(shmheap_memory_handle mem, uint64_t *slot, struct test_random *random)
{
    shmheap_object_handle handle = {*slot};
    if (handle.bits != 0) {
        void *object = shmheap_handle_to_ptr(mem, handle);
        CHECK(object != NULL);
        publish(slot, 0);
        CHECK_EQ(shmheap_try_free(mem, object), 0);
        return;
    }
    size_t len = test_random_below(random, 50) == 0 ? 40000 : test_random_below(random, 600);
    struct object *object = shmheap_alloc(mem, sizeof *object + len);
    CHECK(object != NULL);
    object->len = len;
    object->mark = test_random_next(random);
    test_fill(object->bytes, len, object->mark);
    publish(slot, shmheap_ptr_to_handle(mem, object).bits);
}

/* Names come, are kept and go, while all do the same with them. */
static void change_name(shmheap_memory_handle mem, struct test_random *random)
{
    char text[32];
    unsigned i = (unsigned)test_random_below(random, NAMES);
    snprintf(text, sizeof text, "passing %u", i);
    switch (test_random_below(random, 4)) {
        case 0:
            CHECK(shmheap_alloc_kept(mem, text, 100 + i) != NULL);
            break;
        case 1:
            CHECK(shmheap_name_remove(mem, text) >= 0 || errno == ENOENT);
            break;
        default: {
            void *object = shmheap_alloc_named(mem, text, 100 + i);
            CHECK(object != NULL);
            CHECK_EQ(shmheap_try_free(mem, object), 0);
        }
    }
}

static void work(void *context)
{
    const struct worker *worker = context;
    struct stage *stage = worker->stage;
    const unsigned index = worker->index;
    struct test_random random = test_random_begin(1 + index + (uint64_t)WORKERS * stage->round);
    shmheap_memory_handle mem = open_heap(stage, 0);
    struct root *root = find_root(mem);
    for (;;) {
        if (test_random_below(&random, 4) == 0)
            change_name(mem, &random);
        else
            change_slot(mem, &root->handles[index][test_random_below(&random, SLOTS)], &random);
        stage->operations[index]++;
    }
}

/* All work, and this one has done so much; then all are killed. */
static void work_and_be_killed(struct stage *stage, uint64_t operations)
{
    pid_t pids[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++)
        stage->operations[i] = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker worker = {stage, i};
        pids[i] = test_fork(work, &worker);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        while (stage->operations[i] < (i == stage->round % WORKERS ? operations : 1))
            sched_yield();
    for (unsigned i = 0; i < WORKERS; i++)
        CHECK_EQ(kill(pids[i], SIGKILL), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        test_wait(pids[i]);
}

static int check_name(const shmheap_name_info *info, void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    unsigned i;
    size_t len = 0;
    if (sscanf(info->name, "passing %u", &i) != 1)
        return 0;
    CHECK_EQ(info->len, 100 + i);
    CHECK(info->kept || info->users != 0);
    CHECK(shmheap_find(mem, info->name, &len) != NULL);
    CHECK_EQ(len, 100 + i);
    return 0;
}

static void check_constant(shmheap_memory_handle mem)
{
    size_t len = 0;
    const void *constant = shmheap_find(mem, "constant", &len);
    CHECK(constant != NULL && len == CONST_LEN && test_filled(constant, CONST_LEN, MARK));
}

/* How many objects the root holds; each is whole. */
static unsigned check_root(shmheap_memory_handle mem, const struct root *root)
{
    unsigned count = 0;
    for (unsigned i = 0; i < WORKERS * SLOTS; i++) {
        shmheap_object_handle handle = {root->handles[i / SLOTS][i % SLOTS]};
        const struct object *object = handle.bits != 0 ? shmheap_handle_to_ptr(mem, handle) : NULL;
        CHECK(handle.bits == 0 || object != NULL);
        if (object == NULL)
            continue;
        CHECK(test_filled(object->bytes, object->len, object->mark));
        count++;
    }
    return count;
}

/* The first process that connects when all others are dead. */
static unsigned check_heap(const struct stage *stage)
{
    shmheap_memory_handle mem = open_heap(stage, 0);
    CHECK_SOUND(mem);
    CHECK_EQ(test_stat(mem).processes, 1);
    size_t len = 0;
    const struct root *root = shmheap_find(mem, "root", &len);
    CHECK(root != NULL && len == sizeof *root);
    check_constant(mem);
    unsigned count = check_root(mem, root);
    CHECK_EQ(shmheap_names(mem, check_name, &mem), 0);
    CHECK(shmheap_reap(mem, 0) >= 0);
    CHECK_SOUND(mem);
    check_constant(mem);
    CHECK_EQ(check_root(mem, root), count);
    CHECK_EQ(shmheap_names(mem, check_name, &mem), 0);
    shmheap_disconnect(mem);
    return count;
}

static void make_heap(const struct stage *stage)
{
    shmheap_memory_handle mem = open_heap(stage, SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE);
    struct root *root = find_root(mem);
    memset(root, 0, sizeof *root);
    void *constant = shmheap_alloc_kept(mem, "constant", CONST_LEN);
    CHECK(constant != NULL);
    test_fill(constant, CONST_LEN, MARK);
    CHECK_EQ(shmheap_try_free(mem, constant), 0);
    shmheap_disconnect(mem);
}

static void kill_all(const char *name, unsigned flags)
{
    struct stage *stage = test_shared(sizeof *stage);
    struct test_random random = test_random_begin(flags);
    unsigned objects = 0;
    stage->name = name;
    stage->options.len = LEN;
    stage->options.max_len = MAX_LEN;
    stage->options.flags = flags;
    make_heap(stage);
    for (size_t rounds = test_rounds(ROUNDS); stage->round < rounds; stage->round++) {
        work_and_be_killed(stage, 1 + test_random_below(&random, 2000));
        objects += check_heap(stage);
    }
    CHECK_LE(1, objects);
    shmheap_memory_handle mem = open_heap(stage, 0);
    printf("  %u rounds, %u objects found whole, %llu deaths in the lock\n", stage->round, objects,
           (unsigned long long)test_stat(mem).recoveries);
    shmheap_destroy(name, mem);
    test_unshare(stage, sizeof *stage);
}

static void of_a_heap_in_a_file(void) { kill_all(test_path(), SHMHEAP_FILE); }
static void of_a_heap_in_a_file_with_caches(void)
{
    kill_all(test_path(), SHMHEAP_FILE | SHMHEAP_CACHED);
}
static void of_a_heap_in_shared_memory(void) { kill_all(test_name(), 0); }
static void of_a_heap_in_shared_memory_with_caches(void) { kill_all(test_name(), SHMHEAP_CACHED); }

static const struct test tests[] = {
    TEST(of_a_heap_in_a_file),
    TEST(of_a_heap_in_a_file_with_caches),
    TEST(of_a_heap_in_shared_memory),
    TEST(of_a_heap_in_shared_memory_with_caches),
};
TEST_MAIN(tests)
