/* A thousand processes connected at once, each with a slot of its own; all slots taken; slots of
 * dead and departed processes given to other processes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sys/resource.h>
#include <unistd.h>

#include "tests/support/test.h"

enum { PROCESSES = 1000, SLOTS = 1022, LEN = 1 << 20, OBJECT_LEN = 100 };

/* struct crowd is shared; what the processes do, the parent orders by pipes, one for each step, one
 * byte a process. */
struct crowd {
    const char *name;
    int ready[2], look[2], leave[2];
    uint64_t offsets[PROCESSES];
    unsigned slots[PROCESSES];
    unsigned next, count;
};

static void say(struct crowd *crowd) { CHECK_EQ(write(crowd->ready[1], "r", 1), 1); }

/* A byte from each. */
static void hear(struct crowd *crowd, unsigned count)
{
    char bytes[256];
    while (count > 0) {
        ssize_t got = read(crowd->ready[0], bytes, count < sizeof bytes ? count : sizeof bytes);
        CHECK(got > 0);
        count -= (unsigned)got;
    }
}

static void order(const int *step, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        CHECK_EQ(write(step[1], "g", 1), 1);
}

static void obey(const int *step)
{
    char byte;
    CHECK_EQ(read(step[0], &byte, 1), 1);
}

static int self_visit(const shmheap_process_info *process, void *context)
{
    *(shmheap_process_info *)context = *process;
    return process->self;
}

/* Connects and allocates; once all have, looks which slot it has; once all know, frees and
 * leaves. */
static void one_of_many(void *context)
{
    struct crowd *crowd = context;
    unsigned own = __atomic_fetch_add(&crowd->next, 1, __ATOMIC_RELAXED);
    shmheap_memory_handle mem = test_connect(crowd->name);
    char *ptr = shmheap_alloc(mem, OBJECT_LEN);
    CHECK(ptr != NULL);
    test_fill(ptr, OBJECT_LEN, own);
    crowd->offsets[own] = test_offset(mem, ptr);
    say(crowd);
    obey(crowd->look);
    shmheap_process_info self;
    CHECK_EQ(shmheap_processes(mem, self_visit, &self), 1);
    CHECK_EQ(self.pid, getpid());
    CHECK_EQ(self.blocks, 1);
    crowd->slots[own] = self.slot;
    say(crowd);
    obey(crowd->leave);
    CHECK(test_filled(ptr, OBJECT_LEN, own));
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    shmheap_disconnect(mem);
}

static struct crowd *crowd_begin(const char *name)
{
    struct crowd *crowd = test_shared(sizeof *crowd);
    crowd->name = name;
    CHECK(pipe(crowd->ready) == 0 && pipe(crowd->look) == 0 && pipe(crowd->leave) == 0);
    return crowd;
}

static void crowd_end(struct crowd *crowd)
{
    for (unsigned end = 0; end < 2; end++)
        CHECK(close(crowd->ready[end]) == 0 && close(crowd->look[end]) == 0 &&
              close(crowd->leave[end]) == 0);
    test_unshare(crowd, sizeof *crowd);
}

/* The header of each one's object names the slot that it found to be its own, and no two have the
 * same. */
struct roll {
    const struct crowd *crowd;
    unsigned char seen[SLOTS + 1];
    unsigned count;
};

static int call_roll(const shmheap_block_info *block, void *context)
{
    struct roll *roll = context;
    if (block->state == SHMHEAP_STATE_FREE)
        return 0;
    CHECK(block->slot >= 1 && block->slot <= SLOTS);
    CHECK(!roll->seen[block->slot]);
    roll->seen[block->slot] = 1;
    roll->count++;
    for (unsigned i = 0; i < roll->crowd->count; i++)
        if (roll->crowd->offsets[i] == block->offset) {
            CHECK_EQ(roll->crowd->slots[i], block->slot);
            return 0;
        }
    test_fail(__FILE__, __LINE__, "a block at %llu that no process has",
              (unsigned long long)block->offset);
}

