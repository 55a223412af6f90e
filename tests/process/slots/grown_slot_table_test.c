/* The slots of a small heap that lie behind its region: made when they are needed, seen by all,
 * there to stay.
 * SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/test.h"

enum {
    LEN = 64 << 10,
    MAX_LEN = 256 << 10,
    FIRST = 15, /* slots before the index of so small a heap; one entry is never taken */
    SOME = 100, /* more than that */
    TWICE = 40 * (FIRST + 1),       /* bytes that the table becomes longer by for one more, */
    TABLE = 40 * (128 - FIRST - 1), /* and for some */
    OBJECT_LEN = 100,
    RUSH_MOST = 120,
    MEMORY = 16384,   /* bytes of a heap without a file, */
    MEMORY_SLOTS = 24 /* and its slots */
};

/* A heap and the connections to it, all of this process; mems[0] made it. */
struct crowd {
    shmheap_memory_handle mems[SOME];
    void *ptrs[SOME];
};

static off_t file_len(shmheap_memory_handle mem)
{
    struct stat status;
    CHECK_EQ(fstat(shmheap_fd(mem), &status), 0);
    return status.st_size;
}

/* Each takes the next slot and an object. */
static void crowd_grow(struct crowd *crowd, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (i != 0)
            crowd->mems[i] = test_connect_again(crowd->mems[0], 0);
        CHECK_EQ(test_own_slot(crowd->mems[i]), i + 1);
        crowd->ptrs[i] = shmheap_alloc(crowd->mems[i], OBJECT_LEN);
        CHECK(crowd->ptrs[i] != NULL);
        test_fill(crowd->ptrs[i], OBJECT_LEN, i);
    }
}

static void crowd_begin(struct crowd *crowd, const shmheap_options *options, unsigned count)
{
    memset(crowd, 0, sizeof *crowd);
    CHECK_EQ(shmheap_open(&crowd->mems[0], NULL, options), 0);
    crowd_grow(crowd, 0, count);
}

/* Frees all it has, each by its own connection, and leaves. */
static void crowd_end(struct crowd *crowd, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        CHECK(test_filled(crowd->ptrs[i], OBJECT_LEN, i));
        CHECK_EQ(shmheap_try_free(crowd->mems[i], crowd->ptrs[i]), 0);
        if (i == 0)
            test_check_empty(crowd->mems[0]);
        shmheap_disconnect(crowd->mems[i]);
    }
}

static int count_visit(const shmheap_process_info *process, void *context)
{
    unsigned *next = context;
    CHECK_EQ(process->slot, *next);
    CHECK_EQ(process->pid, getpid());
    CHECK(process->alive && process->name[0] != 0);
    CHECK_EQ(process->blocks, 1);
    ++*next;
    return 0;
}

/* The slots 1 to count are taken, and no other. */
static void check_roll(shmheap_memory_handle mem, unsigned count)
{
    unsigned next = 1;
    CHECK_EQ(shmheap_processes(mem, count_visit, &next), 0);
    CHECK_EQ(next, count + 1);
    CHECK_EQ(test_stat(mem).processes, count);
    CHECK_EQ(test_stat(mem).slots, 1022);
    CHECK_SOUND(mem);
}

static const shmheap_options small_heap = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS};

static void a_small_heap_pays_for_few_slots(void)
{
    static struct crowd crowd;
    crowd_begin(&crowd, &small_heap, FIRST);
    shmheap_stats stats = test_stat(crowd.mems[0]);
    CHECK_LE(stats.segment_len - stats.len, 3500); /* 768 control, 640 slots, the rest is index */
    CHECK_EQ(file_len(crowd.mems[0]), stats.segment_len);
    check_roll(crowd.mems[0], FIRST);
    crowd_end(&crowd, FIRST);
}

static void earlier_connections_see_later_slots(void)
{
    static struct crowd crowd;
    crowd_begin(&crowd, &small_heap, FIRST);
    shmheap_memory_handle reader = test_connect_again(crowd.mems[0], SHMHEAP_READ_ONLY);
    check_roll(reader, FIRST);
    uint64_t before = test_stat(crowd.mems[0]).segment_len;
    crowd_grow(&crowd, FIRST, SOME);
    CHECK_EQ(test_stat(crowd.mems[0]).segment_len, before);
    CHECK_EQ(file_len(crowd.mems[0]), before + TABLE);
    check_roll(reader, SOME);
    check_roll(crowd.mems[0], SOME);
    check_roll(crowd.mems[SOME - 1], SOME);
    shmheap_disconnect(reader);
    crowd_end(&crowd, SOME);
}

