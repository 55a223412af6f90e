/* shmheap_alloc_many and shmheap_free_many do what as many single calls do: every placement, figure
 * and refusal is that of a twin heap that is served one by one.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

enum {
    OPERATIONS = 30000,     /* for each alignment and processor */
    HEAP_OPERATIONS = 1500, /* then the next heaps */
    COMPARED_EVERY = 50,    /* all blocks of both heaps */
    OBJECTS_MAX = 3000,
    COUNT_MAX = 200
};

/* The same object in both heaps. */
struct object {
    char *many, *single;
    size_t len;
    uint64_t mark;
};

/* struct twins: two heaps of the same size, and what lives in both. */
struct twins {
    shmheap_memory_handle many, single;
    struct test_random random;
    size_t alignment;
    struct object objects[OBJECTS_MAX];
    size_t count;
    uint64_t marks, batches, objects_made, short_batches, frees, refused, grown;
};

static void check_figures_same(const struct twins *twins)
{
    shmheap_stats a = test_stat(twins->many), b = test_stat(twins->single);
    CHECK_EQ(a.len, b.len);
    CHECK_EQ(a.used_blocks, b.used_blocks);
    CHECK_EQ(a.used_bytes, b.used_bytes);
    CHECK_EQ(a.free_blocks, b.free_blocks);
    CHECK_EQ(a.largest_free, b.largest_free);
    CHECK_EQ(a.high_water_bytes, b.high_water_bytes);
    CHECK_EQ(a.allocs, b.allocs);
    CHECK_EQ(a.frees, b.frees);
    CHECK_EQ(a.failed_allocs, b.failed_allocs);
    CHECK_EQ(a.grows, b.grows);
}

static void check_blocks_same(const struct twins *twins)
{
    struct test_blocks a = test_blocks_take(twins->many), b = test_blocks_take(twins->single);
    CHECK(test_blocks_same(&a, &b));
    test_blocks_drop(&a);
    test_blocks_drop(&b);
    CHECK_SOUND(twins->many);
}

static size_t choose_len(struct test_random *random)
{
    uint64_t choice = test_random_below(random, 20);
    if (choice == 0)
        return SIZE_MAX - test_random_below(random, 40);
    if (choice == 1)
        return test_random_below(random, 60000);
    return test_random_below(random, choice < 12 ? 100 : 1500);
}

/* What the calls one by one give: how many, and *error of the first that fails. */
static size_t alloc_singly(struct twins *twins, size_t len, size_t count, char **ptrs, int *error)
{
    *error = 0;
    for (size_t i = 0; i < count; i++) {
        errno = 0;
        ptrs[i] = shmheap_alloc(twins->single, len);
        if (ptrs[i] == NULL) {
            *error = errno;
            return i;
        }
    }
    return count;
}

static void add_object(struct twins *twins, char *many, char *single, size_t len)
{
    struct object *object = &twins->objects[twins->count++];
    CHECK(many != NULL && (uintptr_t)many % twins->alignment == 0);
    CHECK_EQ(test_offset(twins->many, many), test_offset(twins->single, single));
    CHECK(shmheap_usable_size(twins->many, many) == shmheap_usable_size(twins->single, single));
    *object = (struct object){many, single, len, twins->marks++};
    test_fill(many, len, object->mark);
}

static void step_alloc(struct twins *twins)
{
    char *many[COUNT_MAX], *single[COUNT_MAX];
    size_t len = choose_len(&twins->random),
           count = (size_t)test_random_below(&twins->random, COUNT_MAX);
    int error;
    if (count > OBJECTS_MAX - twins->count)
        count = OBJECTS_MAX - twins->count;
    size_t expected = alloc_singly(twins, len, count, single, &error);
    errno = 0;
    size_t got = shmheap_alloc_many(twins->many, len, count, (void **)many);
    CHECK_EQ(errno, error);
    CHECK_EQ(got, expected);
    for (size_t i = 0; i < got; i++)
        add_object(twins, many[i], single[i], len);
    twins->batches++;
    twins->objects_made += got;
    twins->short_batches += got < count;
}

