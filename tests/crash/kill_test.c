/* Processes are killed at random instants of random work, 250, or with SHMHEAP_TEST_ALL a thousand.
 * The surviving processes never stop, and only the objects of dead processes are lost.
 * SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <time.h>

#include "tests/support/test.h"

enum {
    DEATHS = 1000,
    WORKERS = 4,
    SURVIVORS = 2,
    CREW = WORKERS + SURVIVORS,
    OBJECTS = 32,
    NOBODY = OBJECTS
};
/* A walk waits for the lock with every batch of blocks, behind six processes that never rest. */
enum { WALKED_EVERY = 20, YIELDED_EVERY = 16 };
enum {
    LEN = 1 << 20,
    MAX_LEN = 64 << 20,
    OPERATIONS_BEFORE_DEATH = 1000,
    SPIN_BEFORE_DEATH = 30000
};

/* struct object is shared: one that its holder has; offset 0: none. */
struct object {
    uint64_t offset, len, mark;
};

/* struct ledger is shared: what one process holds. It alone writes here; once it is dead, what it
 * wrote counts. */
struct ledger {
    volatile unsigned
        busy; /* the object that it is changing: may be the old one, or the new, both or none */
    volatile unsigned slot; /* of its connection, once it works */
    volatile uint64_t operations;
    uint64_t longest_ns; /* that one operation took */
    uint64_t
        pause_ns; /* the longest between two of them: what the machine alone makes a process wait */
    struct object objects[OBJECTS];
};

struct stage {
    const char *name;
    shmheap_memory_handle mem;
    volatile int stop;
    struct test_barrier end;
    unsigned started;
    struct ledger ledgers[CREW];
};

