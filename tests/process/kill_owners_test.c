/* A thousand processes that allocate, free, resize, send and receive are killed at random instants, and what they held is
 * reaped: nothing is lost, and no object ever has two owners.
 * SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/support/test.h"

enum {
    DEATHS = 1000,
    WORKERS = 4,
    HELD = 48,
    RING = 64, /* handles in transit at once, but for those whose sender died before it told */
    LEN_AMPLE = 4 << 20,
    LEN_SHORT =
        64
        << 10, /* less than all together want: allocs fail, and caches are taken back, all the time */
    GRANULE = 16,
    GRANULES = LEN_AMPLE / GRANULE,
    OPERATIONS_BEFORE_DEATH = 1000,
    SPIN_BEFORE_DEATH = 30000,
    REAPED_EVERY = 300 /* operations of a worker: its own reaping may be what it dies in */
};

/* What each object holds: who has it, and contents that follow from serial. */
struct mark {
    uint64_t owner, serial, len;
};

/* struct stage is shared by the parent and all workers. */
struct stage {
    const char *name;
    unsigned flags, threads;
    size_t len;
    shmheap_memory_handle mem;
    volatile int stop;
    int ready[WORKERS][2]; /* pipes: a byte from each worker that is to be killed soon */
    uint64_t allocs, batches, refused, resizes, moves, sends, receives, stale, reaps, reaped;
    uint64_t ring[RING];                       /* handles; 0: empty */
    volatile char dying[DEATHS + WORKERS + 1]; /* by owner: its end has been ordered */
    uint32_t owner_at[GRANULES];               /* by the granule of the payload; 0: nobody */
};

/* struct worker is private. owner numbers all workers that ever were, from 1. */
struct worker {
    struct stage *stage;
    shmheap_memory_handle mem;
    uint32_t owner;
    uint64_t serial;
    struct test_random random;
    char *held[HELD];
};