static void a_thousand_processes_at_once(void)
{
    const char *name = test_name();
    shmheap_memory_handle mem = shmheap_create(name, LEN);
    struct crowd *crowd = crowd_begin(name);
    pid_t pids[PROCESSES];
    struct roll roll = {.crowd = crowd};
    crowd->count = (unsigned)test_rounds(PROCESSES);
    for (unsigned i = 0; i < crowd->count; i++)
        pids[i] = test_fork(one_of_many, crowd);
    hear(crowd, crowd->count);
    CHECK_EQ(test_stat(mem).processes, crowd->count + 1);
    order(crowd->look, crowd->count);
    hear(crowd, crowd->count);
    CHECK_EQ(shmheap_walk(mem, call_roll, &roll), 0);
    CHECK_EQ(roll.count, crowd->count);
    printf("  %u processes, %u slots\n", crowd->count, roll.count);
    order(crowd->leave, crowd->count);
    for (unsigned i = 0; i < crowd->count; i++)
        test_join(pids[i]);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 0);
    test_check_empty(mem);
    crowd_end(crowd);
    shmheap_destroy(name, mem);
}

/* The slot table, as every process sees it. */
struct table {
    shmheap_process_info entries[SLOTS];
    unsigned count, dead;
};

static int table_visit(const shmheap_process_info *process, void *context)
{
    struct table *table = context;
    CHECK(table->count < SLOTS);
    table->dead += !process->alive;
    table->entries[table->count++] = *process;
    return 0;
}

static int entry_same(const shmheap_process_info *a, const shmheap_process_info *b)
{
    return a->slot == b->slot && a->pid == b->pid && strcmp(a->name, b->name) == 0 &&
           a->connected_ns == b->connected_ns && a->alive == b->alive && a->blocks == b->blocks &&
           a->bytes == b->bytes;
}

static void table_take(shmheap_memory_handle mem, struct table *table)
{
    memset(table, 0, sizeof *table);
    CHECK_EQ(shmheap_processes(mem, table_visit, table), 0);
}

/* A heap all of whose slots are taken, by connections of this process; 0 where it may not open so
 * many files. */
struct full {
    const char *name;
    shmheap_memory_handle mems[SLOTS];
    struct table table;
    struct test_snapshot before;
};

static int full_begin(struct full *full)
{
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_cur < SLOTS + 100) {
        printf("  skipped: no more than %llu open files are allowed\n",
               (unsigned long long)files.rlim_cur);
        return 0;
    }
    full->name = test_name();
    full->mems[0] = shmheap_create(full->name, LEN);
    CHECK(shmheap_valid(full->mems[0]));
    for (unsigned i = 1; i < SLOTS; i++)
        full->mems[i] = test_connect(full->name);
    for (unsigned i = 0; i < SLOTS; i += 100)
        CHECK(shmheap_alloc(full->mems[i], OBJECT_LEN) != NULL);
    CHECK_EQ(test_stat(full->mems[0]).processes, SLOTS);
    CHECK_EQ(test_stat(full->mems[0]).slots, SLOTS);
    table_take(full->mems[0], &full->table);
    full->before = test_snapshot_take(full->mems[0]);
    return 1;
}

static void full_check_untouched(const struct full *full)
{
    struct table now;
    table_take(full->mems[0], &now);
    CHECK_EQ(now.count, SLOTS);
    CHECK_EQ(now.dead, 0);
    for (unsigned i = 0; i < SLOTS; i++)
        CHECK(entry_same(&now.entries[i], &full->table.entries[i]));
    CHECK(test_snapshot_same(full->mems[0], &full->before));
    CHECK_SOUND(full->mems[0]);
}

static void full_end(struct full *full)
{
    for (unsigned i = 1; i < SLOTS; i++)
        shmheap_disconnect(full->mems[i]);
    shmheap_destroy(full->name, full->mems[0]);
    test_snapshot_drop(&full->before);
}

/* A process that connects when all slots are taken is refused, and changes nothing; reading needs
 * no slot. */
