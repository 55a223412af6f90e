/* Processes that allocate, free, resize, send and receive are killed at random instants, 250 or,
 * with SHMHEAP_TEST_ALL, a thousand, and what they held is reaped: nothing is lost, and no object
 * ever has two owners.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/process/ownership/owners.h"
#include "tests/support/test.h"

/* At some instant of its work: after some operations, and then at any instruction. */
static void kill_in_the_middle(struct stage *stage, unsigned place, uint32_t owner, pid_t pid,
                               struct test_random *random)
{
    char byte;
    CHECK_EQ(read(stage->ready[place][0], &byte, 1), 1);
    volatile uint64_t spin = test_random_below(random, SPIN_BEFORE_DEATH);
    while (spin > 0)
        spin--;
    /* Before its end: as soon as it is dead, other processes may reap its objects and allocate the
     * memory again. */
    stage->dying[owner] = 1;
    test_kill(pid);
}

/* Blocks of dead processes, whose slots reaping has freed. */
struct remains {
    uint64_t used, shared, cached;
};

static int add_remains(const shmheap_block_info *block, void *context)
{
    struct remains *remains = context;
    if (block->slot == 0) {
        remains->used += block->state == SHMHEAP_STATE_USED;
        remains->shared += block->state == SHMHEAP_STATE_SHARED;
        remains->cached += block->state == SHMHEAP_STATE_CACHED;
    }
    return 0;
}

static struct remains remains_of(shmheap_memory_handle mem)
{
    struct remains remains = {0, 0, 0};
    CHECK_EQ(shmheap_walk(mem, add_remains, &remains), 0);
    return remains;
}

/* Reaping frees objects that only dead processes knew; with SHMHEAP_REAP_SHARED also shared ones;
 * objects in transit stay. */
static uint64_t reap_the_dead(shmheap_memory_handle mem)
{
    long alone = shmheap_reap(mem, 0);
    CHECK(alone >= 0);
    struct remains left = remains_of(mem);
    CHECK_EQ(left.used, 0);
    CHECK_EQ(left.cached, 0);
    CHECK_LE(left.shared, 2 * HELD);
    long shared = shmheap_reap(mem, SHMHEAP_REAP_SHARED);
    CHECK_EQ(shared, left.shared);
    CHECK_EQ(remains_of(mem).shared, 0);
    CHECK_EQ(test_stat(mem).dead, 0);
    return (uint64_t)(alone + shared);
}

static uint64_t deaths(struct stage *stage, pid_t *pids, uint32_t *owners)
{
    struct test_random random = test_random_begin(0x6b696c6c);
    size_t rounds = test_quarter(DEATHS);
    uint64_t reaped = 0;
    for (size_t i = 0; i < rounds; i++) {
        unsigned place =
            (unsigned)i % WORKERS; /* whose successor has time to get going meanwhile */
        kill_in_the_middle(stage, place, owners[place], pids[place], &random);
        reaped += reap_the_dead(stage->mem);
        CHECK_SOUND(stage->mem);
        owners[place] = (uint32_t)(WORKERS + i + 1);
        pids[place] = start(stage, place, owners[place]);
    }
    return reaped;
}

/* struct transit: blocks in transit, and what makes handles of them: FORMAT.md, "Handles". */
struct transit {
    shmheap_memory_handle mem;
    uint64_t tag;
    uint64_t received;
};

static int receive_block(const shmheap_block_info *block, void *context)
{
    struct transit *transit = context;
    if (block->state != SHMHEAP_STATE_SENT)
        return 0;
    shmheap_object_handle handle = {transit->tag | (uint64_t)block->generation << 36 |
                                    (block->offset - 16) / GRANULE};
    char *ptr = shmheap_receive(transit->mem, handle);
    CHECK(ptr != NULL);
    CHECK_EQ(test_offset(transit->mem, ptr), block->offset);
    mark_check(ptr, 0, UINT64_MAX);
    CHECK_EQ(shmheap_try_free(transit->mem, ptr), 0);
    transit->received++;
    return 0;
}

static uint64_t tag_of(shmheap_memory_handle mem)
{
    void *ptr = shmheap_alloc(mem, 1);
    uint64_t bits = shmheap_ptr_to_handle(mem, ptr).bits;
    CHECK(bits != 0);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    return bits & ~((UINT64_C(1) << 51) - 1);
}

/* All that is still on its way arrives; each was received once, so that nothing of the ring is
 * there twice. */
