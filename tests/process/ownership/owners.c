/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/process/ownership/owners.h"

#include <unistd.h>

static void count(uint64_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

static uint32_t *owner_at(const struct worker *worker, const char *ptr)
{
    return &worker->stage->owner_at[test_offset(worker->mem, ptr) / GRANULE];
}

/* The object is ours from now on: only a worker that is dead, or about to die, may be noted as its
 * owner. */
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

struct mark mark_check(const char *ptr, uint64_t owner, uint64_t len)
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

/* From here on only a reaping with SHMHEAP_REAP_SHARED takes the object. */
static char *share(struct worker *worker, char *ptr)
{
    CHECK_PTR(shmheap_handle_to_ptr(worker->mem, shmheap_ptr_to_handle(worker->mem, ptr)), ptr);
    return ptr;
}

/* Claims the object that an entry of the ring names; NULL when the entry is empty or another worker
 * was faster. The entry is cleared after the claim: a death in between leaves a stale handle there,
 * instead of an object without a handle. */
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
    CHECK_PTR(shmheap_receive(worker->mem, handle), ptr); /* no other worker can know it */
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

/* One operation after the other; a worker that lives to the end frees what it holds. until: when to
 * say that it may be killed. */
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

static void play(void *context)
{
    const struct role *role = context;
    run_process(role->stage, role->place, role->owner);
}

pid_t start(struct stage *stage, unsigned place, uint32_t owner)
{
    struct role role = {stage, place, owner};
    return test_fork(play, &role);
}