/* As others left, so that the table need not become longer; and once it is, it stays. */
static void departed_slots_come_first(void)
{
    static struct crowd crowd;
    crowd_begin(&crowd, &small_heap, FIRST);
    off_t before = file_len(crowd.mems[0]);
    for (unsigned i = 0; i < 500; i++) {
        unsigned who = 1 + i % (FIRST - 1);
        uint64_t offset = test_offset(crowd.mems[who], crowd.ptrs[who]);
        shmheap_disconnect(crowd.mems[who]);
        crowd.mems[who] = test_connect_again(crowd.mems[0], 0);
        crowd.ptrs[who] = (char *)shmheap_underlying(crowd.mems[who]) + offset;
    }
    CHECK_EQ(file_len(crowd.mems[0]), before);
    crowd_grow(&crowd, FIRST, FIRST + 1);
    CHECK_EQ(file_len(crowd.mems[0]), before + TWICE);
    crowd_end(&crowd, FIRST + 1);
}

static void fill_region(shmheap_memory_handle mem, size_t until)
{
    void *objects[512];
    unsigned count = 0;
    while (test_stat(mem).len < until) {
        CHECK(count < sizeof objects / sizeof *objects);
        objects[count] = shmheap_alloc(mem, 30000);
        CHECK(objects[count] != NULL);
        test_fill(objects[count], 30000, count);
        count++;
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK(test_filled(objects[i], 30000, i));
        CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
    }
}

/* The region grows up to the table behind it, and leaves it alone. */
static void grows_beside(unsigned flags)
{
    static struct crowd crowd;
    const shmheap_options options = {
        .len = LEN, .max_len = MAX_LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    crowd_begin(&crowd, &options, SOME);
    off_t with_table = file_len(crowd.mems[0]);
    for (size_t until = LEN; until <= MAX_LEN; until *= 2) {
        fill_region(crowd.mems[SOME - 1], until);
        check_roll(crowd.mems[0], SOME);
    }
    shmheap_stats stats = test_stat(crowd.mems[0]);
    CHECK_EQ(stats.len, MAX_LEN);
    CHECK_EQ(file_len(crowd.mems[0]), with_table);
    CHECK_EQ(stats.segment_len + TABLE, with_table);
    crowd_end(&crowd, SOME);
}

static void a_growing_heap_has_them_behind_its_greatest_region(void) { grows_beside(0); }
static void a_sparse_heap_too(void) { grows_beside(SHMHEAP_SPARSE); }

/* The slot that a process held when it was killed. */
static unsigned holder_dies(shmheap_memory_handle mem)
{
    unsigned slot;
    test_kill(test_fork_holder(mem, 0, &slot));
    return slot;
}

/* A process with such a slot dies. While the table has room its slot is kept, so that the objects
 * still name their owner. */
static void the_dead_keep_theirs_until_they_are_reaped(void)
{
    static struct crowd crowd;
    crowd_begin(&crowd, &small_heap, FIRST - 1);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(holder_dies(crowd.mems[0]), FIRST + i);
        CHECK_EQ(test_stat(crowd.mems[0]).dead, i + 1);
    }
    CHECK_EQ(shmheap_reap(crowd.mems[0], 0), 3);
    check_roll(crowd.mems[0], FIRST - 1);
    crowd_grow(&crowd, FIRST - 1, SOME);
    check_roll(crowd.mems[0], SOME);
    crowd_end(&crowd, SOME);
}

/* A child that inherited a connection gets such a slot at its first change. */
static void child_allocates(void *context)
{
    const struct crowd *crowd = context;
    void *ptr = shmheap_alloc(crowd->mems[0], OBJECT_LEN);
    CHECK(ptr != NULL);
    CHECK_EQ(test_own_slot(crowd->mems[0]), FIRST + 1);
    CHECK_EQ(test_stat(crowd->mems[0]).processes, FIRST + 1);
    CHECK_EQ(shmheap_try_free(crowd->mems[0], ptr), 0);
}

static void a_forked_child_gets_one(void)
{
    static struct crowd crowd;
    crowd_begin(&crowd, &small_heap, FIRST);
    test_in_child(child_allocates, &crowd);
    crowd_end(&crowd, FIRST);
}