static void child_finds_no_slot(void *context)
{
    struct full *full = context;
    void *ptr = (char *)shmheap_underlying(full->mems[0]) + 16;
    const shmheap_object_handle any = {1};
    CHECK_REFUSED(shmheap_alloc(full->mems[0], 10) == NULL, EAGAIN);
    CHECK_REFUSED(shmheap_try_free(full->mems[0], ptr) == -1, EAGAIN);
    CHECK_REFUSED(shmheap_realloc(full->mems[0], ptr, 200) == NULL, EAGAIN);
    CHECK_REFUSED(shmheap_reap(full->mems[0], 0) == -1, EAGAIN);
    CHECK_REFUSED(shmheap_receive(full->mems[0], any) == NULL, EINVAL);
    CHECK_REFUSED(shmheap_send(full->mems[0], ptr).bits == 0, EPERM);
    CHECK_REFUSED(!shmheap_valid(shmheap_connect(full->name)), EAGAIN);
}

static void one_more_is_refused(void)
{
    static struct full full;
    if (!full_begin(&full))
        return;
    for (unsigned i = 0; i < 3; i++) {
        shmheap_memory_handle mem;
        CHECK_REFUSED(!shmheap_valid(shmheap_connect(full.name)), EAGAIN);
        CHECK_REFUSED(shmheap_open_fd(&mem, shmheap_fd(full.mems[0]), NULL) == -1, EAGAIN);
        CHECK(!shmheap_valid(mem));
        full_check_untouched(&full);
    }
    test_in_child(child_finds_no_slot, &full);
    full_check_untouched(&full);
    const shmheap_options read_only = {.flags = SHMHEAP_READ_ONLY};
    shmheap_memory_handle reader;
    CHECK_EQ(shmheap_open(&reader, full.name, &read_only), 0);
    CHECK_EQ(test_stat(reader).processes, SLOTS);
    shmheap_disconnect(reader);
    full_check_untouched(&full);
    full_end(&full);
}

/* What one left in order holds stays, and does not keep its slot from the next. */
static void departed_slots_are_taken_again(void)
{
    static struct full full;
    if (!full_begin(&full))
        return;
    uint64_t used = test_stat(full.mems[0]).used_blocks;
    for (unsigned i = 100; i < 400; i += 50) {
        shmheap_disconnect(full.mems[i]); /* each second one holds an object */
        full.mems[i] = test_connect(full.name);
        CHECK_REFUSED(!shmheap_valid(shmheap_connect(full.name)), EAGAIN);
    }
    CHECK_EQ(test_stat(full.mems[0]).used_blocks, used);
    CHECK_EQ(test_stat(full.mems[0]).processes, SLOTS);
    CHECK_SOUND(full.mems[0]);
    full_end(&full);
}

/* As soon as a process is dead, another gets its slot; its objects then have no owner, and reaping
 * still frees them. */
static void a_dead_ones_slot_is_taken_again(void)
{
    static struct full full;
    unsigned slot;
    if (!full_begin(&full))
        return;
    for (unsigned death = 0; death < 5; death++) {
        unsigned place = 1 + 250 * death % (SLOTS - 1);
        uint64_t used = test_stat(full.mems[0]).used_blocks;
        shmheap_disconnect(full.mems[place]);
        pid_t pid = test_fork_holder(full.mems[0], 1, &slot);
        CHECK_REFUSED(!shmheap_valid(shmheap_connect(full.name)), EAGAIN);
        test_kill(pid);
        full.mems[place] = test_connect(full.name);
        CHECK_EQ(test_own_slot(full.mems[place]), slot);
        CHECK_EQ(test_stat(full.mems[0]).dead, 0);
        CHECK_EQ(test_stat(full.mems[0]).used_blocks, used + 2);
        CHECK_EQ(shmheap_reap(full.mems[0], 0), 1);
        CHECK_EQ(shmheap_reap(full.mems[0], SHMHEAP_REAP_SHARED), 1);
        CHECK_EQ(test_stat(full.mems[0]).used_blocks, used);
        CHECK_SOUND(full.mems[0]);
    }
    full_end(&full);
}

static const struct test tests[] = {TEST(a_thousand_processes_at_once), TEST(one_more_is_refused),
                                    TEST(departed_slots_are_taken_again),
                                    TEST(a_dead_ones_slot_is_taken_again)};
TEST_MAIN(tests)