/* A list to be freed. Its entries are objects, NULL, and what is no object (any more). */
struct list {
    char *many[COUNT_MAX], *single[COUNT_MAX];
    size_t count;
};

static void add_entry(struct list *list, char *many, char *single)
{
    list->many[list->count] = many;
    list->single[list->count++] = single;
}

/* One of the objects, checked, which is none from then on. */
static void add_live(struct twins *twins, struct list *list)
{
    struct object *object = &twins->objects[test_random_below(&twins->random, twins->count)];
    CHECK(test_filled(object->many, object->len, object->mark));
    add_entry(list, object->many, object->single);
    *object = twins->objects[--twins->count];
}

/* Of the same place in both heaps, but for what lies in neither. */
static void add_wrong(struct twins *twins, struct list *list)
{
    static char foreign[16];
    size_t at = list->count > 0 ? (size_t)test_random_below(&twins->random, list->count) : 0;
    uint64_t offset = test_random_below(&twins->random, 1 << 20);
    switch (test_random_below(&twins->random, 5)) {
        case 0:
            add_entry(list, NULL, NULL);
            break;
        case 1:
            add_entry(list, foreign, foreign);
            break;
        case 2: /* twice in one list, or after it was freed before */
            if (list->count > 0)
                add_entry(list, list->many[at], list->single[at]);
            break;
        case 3:
            if (list->count > 0 && list->many[at] != NULL && (uintptr_t)list->many[at] % 8 == 0)
                add_entry(list, list->many[at] + 4, list->single[at] + 4);
            break;
        default: /* 4 modulo 8, as no object is */
            add_entry(list, (char *)shmheap_underlying(twins->many) + offset / 8 * 8 + 4,
                      (char *)shmheap_underlying(twins->single) + offset / 8 * 8 + 4);
    }
}

static size_t free_singly(struct twins *twins, const struct list *list)
{
    size_t accepted = 0;
    for (size_t i = 0; i < list->count; i++)
        accepted += shmheap_try_free(twins->single, list->single[i]) == 0;
    return accepted;
}

static void step_free(struct twins *twins)
{
    struct list list = {.count = 0};
    size_t wanted = (size_t)test_random_below(&twins->random, COUNT_MAX - 1);
    int with_wrong = test_random_below(&twins->random, 3) == 0;
    for (size_t i = 0; i < wanted; i++) {
        if (with_wrong && test_random_below(&twins->random, 4) == 0)
            add_wrong(twins, &list);
        else if (twins->count > 0)
            add_live(twins, &list);
    }
    size_t expected = free_singly(twins, &list);
    errno = 0;
    size_t accepted = shmheap_free_many(twins->many, (void *const *)list.many, list.count);
    CHECK_EQ(errno, expected < list.count ? EINVAL : 0);
    CHECK_EQ(accepted, expected);
    twins->frees += accepted;
    twins->refused += list.count - accepted;
}

static void twins_begin(struct twins *twins, size_t number)
{
    static const size_t lens[] = {1 << 20, 65536, 300000, 3024};
    size_t len = lens[number % (sizeof lens / sizeof *lens)],
           max_len = number % 3 == 2 ? 16 * len : 0;
    twins->many = test_anonymous(len, max_len, twins->alignment);
    twins->single = test_anonymous(len, max_len, twins->alignment);
    twins->count = 0;
}

static void twins_end(struct twins *twins)
{
    void *rest[OBJECTS_MAX];
    for (size_t i = 0; i < twins->count; i++) {
        CHECK(test_filled(twins->objects[i].many, twins->objects[i].len, twins->objects[i].mark));
        rest[i] = twins->objects[i].many;
    }
    twins->grown += test_stat(twins->many).grows;
    CHECK_EQ(shmheap_free_many(twins->many, rest, twins->count), twins->count);
    test_check_empty(twins->many);
    shmheap_disconnect(twins->many);
    shmheap_disconnect(twins->single);
}