static void receive_all(struct stage *stage, shmheap_memory_handle mem)
{
    struct transit transit = {mem, tag_of(mem), 0};
    uint64_t from_ring = 0;
    for (unsigned i = 0; i < RING; i++) {
        shmheap_object_handle handle = {stage->ring[i]};
        char *ptr = handle.bits != 0 ? shmheap_receive(mem, handle) : NULL;
        if (ptr == NULL)
            continue;
        mark_check(ptr, 0, UINT64_MAX);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
        from_ring++;
    }
    CHECK_EQ(shmheap_walk(mem, receive_block, &transit), 0);
    CHECK_LE(transit.received,
             test_quarter(DEATHS)); /* at most one sender a death between sending and telling */
    printf("  received at the end: %llu from the ring, %llu that no process had been told\n",
           (unsigned long long)from_ring, (unsigned long long)transit.received);
}

static void check_nothing_lost(struct stage *stage)
{
    shmheap_memory_handle mem = test_connect(stage->name); /* not cached: what it frees is free */
    receive_all(stage, mem);
    test_check_empty(mem);
    shmheap_stats stats = test_stat(mem);
    CHECK_EQ(stats.len, stage->len);
    CHECK_EQ(stats.free_bytes, (stage->len - 8) / GRANULE * GRANULE);
    CHECK_EQ(stats.processes, 1);
    CHECK_EQ(stats.dead, 0);
    printf("  %llu recoveries, the last took %.3f ms\n", (unsigned long long)stats.recoveries,
           (double)stats.last_recovery_ns / 1e6);
    shmheap_disconnect(mem);
}

static void show(const struct stage *stage, uint64_t reaped)
{
    printf("  %zu deaths; %llu allocs, %llu batches, %llu refused for want of room, %llu resized "
           "in place, %llu moved\n",
           test_quarter(DEATHS), (unsigned long long)stage->allocs,
           (unsigned long long)stage->batches, (unsigned long long)stage->refused,
           (unsigned long long)stage->resizes, (unsigned long long)stage->moves);
    printf("  %llu sent, %llu received, %llu claims too late\n", (unsigned long long)stage->sends,
           (unsigned long long)stage->receives, (unsigned long long)stage->stale);
    printf("  reaped: %llu blocks by the parent, %llu in %llu calls by workers\n",
           (unsigned long long)reaped, (unsigned long long)stage->reaped,
           (unsigned long long)stage->reaps);
}

static void run(struct stage *stage)
{
    pid_t pids[WORKERS];
    uint32_t owners[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        CHECK(pipe(stage->ready[i]) == 0);
        owners[i] = i + 1;
        pids[i] = start(stage, i, owners[i]);
    }
    uint64_t reaped = deaths(stage, pids, owners);
    stage->stop = 1;
    for (unsigned i = 0; i < WORKERS; i++) {
        test_join(pids[i]);
        CHECK(close(stage->ready[i][0]) == 0 && close(stage->ready[i][1]) == 0);
    }
    shmheap_disconnect(stage->mem);
    show(stage, reaped);
    CHECK(stage->sends > 0 && stage->receives > 0 && stage->moves > 0 && reaped > 0);
    CHECK_EQ(stage->refused > 0, stage->len == LEN_SHORT);
    check_nothing_lost(stage);
}

/* The parent's connection, which workers inherit. */
static void open_stage(struct stage *stage, size_t len, unsigned flags, unsigned threads)
{
    const shmheap_options options = {.len = len,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | flags};
    stage->name = test_name();
    stage->flags = flags;
    stage->len = len;
    stage->threads = threads;
    CHECK_EQ(shmheap_open(&stage->mem, stage->name, &options), 0);
}

static void deaths_in(size_t len, unsigned flags, unsigned threads)
{
    struct stage *stage = test_shared(sizeof *stage);
    open_stage(stage, len, flags, threads);
    run(stage);
    CHECK_EQ(shmheap_unlink(stage->name), 0);
    test_unshare(stage, sizeof *stage);
}

static void exact_processes(void) { deaths_in(LEN_AMPLE, 0, 1); }

static void exact_processes_in_want(void) { deaths_in(LEN_SHORT, 0, 1); }

static void threads_in_want(void) { deaths_in(LEN_SHORT, 0, 2); }

static void cached_processes(void) { deaths_in(LEN_AMPLE, SHMHEAP_CACHED, 1); }

static void cached_processes_in_want(void) { deaths_in(LEN_SHORT, SHMHEAP_CACHED, 1); }

static void threads_with_caches(void) { deaths_in(LEN_AMPLE, SHMHEAP_CACHED, 2); }

static void threads_with_caches_in_want(void) { deaths_in(LEN_SHORT, SHMHEAP_CACHED, 2); }

static const struct test tests[] = {TEST(exact_processes),
                                    TEST(exact_processes_in_want),
                                    TEST(cached_processes),
                                    TEST(cached_processes_in_want),
                                    TEST(threads_in_want),
                                    TEST(threads_with_caches),
                                    TEST(threads_with_caches_in_want)};

TEST_MAIN(tests)