static void count(uint64_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

static uint32_t *owner_at(const struct worker *worker, const char *ptr)
{
    return &worker->stage->owner_at[test_offset(worker->mem, ptr) / GRANULE];
}

/* The object is ours from now on: nobody else may have it, but one who is dead, or about to be. */
static void own(struct worker *worker, char *ptr)
{
    uint32_t before = __atomic_exchange_n(owner_at(worker, ptr), worker->owner, __ATOMIC_ACQ_REL);
    CHECK(before != worker->owner);
    if (before != 0 && !worker->stage->dying[before])
        test_fail(__FILE__, __LINE__, "object at %llu of worker %u was given to worker %u as well",
                  (unsigned long long)test_offset(worker->mem, ptr), before, worker->owner);
}

/* Before the call that gives it away: after it another may have it at once. */
static void disown(struct worker *worker, char *ptr)
{
    uint32_t before = __atomic_exchange_n(owner_at(worker, ptr), 0, __ATOMIC_ACQ_REL);
    CHECK_EQ(before, worker->owner);
}

static void mark_write(struct worker *worker, char *ptr, uint64_t len)
{
    struct mark mark = {worker->owner, worker->serial++, len};
    memcpy(ptr, &mark, sizeof mark);
    test_fill(ptr + sizeof mark, (size_t)len, mark.owner << 40 ^ mark.serial);
}

/* The first len bytes of contents are as owner left them; owner 0: whoever it was. */
static struct mark mark_check(const char *ptr, uint64_t owner, uint64_t len)
{
    struct mark mark;
    memcpy(&mark, ptr, sizeof mark);
    CHECK(mark.owner != 0 && (owner == 0 || mark.owner == owner));
    len = len < mark.len ? len : mark.len;
    CHECK(test_filled(ptr + sizeof mark, (size_t)len, mark.owner << 40 ^ mark.serial));
    return mark;
}

static void check_no_room(struct worker *worker)
{
    CHECK_EQ(errno, ENOMEM);
    CHECK_EQ(worker->stage->len, LEN_SHORT);
    count(&worker->stage->refused);
}

static char *make(struct worker *worker)
{
    uint64_t len = test_random_below(&worker->random, 600);
    char *ptr = shmheap_alloc(worker->mem, sizeof(struct mark) + (size_t)len);
    if (ptr == NULL) {
        check_no_room(worker);
        return NULL;
    }
    own(worker, ptr);
    mark_write(worker, ptr, len);
    count(&worker->stage->allocs);
    return ptr;
}

static char *drop(struct worker *worker, char *ptr)
{
    disown(worker, ptr);
    CHECK_EQ(shmheap_try_free(worker->mem, ptr), 0);
    return NULL;
}

static char *resize(struct worker *worker, char *ptr)
{
    uint64_t len = test_random_below(&worker->random, 900);
    disown(worker,
           ptr); /* where it moves, another may have the old place before the call returns */
    char *now = shmheap_realloc(worker->mem, ptr, sizeof(struct mark) + (size_t)len);
    if (now == NULL) {
        check_no_room(worker);
        own(worker, ptr);
        return ptr;
    }
    own(worker, now);
    mark_check(now, worker->owner, len & ~(uint64_t)7);
    mark_write(worker, now, len);
    count(now == ptr ? &worker->stage->resizes : &worker->stage->moves);
    return now;
}

/* After this a reaping leaves it, unless it is asked for those too. */
static char *share(struct worker *worker, char *ptr)
{
    CHECK_PTR(shmheap_handle_to_ptr(worker->mem, shmheap_ptr_to_handle(worker->mem, ptr)), ptr);
    return ptr;
}

/* Claims what an entry of the ring names: the object, or NULL when the entry is empty or another was faster. The entry
 * is cleared after the claim, so that a death in between leaves a stale handle there and not an object nobody can name. */
static char *claim(struct worker *worker, uint64_t *entry)
{
    shmheap_object_handle handle = {__atomic_load_n(entry, __ATOMIC_ACQUIRE)};
    uint64_t seen = handle.bits;
    if (seen == 0)
        return NULL;
    char *ptr = shmheap_receive(worker->mem, handle);
    if (ptr == NULL)
        CHECK_EQ(errno, ESTALE);
    __atomic_compare_exchange_n(entry, &seen, 0, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    if (ptr == NULL) {
        count(&worker->stage->stale);
        return NULL;
    }
    CHECK_REFUSED(shmheap_receive(worker->mem, handle) == NULL, ESTALE);
    own(worker, ptr);
    struct mark mark = mark_check(ptr, 0, UINT64_MAX);
    mark_write(worker, ptr, mark.len);
    count(&worker->stage->receives);
    return ptr;
}

static char *receive(struct worker *worker)
{
    return claim(worker, &worker->stage->ring[test_random_below(&worker->random, RING)]);
}

/* NULL, or the object when the ring had no room for its handle. */
static char *send_it(struct worker *worker, char *ptr)
{
    uint64_t first = test_random_below(&worker->random, RING);
    disown(worker, ptr);
    shmheap_object_handle handle = shmheap_send(worker->mem, ptr);
    CHECK(handle.bits != 0);
    count(&worker->stage->sends);
    for (unsigned i = 0; i < RING; i++) {
        uint64_t empty = 0;
        if (__atomic_compare_exchange_n(&worker->stage->ring[(first + i) % RING], &empty,
                                        handle.bits, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return NULL;
    }
    CHECK_PTR(shmheap_receive(worker->mem, handle), ptr); /* nobody else can know it */
    own(worker, ptr);
    return ptr;
}

/* Several at once, and all of them back at once. */
static char *make_and_drop_many(struct worker *worker)
{
    enum { MANY = 12 };
    void *many[MANY];
    uint64_t len = test_random_below(&worker->random, 200);
    size_t got = shmheap_alloc_many(worker->mem, sizeof(struct mark) + (size_t)len, MANY, many);
    if (got < MANY)
        check_no_room(worker);
    for (size_t i = 0; i < got; i++) {
        own(worker, many[i]);
        mark_write(worker, many[i], len);
    }
    for (size_t i = 0; i < got; i++) {
        mark_check(many[i], worker->owner, len);
        disown(worker, many[i]);
    }
    CHECK_EQ(shmheap_free_many(worker->mem, many, got), got);
    count(&worker->stage->batches);
    return NULL;
}

static char *operate(struct worker *worker, char *ptr)
{
    uint64_t choice = test_random_below(&worker->random, 8);
    if (ptr == NULL)
        return choice < 3    ? receive(worker)
               : choice == 3 ? make_and_drop_many(worker)
                             : make(worker);
    mark_check(ptr, worker->owner, UINT64_MAX);
    CHECK_EQ(__atomic_load_n(owner_at(worker, ptr), __ATOMIC_ACQUIRE), worker->owner);
    switch (choice) {
        case 0:
            return share(worker, ptr);
        case 1:
        case 2:
            return resize(worker, ptr);
        case 3:
        case 4:
            return send_it(worker, ptr);
        case 5:
            mark_write(worker, ptr, ((struct mark *)(void *)ptr)->len);
            return ptr;
        default:
            return drop(worker, ptr);
    }
}

static void reap_sometimes(struct worker *worker)
{
    if (test_random_below(&worker->random, REAPED_EVERY) != 0)
        return;
    long freed = shmheap_reap(worker->mem, 0);
    CHECK(freed >= 0);
    count(&worker->stage->reaps);
    __atomic_fetch_add(&worker->stage->reaped, (uint64_t)freed, __ATOMIC_RELAXED);
}

static shmheap_memory_handle connect_again(const struct stage *stage)
{
    const shmheap_options options = {.flags = stage->flags};
    shmheap_memory_handle mem;
    CHECK_EQ(shmheap_open(&mem, stage->name, &options), 0);
    return mem;
}

/* One operation after the other; who lives to the end frees what it holds. until: when to say that it may be killed. */
static void work(struct worker *worker, unsigned place, uint64_t until)
{
    struct stage *stage = worker->stage;
    for (uint64_t operations = 1; !stage->stop; operations++) {
        char **held = &worker->held[test_random_below(&worker->random, HELD)];
        *held = operate(worker, *held);
        reap_sometimes(worker);
        if (operations == until)
            CHECK_EQ(write(stage->ready[place][1], "r", 1), 1);
    }
    for (unsigned i = 0; i < HELD; i++)
        if (worker->held[i] != NULL) {
            mark_check(worker->held[i], worker->owner, UINT64_MAX);
            drop(worker, worker->held[i]);
        }
}

/* Of one process: one owner, and one connection, but each holds objects of its own. */
static void *work_besides(void *context)
{
    work(context, 0, 0);
    return NULL;
}

static struct worker worker_make(struct stage *stage, uint32_t owner, uint64_t stream,
                                 shmheap_memory_handle mem)
{
    return (struct worker){
        .stage = stage, .owner = owner, .random = test_random_begin(stream), .mem = mem};
}

/* A process of one or two threads. Half of them go on with the connection that they inherited. */
static void run_process(struct stage *stage, unsigned place, uint32_t owner)
{
    shmheap_memory_handle mem = owner % 2 ? stage->mem : connect_again(stage);
    struct worker first = worker_make(stage, owner, 2 * owner, mem),
                  second = worker_make(stage, owner, 2 * owner + 1, mem);
    pthread_t thread;
    if (stage->threads == 2)
        CHECK_EQ(pthread_create(&thread, NULL, work_besides, &second), 0);
    work(&first, place, 1 + test_random_below(&first.random, OPERATIONS_BEFORE_DEATH));
    if (stage->threads == 2)
        CHECK_EQ(pthread_join(thread, NULL), 0);
    shmheap_disconnect(mem);
}

struct role {
    struct stage *stage;
    unsigned place;
    uint32_t owner;
};

static void play(void *context)
{
    const struct role *role = context;
    run_process(role->stage, role->place, role->owner);
}

static pid_t start(struct stage *stage, unsigned place, uint32_t owner)
{
    struct role role = {stage, place, owner};
    return test_fork(play, &role);
}

/* At some instant of its work: after some operations, and then at any instruction. */
static void kill_in_the_middle(struct stage *stage, unsigned place, uint32_t owner, pid_t pid,
                               struct test_random *random)
{
    char byte;
    CHECK_EQ(read(stage->ready[place][0], &byte, 1), 1);
    volatile uint64_t spin = test_random_below(random, SPIN_BEFORE_DEATH);
    while (spin > 0)
        spin--;
    /* Before the end, since the others may reap, and be given, what it held as soon as it is dead. */
    stage->dying[owner] = 1;
    test_kill(pid);
}

/* Blocks of the dead, whose slots were given away by the reaping. */
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

/* What only the dead knew goes at once, what others may know when it is asked for; what is in transit stays. */
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
    size_t rounds = test_rounds(DEATHS);
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
    shmheap_object_handle handle = {transit->tag | (uint64_t)block->stamp << 36 |
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

/* All that is still on its way arrives; each was received once, so that nothing of the ring is there twice. */
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
             test_rounds(DEATHS)); /* at most one sender a death between sending and telling */
    printf("  received at the end: %llu from the ring, %llu of which nobody had been told\n",
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
           test_rounds(DEATHS), (unsigned long long)stage->allocs,
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

static void a_thousand_deaths_in(size_t len, unsigned flags, unsigned threads)
{
    struct stage *stage = test_shared(sizeof *stage);
    open_stage(stage, len, flags, threads);
    run(stage);
    CHECK_EQ(shmheap_unlink(stage->name), 0);
    test_unshare(stage, sizeof *stage);
}

static void exact_processes(void) { a_thousand_deaths_in(LEN_AMPLE, 0, 1); }
static void exact_processes_in_want(void) { a_thousand_deaths_in(LEN_SHORT, 0, 1); }
static void threads_in_want(void) { a_thousand_deaths_in(LEN_SHORT, 0, 2); }
static void cached_processes(void) { a_thousand_deaths_in(LEN_AMPLE, SHMHEAP_CACHED, 1); }
static void cached_processes_in_want(void) { a_thousand_deaths_in(LEN_SHORT, SHMHEAP_CACHED, 1); }
static void threads_with_caches(void) { a_thousand_deaths_in(LEN_AMPLE, SHMHEAP_CACHED, 2); }
static void threads_with_caches_in_want(void)
{
    a_thousand_deaths_in(LEN_SHORT, SHMHEAP_CACHED, 2);
}

static const struct test tests[] = {TEST(exact_processes),
                                    TEST(exact_processes_in_want),
                                    TEST(cached_processes),
                                    TEST(cached_processes_in_want),
                                    TEST(threads_in_want),
                                    TEST(threads_with_caches),
                                    TEST(threads_with_caches_in_want)};
TEST_MAIN(tests)
