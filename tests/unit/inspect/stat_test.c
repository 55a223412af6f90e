/* shmheap_stat: the figures are those that a count by hand gives.
 * SPDX-License-Identifier: Apache-2.0 */
#include <time.h>

#include "c/src/base/kernel.h"
#include "c/src/segment/connection.h"
#include "tests/support/test.h"

enum { OBJECTS = 200, ROUNDS = 5000 };

struct count {
    uint64_t used_blocks, used_bytes, free_blocks, free_bytes, largest;
};

static int add_up(const shmheap_block_info *block, void *context)
{
    struct count *count = context;
    int is_free = block->state == SHMHEAP_STATE_FREE;
    ++*(is_free ? &count->free_blocks : &count->used_blocks);
    *(is_free ? &count->free_bytes : &count->used_bytes) += block->size;
    if (is_free && block->len > count->largest)
        count->largest = block->len;
    return 0;
}

static shmheap_stats check_figures(shmheap_memory_handle mem)
{
    struct count count = {0, 0, 0, 0, 0};
    shmheap_report report;
    shmheap_stats stats = test_stat(mem);
    CHECK_EQ(shmheap_walk(mem, add_up, &count), 0);
    CHECK_EQ(stats.used_blocks, count.used_blocks);
    CHECK_EQ(stats.used_bytes, count.used_bytes);
    CHECK_EQ(stats.free_blocks, count.free_blocks);
    CHECK_EQ(stats.free_bytes, count.free_bytes);
    CHECK_EQ(stats.largest_free, count.largest);
    CHECK(stats.high_water_bytes >= stats.used_bytes);
    CHECK_EQ(shmheap_check(mem, &report), 0);
    CHECK_EQ(report.rule, 0);
    CHECK_EQ(report.blocks, count.used_blocks + count.free_blocks);
    CHECK_EQ(report.used_bytes, count.used_bytes);
    CHECK_EQ(report.free_bytes, count.free_bytes);
    return stats;
}

static void figures_add_up(void)
{
    struct test_random random = test_random_begin(1);
    for (size_t granule = 8; granule <= 16; granule += 8) {
        shmheap_memory_handle mem = test_anonymous(20000, 60000, granule);
        void *objects[OBJECTS] = {NULL};
        uint64_t allocs = 0, frees = 0, failed = 0, high = 0, bytes = 0;
        for (size_t i = 0; i < ROUNDS; i++) {
            void **object = &objects[test_random_below(&random, OBJECTS)];
            frees += *object != NULL;
            shmheap_free(mem, *object);
            *object = shmheap_alloc(mem, test_random_below(&random, 600));
            ++*(*object ? &allocs : &failed);
            shmheap_stats stats = check_figures(mem);
            bytes += *object ? shmheap_usable_size(mem, *object) + 8 : 0;
            CHECK_EQ(stats.allocs, allocs);
            CHECK_EQ(stats.alloc_bytes, bytes);
            CHECK_EQ(stats.frees, frees);
            CHECK_EQ(stats.failed_allocs, failed);
            high = stats.used_bytes > high ? stats.used_bytes : high;
            CHECK_EQ(stats.high_water_bytes, high);
        }
        CHECK(failed > 0 && test_stat(mem).grows > 0);
        CHECK_EQ(test_stat(mem).len, 60000);
        shmheap_disconnect(mem);
    }
}

/* largest_free is a promise: that much can be had, and not a byte more. */
static void largest_free_fits(void)
{
    struct test_random random = test_random_begin(2);
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    for (;;) {
        uint64_t largest = test_stat(mem).largest_free;
        if (largest == 0)
            break;
        CHECK_REFUSED(shmheap_alloc(mem, largest + 1) == NULL, ENOMEM);
        void *ptr = shmheap_alloc(mem, largest);
        CHECK(ptr != NULL);
        shmheap_free(mem, ptr);
        /* Leaves a hole here and there. */
        void *hole = shmheap_alloc(mem, test_random_below(&random, largest < 600 ? largest : 600));
        shmheap_alloc(mem, 8);
        if (test_random_below(&random, 3) == 0)
            shmheap_free(mem, hole);
    }
    check_figures(mem);
    shmheap_disconnect(mem);
}

