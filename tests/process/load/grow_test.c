/* A heap grows from 64 KiB to 1 GiB under four processes, and every pointer stays good.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum { PROCESSES = 4, OBJECTS_MAX = 20000 };

/* The most to which the heap grows: 1 GiB, a tenth under sanitizers. */
static size_t most(void) { return test_rounds((size_t)1 << 30); }

/* One object, as its process remembers it and as all others may find it. */
struct object {
    shmheap_object_handle handle;
    void *ptr; /* in the process that made it */
    uint64_t len;
};

struct grower {
    uint64_t count, bytes;
    struct object objects[OBJECTS_MAX];
};

struct shared {
    struct test_barrier barrier;
    shmheap_memory_handle mem;
    unsigned next;
    struct grower growers[PROCESSES];
};

static uint64_t mark_of(unsigned grower, uint64_t object)
{
    return (uint64_t)grower << 32 | object;
}

/* Objects of 1 to 200 KiB until nothing fits; some are freed or resized, so that not all growth is
 * at the top block. */
static void fill_up(struct shared *shared, unsigned self)
{
    struct grower *grower = &shared->growers[self];
    struct test_random random = test_random_begin(self);
    for (;;) {
        struct object object = {{0}, NULL, 1024 + test_random_below(&random, 200 << 10)};
        if (test_random_below(&random, 16) == 0)
            shmheap_free(shared->mem, shmheap_alloc(shared->mem, object.len / 2));
        errno = 0;
        object.ptr = shmheap_alloc(shared->mem, object.len);
        if (object.ptr == NULL)
            break;
        test_fill(object.ptr, object.len, mark_of(self, grower->count));
        object.handle = shmheap_ptr_to_handle(shared->mem, object.ptr);
        CHECK(object.handle.bits != 0 && grower->count < OBJECTS_MAX);
        grower->objects[grower->count++] = object;
        grower->bytes += object.len;
        /* An old pointer, again and again. */
        uint64_t old = test_random_below(&random, grower->count);
        CHECK(test_filled(grower->objects[old].ptr, 64, mark_of(self, old)));
    }
    CHECK_EQ(errno, ENOMEM);
}

static void check_all(struct shared *shared, unsigned self)
{
    for (unsigned i = 0; i < PROCESSES; i++)
        for (uint64_t k = 0; k < shared->growers[i].count; k++) {
            const struct object *object = &shared->growers[i].objects[k];
            void *ptr = shmheap_handle_to_ptr(shared->mem, object->handle);
            CHECK(ptr != NULL && test_filled(ptr, object->len, mark_of(i, k)));
            if (i == self)
                CHECK_PTR(ptr, object->ptr);
        }
}

static void free_own(struct shared *shared, unsigned self)
{
    const struct grower *grower = &shared->growers[self];
    for (uint64_t i = 0; i < grower->count; i++)
        CHECK_EQ(shmheap_try_free(shared->mem, grower->objects[i].ptr), 0);
}

static void grower_runs(void *context)
{
    struct shared *shared = context;
    unsigned self = __atomic_fetch_add(&shared->next, 1, __ATOMIC_RELAXED);
    test_barrier_wait(&shared->barrier);
    fill_up(shared, self);
    test_barrier_wait(&shared->barrier);
    check_all(shared, self);
    test_barrier_wait(&shared->barrier);
    test_barrier_wait(&shared->barrier);
    free_own(shared, self);
}

static void check_full(struct shared *shared, char *first)
{
    uint64_t bytes = 0, objects = 0;
    for (unsigned i = 0; i < PROCESSES; i++) {
        CHECK(shared->growers[i].count > 0);
        bytes += shared->growers[i].bytes;
        objects += shared->growers[i].count;
    }
    shmheap_stats stats = test_stat(shared->mem);
    CHECK_EQ(stats.len, most());
    CHECK_EQ(stats.used_blocks, objects + 1);
    CHECK(bytes > most() / 100 * 98);
    CHECK(stats.grows > 5);
    CHECK(test_filled(first, 1000, 99));
    CHECK_SOUND(shared->mem);
    printf("  %llu objects, %llu of %zu bytes, %llu growths\n", (unsigned long long)objects,
           (unsigned long long)bytes, most(), (unsigned long long)stats.grows);
}

static void from_64_kib_to_1_gib(void)
{
    struct shared *shared = test_shared(sizeof *shared);
    pid_t pids[PROCESSES];
    shared->mem = test_anonymous(65536, most(), 0);
    test_barrier_begin(&shared->barrier, PROCESSES + 1);
    char *first = shmheap_alloc(shared->mem, 1000);
    test_fill(first, 1000, 99);
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = test_fork(grower_runs, shared);
    for (unsigned i = 0; i < 3; i++)
        test_barrier_wait(&shared->barrier);
    check_full(shared, first);
    test_barrier_wait(&shared->barrier);
    for (unsigned i = 0; i < PROCESSES; i++)
        test_join(pids[i]);
    CHECK(test_filled(first, 1000, 99));
    shmheap_free(shared->mem, first);
    test_check_empty(shared->mem);
    shmheap_disconnect(shared->mem);
    test_unshare(shared, sizeof *shared);
}

static const struct test tests[] = {TEST(from_64_kib_to_1_gib)};
TEST_MAIN(tests)