/* What dead processes left behind, as their ledgers say. Private to the parent. */
struct estate {
    struct object objects[(DEATHS + WORKERS) * OBJECTS];
    size_t count;
    uint64_t bytes;      /* of blocks */
    unsigned unsure_max; /* blocks that may or may not be there */
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void raise_to(uint64_t *most, uint64_t value)
{
    if (value > *most)
        *most = value;
}

static char *place(shmheap_memory_handle mem, const struct object *object)
{
    return (char *)shmheap_underlying(mem) + object->offset;
}

static void *make_somehow(shmheap_memory_handle mem, size_t len, struct test_random *random)
{
    switch (test_random_below(random, 4)) {
        case 0:
            return shmheap_calloc(mem, 1, len);
        case 1:
            return shmheap_aligned_alloc(mem, 64, len);
        default:
            return shmheap_alloc(mem, len);
    }
}

static void make(shmheap_memory_handle mem, struct object *object, struct test_random *random)
{
    size_t len = test_random_below(random, 250);
    char *ptr = make_somehow(mem, len, random);
    CHECK(ptr != NULL);
    object->len = len;
    object->mark = test_random_next(random);
    test_fill(ptr, len, object->mark);
    object->offset = test_offset(mem, ptr);
}

static void resize(shmheap_memory_handle mem, struct object *object, struct test_random *random)
{
    size_t len = test_random_below(random, 400);
    char *ptr = shmheap_realloc(mem, place(mem, object), len);
    CHECK(ptr != NULL);
    CHECK(test_filled(ptr, (len < object->len ? len : object->len) & ~(size_t)7, object->mark));
    object->len = len;
    test_fill(ptr, len, object->mark);
    object->offset = test_offset(mem, ptr);
}

static void drop(shmheap_memory_handle mem, struct object *object)
{
    CHECK_EQ(shmheap_try_free(mem, place(mem, object)), 0);
    object->offset = 0;
}

static void operate(shmheap_memory_handle mem, struct object *object, struct test_random *random)
{
    if (object->offset == 0) {
        make(mem, object, random);
        return;
    }
    char *ptr = place(mem, object);
    CHECK(test_filled(ptr, object->len, object->mark));
    uint64_t choice = test_random_below(random, 4);
    if (choice == 0)
        CHECK_PTR(shmheap_handle_to_ptr(mem, shmheap_ptr_to_handle(mem, ptr)), ptr);
    else if (choice == 1)
        resize(mem, object, random);
    else
        drop(mem, object);
}

static void work(struct stage *stage, struct ledger *ledger, shmheap_memory_handle mem,
                 struct test_random *random)
{
    ledger->slot = test_own_slot(mem);
    for (uint64_t begin, end = now_ns(); !stage->stop; end = now_ns()) {
        unsigned chosen = (unsigned)test_random_below(random, OBJECTS);
        ledger->operations++;
        begin = now_ns();
        raise_to(&ledger->pause_ns, begin - end);
        ledger->busy = chosen;
        operate(mem, &ledger->objects[chosen], random);
        ledger->busy = NOBODY;
        raise_to(&ledger->longest_ns, now_ns() - begin);
        /* A survivor leaves the processor to the victims. A victim does not: it would then mostly
         * be preempted, and killed, between two operations. */
        if (ledger >= &stage->ledgers[WORKERS] && ledger->operations % YIELDED_EVERY == 0)
            sched_yield();
    }
}

/* Processes that live to the end wait until they are counted, then free what they hold. */
static void member(struct stage *stage, unsigned index, unsigned number)
{
    struct ledger *ledger = &stage->ledgers[index];
    struct test_random random = test_random_begin(number);
    /* Half of them go on with the connection that they inherited. */
    shmheap_memory_handle mem = number % 2 ? stage->mem : test_connect(stage->name);
    work(stage, ledger, mem, &random);
    test_barrier_wait(&stage->end);
    test_barrier_wait(&stage->end);
    for (unsigned i = 0; i < OBJECTS; i++)
        if (ledger->objects[i].offset != 0) {
            CHECK(test_filled(place(mem, &ledger->objects[i]), ledger->objects[i].len,
                              ledger->objects[i].mark));
            drop(mem, &ledger->objects[i]);
        }
    shmheap_disconnect(mem);
}

struct role {
    struct stage *stage;
    unsigned index, number;
};

static void play(void *context)
{
    const struct role *role = context;
    member(role->stage, role->index, role->number);
}

static pid_t start(struct stage *stage, unsigned index)
{
    struct role role = {stage, index, stage->started++};
    memset(&stage->ledgers[index], 0, sizeof stage->ledgers[index]);
    stage->ledgers[index].busy = NOBODY;
    return test_fork(play, &role);
}

static void await_operations(const struct ledger *ledger, uint64_t more)
{
    uint64_t until = ledger->operations + more;
    while (ledger->operations < until)
        sched_yield();
}

/* At some instant of its work: after some operations, and then at any instruction. */
static void kill_in_the_middle(const struct ledger *ledger, pid_t pid, struct test_random *random)
{
    await_operations(ledger, 1 + test_random_below(random, OPERATIONS_BEFORE_DEATH));
    volatile uint64_t spin = test_random_below(random, SPIN_BEFORE_DEATH);
    while (spin > 0)
        spin--;
    test_kill(pid);
}

/* The dead process's objects are there, with all their bytes, but for the one that it was
 * changing. */
static void inherit(struct stage *stage, const struct ledger *ledger, struct estate *estate)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        const struct object *object = &ledger->objects[i];
        if (i == ledger->busy)
            estate->unsure_max += 2;
        else if (object->offset != 0) {
            CHECK(test_filled(place(stage->mem, object), object->len, object->mark));
            estate->bytes += shmheap_usable_size(stage->mem, place(stage->mem, object)) + 8;
            estate->objects[estate->count++] = *object;
        }
    }
}

struct holdings {
    unsigned slot;
    uint64_t blocks;
};

static int count_of_slot(const shmheap_block_info *block, void *context)
{
    struct holdings *holdings = context;
    holdings->blocks += block->state != SHMHEAP_STATE_FREE && block->slot == holdings->slot;
    return 0;
}

static unsigned held_by(const struct ledger *ledger, int with_busy)
{
    unsigned held = 0;
    for (unsigned i = 0; i < OBJECTS; i++)
        held += ledger->objects[i].offset != 0 && (with_busy || i != ledger->busy);
    return held;
}

/* The blocks that name the dead process's slot are those of its ledger. */
static void check_dead_slot(struct stage *stage, const struct ledger *ledger)
{
    struct holdings holdings = {ledger->slot, 0};
    CHECK_EQ(shmheap_walk(stage->mem, count_of_slot, &holdings), 0);
    unsigned sure = held_by(ledger, 0);
    CHECK_LE(sure, holdings.blocks);
    CHECK_LE(holdings.blocks, sure + (ledger->busy == NOBODY ? 0 : 2));
}

static void deaths(struct stage *stage, pid_t *pids, struct estate *estate)
{
    struct test_random random = test_random_begin(12345);
    size_t rounds = test_quarter(DEATHS);
    for (size_t i = 0; i < rounds; i++) {
        unsigned victim =
            (unsigned)i % WORKERS; /* whose successor has time to get going meanwhile */
        struct ledger *ledger = &stage->ledgers[victim];
        kill_in_the_middle(ledger, pids[victim], &random);
        CHECK_SOUND(stage->mem);
        if (i % WALKED_EVERY == 0)
            check_dead_slot(stage, ledger);
        inherit(stage, ledger, estate);
        for (unsigned k = WORKERS; k < CREW; k++)
            await_operations(&stage->ledgers[k], 1);
        pids[victim] = start(stage, victim);
    }
}