static void of_a_new_heap(void)
{
    uint64_t before = (uint64_t)time(NULL);
    shmheap_memory_handle mem = test_anonymous(65536, 1 << 20, 8);
    shmheap_stats stats = check_figures(mem), other;
    CHECK_EQ(stats.len, 65536);
    CHECK_EQ(stats.max_len, 1 << 20);
    CHECK_EQ(stats.alignment, 8);
    CHECK(stats.segment_len > stats.len && stats.segment_len < stats.len + (1 << 18));
    CHECK_EQ(stats.allocs + stats.frees + stats.failed_allocs + stats.grows + stats.recoveries, 0);
    CHECK_EQ(stats.high_water_bytes, 0);
    CHECK_EQ(stats.last_recovery_ns, 0);
    CHECK_EQ(stats.processes, 1);
    CHECK_EQ(stats.dead, 0);
    CHECK_EQ(stats.lock_slot, 0);
    CHECK_EQ(stats.slots, 1022);
    CHECK_LE(before, stats.created_ns / 1000000000);
    CHECK_LE(stats.created_ns / 1000000000, (uint64_t)time(NULL) + 1);
    shmheap_memory_handle second = test_anonymous(65536, 1 << 20, 8);
    other = test_stat(second);
    CHECK(other.id != stats.id);
    CHECK_REFUSED(shmheap_stat(mem, NULL) == -1, EINVAL);
    shmheap_disconnect(second);
    shmheap_disconnect(mem);
}

/* Every call that found no space counts, each once. */
static void what_failed_is_counted(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    void *ptrs[2];
    void *object = shmheap_alloc(mem, 60000);
    CHECK(object != NULL);
    CHECK_REFUSED(shmheap_alloc(mem, 10000) == NULL, ENOMEM);
    CHECK_EQ(test_stat(mem).failed_allocs, 1);
    CHECK_REFUSED(shmheap_aligned_alloc(mem, 4096, 10000) == NULL, ENOMEM);
    CHECK_EQ(test_stat(mem).failed_allocs, 2);
    CHECK_REFUSED(shmheap_alloc_many(mem, 10000, 2, ptrs) == 0, ENOMEM);
    CHECK_EQ(test_stat(mem).failed_allocs, 3);
    CHECK_REFUSED(shmheap_alloc_named(mem, "large", 10000) == NULL, ENOMEM);
    CHECK_EQ(test_stat(mem).failed_allocs, 4);
    check_figures(mem);
    shmheap_disconnect(mem);
}

/* An owner that dies between the store that publishes a block and the counts leaves counts that are
 * too low. Recovery counts again, and the maximum follows. */
static void the_maximum_after_a_recovery(void)
{
    static const uint64_t wrong[] = {0, 100, UINT64_MAX / 16};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
        struct control *control = mem.heap->control;
        CHECK(shmheap_alloc(mem, 10000) != NULL && shmheap_alloc(mem, 20000) != NULL);
        uint64_t used = control->used_granules, most = used > wrong[i] ? used : wrong[i];
        control->used_granules = wrong[i];
        control->high_granules = wrong[i];
        control->lock = FUTEX_OWNER_DIED;
        CHECK_EQ(test_stat(mem).recoveries, 1);
        CHECK_EQ(control->used_granules, used);
        CHECK_EQ(control->high_granules, most);
        CHECK_EQ(test_stat(mem).high_water_bytes, most << mem.heap->shift);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Growing in place takes other blocks' memory, and counts as an allocation does; shrinking leaves
 * the maximum. */
static void the_maximum_after_a_realloc_in_place(void)
{
    shmheap_memory_handle mem = test_anonymous(65536, 0, 0);
    void *ptr = shmheap_alloc(mem, 100);
    CHECK_PTR(shmheap_realloc(mem, ptr, 20000), ptr);
    shmheap_stats large = check_figures(mem);
    CHECK_LE(20000, large.used_bytes);
    CHECK_EQ(large.high_water_bytes, large.used_bytes);
    CHECK_PTR(shmheap_realloc(mem, ptr, 100), ptr);
    CHECK_EQ(check_figures(mem).high_water_bytes, large.high_water_bytes);
    shmheap_disconnect(mem);
}

static const struct test tests[] = {TEST(figures_add_up),
                                    TEST(largest_free_fits),
                                    TEST(of_a_new_heap),
                                    TEST(what_failed_is_counted),
                                    TEST(the_maximum_after_a_recovery),
                                    TEST(the_maximum_after_a_realloc_in_place)};
TEST_MAIN(tests)