static void run_operations(struct twins *twins)
{
    size_t operations = test_rounds(OPERATIONS), heap = test_rounds(HEAP_OPERATIONS);
    for (size_t i = 0, heaps = 0; i < operations; i++) {
        if (i % heap == 0 && i > 0)
            twins_end(twins);
        if (i % heap == 0)
            twins_begin(twins, heaps++);
        if (test_random_below(&twins->random, 2))
            step_alloc(twins);
        else
            step_free(twins);
        if (i % COMPARED_EVERY == 0)
            check_blocks_same(twins);
        check_figures_same(twins);
    }
    twins_end(twins);
}

static void run_twins(size_t alignment, unsigned core)
{
    static struct twins twins;
    memset(&twins, 0, sizeof twins);
    twins.random = test_random_begin(alignment);
    twins.alignment = alignment;
    const char *name = test_choose_core(core);
    run_operations(&twins);
    CHECK(twins.objects_made && twins.short_batches && twins.frees && twins.refused && twins.grown);
    printf("  %s: %llu batches of %llu objects, %llu of them cut short; %llu freed, %llu refused, "
           "%llu growths\n",
           name, (unsigned long long)twins.batches, (unsigned long long)twins.objects_made,
           (unsigned long long)twins.short_batches, (unsigned long long)twins.frees,
           (unsigned long long)twins.refused, (unsigned long long)twins.grown);
}

static void run_all_cores(size_t alignment)
{
    for (unsigned core = 0; core < TEST_CORES; core++)
        run_twins(alignment, core);
}

static void as_single_calls_with_alignment_16(void) { run_all_cores(16); }
static void as_single_calls_with_alignment_8(void) { run_all_cores(8); }

/* An empty request does nothing; a request that cannot succeed changes nothing. */
static void limits_and_refusals(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0), reader,
                          closed = test_anonymous(65536, 0, 0);
    const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    const shmheap_memory_handle none = {NULL};
    void *ptrs[100] = {0};
    CHECK_EQ(shmheap_open_fd(&reader, shmheap_fd(mem), &read_only), 0);
    shmheap_disconnect(closed);
    struct test_snapshot before = test_snapshot_take(mem);
    errno = 0;
    CHECK_EQ(shmheap_alloc_many(mem, 10, 0, ptrs), 0);
    CHECK_EQ(shmheap_free_many(mem, ptrs, 0), 0);
    CHECK_EQ(shmheap_free_many(mem, ptrs, 100), 100); /* all are NULL */
    CHECK_EQ(errno, 0);
    CHECK_REFUSED(shmheap_alloc_many(mem, 65536, 100, ptrs) == 0, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_many(mem, SIZE_MAX, 100, ptrs) == 0, ENOMEM);
    CHECK_REFUSED(shmheap_alloc_many(reader, 10, 100, ptrs) == 0, EACCES);
    CHECK_REFUSED(shmheap_alloc_many(closed, 10, 100, ptrs) == 0, EINVAL);
    CHECK_REFUSED(shmheap_alloc_many(none, 10, 100, ptrs) == 0, EINVAL);
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    CHECK_EQ(shmheap_alloc_many(mem, 10, 100, ptrs), 100);
    before = test_snapshot_take(mem);
    CHECK_REFUSED(shmheap_free_many(reader, ptrs, 100) == 0, EACCES);
    CHECK_REFUSED(shmheap_free_many(closed, ptrs, 100) == 0, EINVAL);
    CHECK_REFUSED(shmheap_free_many(none, ptrs, 100) == 0, EINVAL);
    CHECK(test_snapshot_same(mem, &before));
    test_snapshot_drop(&before);
    CHECK_EQ(shmheap_free_many(mem, ptrs, 100), 100);
    CHECK_REFUSED(shmheap_free_many(mem, ptrs, 100) == 0, EINVAL);
    test_check_empty(mem);
    shmheap_disconnect(reader);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(as_single_calls_with_alignment_16),
                                    TEST(as_single_calls_with_alignment_8),
                                    TEST(limits_and_refusals)};
TEST_MAIN(tests)