/* All processes stand still: each live one has exactly the blocks in its ledger, and dead processes
 * had the rest. */
static void check_balance(struct stage *stage, const struct estate *estate)
{
    uint64_t living = 0;
    for (unsigned i = 0; i < CREW; i++) {
        struct holdings holdings = {stage->ledgers[i].slot, 0};
        CHECK_EQ(shmheap_walk(stage->mem, count_of_slot, &holdings), 0);
        CHECK_EQ(holdings.blocks, held_by(&stage->ledgers[i], 1));
        living += holdings.blocks;
    }
    shmheap_stats stats = test_stat(stage->mem);
    CHECK_LE(living + estate->count, stats.used_blocks);
    CHECK_LE(stats.used_blocks, living + estate->count + estate->unsure_max);
    for (size_t i = 0; i < estate->count; i++)
        CHECK(test_filled(place(stage->mem, &estate->objects[i]), estate->objects[i].len,
                          estate->objects[i].mark));
}

static int free_block(const shmheap_block_info *block, void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    if (block->state == SHMHEAP_STATE_FREE)
        return 0;
    return shmheap_try_free(mem, (char *)shmheap_underlying(mem) + block->offset);
}

/* The remaining blocks were held by dead processes, and their bytes are all that is missing. */
static void check_lost(struct stage *stage, const struct estate *estate)
{
    shmheap_stats stats = test_stat(stage->mem);
    CHECK_SOUND(stage->mem);
    CHECK_EQ(stats.used_bytes + stats.free_bytes, (stats.len - 8) / 16 * 16);
    CHECK_LE(estate->count, stats.used_blocks);
    CHECK_LE(stats.used_blocks, estate->count + estate->unsure_max);
    CHECK_LE(estate->bytes, stats.used_bytes);
    CHECK_LE(stats.used_bytes, estate->bytes + estate->unsure_max * 512);
    printf("  %zu deaths, %llu of them inside the lock; the dead hold %llu blocks, %llu bytes, of "
           "which %llu blocks were "
           "in the making\n",
           test_quarter(DEATHS), (unsigned long long)stats.recoveries,
           (unsigned long long)stats.used_blocks, (unsigned long long)stats.used_bytes,
           (unsigned long long)(stats.used_blocks - estate->count));
    printf("  last recovery %.3f ms\n", (double)stats.last_recovery_ns / 1e6);
    CHECK_EQ(stats.dead, test_quarter(DEATHS));
    CHECK_EQ(shmheap_walk(stage->mem, free_block, &stage->mem), 0);
    test_check_empty(stage->mem);
}

static void crew_end(struct stage *stage, const pid_t *pids, const struct estate *estate)
{
    stage->stop = 1;
    test_barrier_wait(&stage->end);
    check_balance(stage, estate);
    test_barrier_wait(&stage->end);
    for (unsigned i = 0; i < CREW; i++)
        test_join(pids[i]);
}

static void a_thousand_deaths(void)
{
    static struct estate estate;
    struct stage *stage = test_shared(sizeof *stage);
    pid_t pids[CREW];
    shmheap_options options = {.len = LEN, .max_len = MAX_LEN, .flags = SHMHEAP_CREATE};
    stage->name = test_name();
    CHECK_EQ(shmheap_open(&stage->mem, stage->name, &options), 0);
    test_barrier_begin(&stage->end, CREW + 1);
    for (unsigned i = 0; i < CREW; i++)
        pids[i] = start(stage, i);
    deaths(stage, pids, &estate);
    crew_end(stage, pids, &estate);
    for (unsigned i = WORKERS; i < CREW; i++)
        printf("  survivor %u: %llu operations, the longest took %.3f ms, the longest pause "
               "between two %.3f ms\n",
               i - WORKERS, (unsigned long long)stage->ledgers[i].operations,
               (double)stage->ledgers[i].longest_ns / 1e6,
               (double)stage->ledgers[i].pause_ns / 1e6);
    check_lost(stage, &estate);
    shmheap_destroy(stage->name, stage->mem);
    test_unshare(stage, sizeof *stage);
}

static const struct test tests[] = {TEST(a_thousand_deaths)};
TEST_MAIN(tests)