/* Files of this process may not become longer than this one is. */
static void no_longer_than(off_t len)
{
    const struct rlimit limit = {(rlim_t)len, (rlim_t)len};
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void comes_when_no_memory_is_left(void *context)
{
    const struct crowd *crowd = context;
    shmheap_memory_handle mem, reader = test_connect_again(crowd->mems[0], SHMHEAP_READ_ONLY);
    struct test_snapshot before = test_snapshot_take(reader); /* to look needs no slot */
    no_longer_than(file_len(crowd->mems[0]));
    for (unsigned i = 0; i < 3; i++)
        CHECK_REFUSED(shmheap_open_fd(&mem, shmheap_fd(crowd->mems[0]), NULL) == -1, EAGAIN);
    CHECK_REFUSED(shmheap_alloc(crowd->mems[0], 1) == NULL, EAGAIN);
    CHECK(test_snapshot_same(reader, &before));
    test_snapshot_drop(&before);
    shmheap_disconnect(reader);
}

static void comes_for_a_dead_ones(void *context)
{
    const struct crowd *crowd = context;
    no_longer_than(file_len(crowd->mems[0]));
    CHECK_EQ(test_own_slot(test_connect_again(crowd->mems[0], 0)), FIRST);
}

/* Where the table cannot become longer, a connecting process gets a dead process's slot, and is
 * refused where there is none. */
static void without_memory_for_more_there_are_no_more(void)
{
    static struct crowd crowd;
    crowd_begin(&crowd, &small_heap, FIRST);
    off_t before = file_len(crowd.mems[0]);
    test_in_child(comes_when_no_memory_is_left, &crowd);
    CHECK_EQ(file_len(crowd.mems[0]), before);
    check_roll(crowd.mems[0], FIRST);
    CHECK_EQ(shmheap_try_free(crowd.mems[FIRST - 1], crowd.ptrs[FIRST - 1]), 0);
    shmheap_disconnect(crowd.mems[FIRST - 1]);
    CHECK_EQ(shmheap_reap(crowd.mems[0], 0), 0); /* the slot that was left is free */
    CHECK_EQ(holder_dies(crowd.mems[0]), FIRST);
    test_in_child(comes_for_a_dead_ones, &crowd);
    CHECK_EQ(file_len(crowd.mems[0]), before);
    CHECK_EQ(shmheap_reap(crowd.mems[0], 0), 1);
    crowd_grow(&crowd, FIRST - 1, SOME);
    check_roll(crowd.mems[0], SOME);
    crowd_end(&crowd, SOME);
}

/* All at once find the table full. */
struct rush {
    shmheap_memory_handle first;
    void *memory; /* that the heap lies in, where it has no file */
    struct test_barrier barrier, connected;
};

static void rush_in(void *context)
{
    struct rush *rush = context;
    shmheap_memory_handle mem;
    test_barrier_wait(&rush->barrier);
    if (rush->memory != NULL)
        CHECK_EQ(shmheap_attach_at(&mem, rush->memory, MEMORY), 0);
    else
        mem = test_connect_again(rush->first, 0);
    void *ptr = shmheap_alloc(mem, OBJECT_LEN);
    CHECK(ptr != NULL);
    test_barrier_wait(&rush->connected);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    shmheap_disconnect(mem);
}

/* So many processes connect at the same time, and each gets a slot; then they leave. dead: how many
 * dead processes keep their slots. */
static void rush_all(shmheap_memory_handle first, void *memory, unsigned together, unsigned dead)
{
    struct rush *rush = test_shared(sizeof *rush);
    pid_t pids[RUSH_MOST];
    unsigned before = test_stat(first).processes;
    rush->first = first;
    rush->memory = memory;
    test_barrier_begin(&rush->barrier, together);
    test_barrier_begin(&rush->connected, together + 1);
    for (unsigned i = 0; i < together; i++)
        pids[i] = test_fork(rush_in, rush);
    test_barrier_wait(&rush->connected);
    CHECK_EQ(test_stat(first).dead, dead);
    for (unsigned i = 0; i < together; i++)
        test_join(pids[i]);
    CHECK_EQ(test_stat(first).processes, before);
    test_barrier_end(&rush->barrier);
    test_barrier_end(&rush->connected);
    test_unshare(rush, sizeof *rush);
}

/* The table becomes longer several times, and no process is refused. */
static void many_need_them_at_once(void)
{
    static struct crowd crowd;
    for (unsigned round = 0; round < test_rounds(10); round++) {
        crowd_begin(&crowd, &small_heap, FIRST - 3);
        holder_dies(crowd.mems[0]);
        rush_all(crowd.mems[0], NULL, RUSH_MOST, 1);
        CHECK_EQ(shmheap_reap(crowd.mems[0], 0), 1);
        crowd_end(&crowd, FIRST - 3);
    }
}

/* Where the table has its full length, one process frees the slots of all that departed, and all
 * processes find them. */
static void many_find_departed_slots(void)
{
    for (unsigned round = 0; round < test_rounds(100); round++) {
        void *memory = test_shared(MEMORY);
        shmheap_memory_handle first, others[MEMORY_SLOTS];
        CHECK_EQ(shmheap_create_at(&first, memory, MEMORY, NULL), 0);
        CHECK_EQ(test_stat(first).slots, MEMORY_SLOTS);
        for (unsigned i = 1; i < MEMORY_SLOTS; i++)
            CHECK_EQ(shmheap_attach_at(&others[i], memory, MEMORY), 0);
        for (unsigned i = 1; i < MEMORY_SLOTS; i++)
            shmheap_disconnect(others[i]);
        rush_all(first, memory, MEMORY_SLOTS - 1, 0);
        shmheap_disconnect(first);
        test_unshare(memory, MEMORY);
    }
}

static const struct test tests[] = {TEST(a_small_heap_pays_for_few_slots),
                                    TEST(earlier_connections_see_later_slots),
                                    TEST(departed_slots_come_first),
                                    TEST(a_growing_heap_has_them_behind_its_greatest_region),
                                    TEST(a_sparse_heap_too),
                                    TEST(the_dead_keep_theirs_until_they_are_reaped),
                                    TEST(a_forked_child_gets_one),
                                    TEST(without_memory_for_more_there_are_no_more),
                                    TEST(many_need_them_at_once),
                                    TEST(many_find_departed_slots)};
TEST_MAIN(tests)
