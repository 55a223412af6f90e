/* What an operation costs stays what it was, whatever other processes do: a full heap, sizes that never fit, threads that wait, names that
 * come and go. Costs are counted, not timed: loads of shared words, and calls of the kernel.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "c/src/segment/connection.h"
#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum {
    OBJECTS = 20000,
    OBJECT_LEN = 48,
    LEN = OBJECTS * 64,
    LARGE = 5000,
    TRIES = 100,
    LOADS_EACH = 600,
    NAMES = 1024
};

void (*shmheap_load_hook)(const void *word);

/* Counts --------------------------------------------------------------- */

static struct {
    uint64_t loads, barriers, wakes, woken, lock_questions, reservations;
} counted;
static const uint32_t *waited_on; /* the futex whose wakes count */

static const void *lock_word; /* a load of it parts the counts of loads */
static uint64_t loads_before, loads_longest;

static void count_load(const void *word)
{
    counted.loads += word != NULL;
    if (word != lock_word || word == NULL)
        return;
    loads_longest =
        counted.loads - loads_before > loads_longest ? counted.loads - loads_before : loads_longest;
    loads_before = counted.loads;
}

static long count_syscall(long number, long *a)
{
    long result = wrap_syscall_real(number, a);
    counted.barriers += number == SYS_membarrier;
    if (number == SYS_futex && (uint32_t *)a[0] == waited_on &&
        ((int)a[1] == FUTEX_WAKE || (int)a[1] == FUTEX_WAKE_BITSET)) {
        counted.wakes++;
        counted.woken += result > 0 ? (uint64_t)result : 0;
    }
    return result;
}

static int count_fcntl(int fd, int command, void *argument)
{
    counted.lock_questions += command == F_OFD_GETLK;
    return wrap_fcntl_real(fd, command, argument);
}

int __real_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len);
int __wrap_fallocate(int fd, int mode, off_t from, off_t len)
{
    counted.reservations++;
    return __real_fallocate(fd, mode, from, len);
}

static void count_begin(void)
{
    memset(&counted, 0, sizeof counted);
    shmheap_load_hook = count_load;
    wrap_syscall = count_syscall;
    wrap_fcntl = count_fcntl;
}

static void count_end(void) { shmheap_load_hook = NULL; }

/* A full heap ----------------------------------------------------------- */

static shmheap_memory_handle full_heap(unsigned flags, void **an_object)
{
    shmheap_memory_handle mem;
    shmheap_options options = {.len = LEN, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
    unsigned count = 0;
    for (void *ptr; (ptr = shmheap_alloc(mem, OBJECT_LEN)) != NULL; count++)
        *an_object = ptr;
    CHECK(count > OBJECTS / 2);
    return mem;
}

/* Each call that allocates. What is had nevertheless is given back. */
static void *by_alloc(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_alloc(mem, LARGE);
}
static void *by_calloc(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_calloc(mem, 5, LARGE / 5);
}
static void *by_aligned(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_aligned_alloc(mem, 1024, LARGE);
}
static void *by_realloc(shmheap_memory_handle mem, void *object)
{
    return shmheap_realloc(mem, object, LARGE);
}
static void *by_name(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_alloc_named(mem, "name", LARGE);
}
static void *by_wait(shmheap_memory_handle mem, void *object)
{
    return (void)object, shmheap_alloc_wait(mem, LARGE, 0);
}

static void *by_many(shmheap_memory_handle mem, void *object)
{
    void *ptrs[3] = {NULL, object, object};
    return shmheap_alloc_many(mem, LARGE, 3, ptrs) != 0 ? ptrs[0] : NULL;
}

static void pairs(shmheap_memory_handle mem, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        void *ptr = shmheap_alloc(mem, 100);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
}

static void *(*const ways[])(shmheap_memory_handle mem, void *object) = {
    by_alloc, by_calloc, by_aligned, by_realloc, by_name, by_wait, by_many};
enum { WAYS = sizeof ways / sizeof *ways };

static void a_failing_alloc_does_not_walk(void)
{
    static const unsigned kinds[] = {0, SHMHEAP_REAP, SHMHEAP_CACHED,
                                     SHMHEAP_REAP | SHMHEAP_CACHED};
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        void *object = NULL;
        shmheap_memory_handle mem = full_heap(kinds[kind], &object);
        CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL,
                      ENOMEM); /* this one may have something to find */
        for (unsigned way = 0; way < WAYS; way++) {
            count_begin();
            for (unsigned i = 0; i < TRIES; i++)
                CHECK_REFUSED(ways[way](mem, object) == NULL, ENOMEM);
            count_end();
            CHECK_LE(counted.loads, TRIES * LOADS_EACH);
            CHECK_EQ(counted.barriers, 0);
        }
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Between allocs that fail another thread goes on with its cache, the thread itself here: the walks are few for what it does. */
static void asking_is_in_proportion_to_what_caches_do(void)
{
    enum { ROUNDS = 200, PAIRS = 100 };
    void *object = NULL;
    shmheap_memory_handle mem = full_heap(SHMHEAP_CACHED, &object);
    uint64_t blocks = test_stat(mem).used_blocks, walks = 0;
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned k = 0; k < PAIRS; k++) {
            CHECK_EQ(shmheap_try_free(mem, object), 0);
            CHECK((object = shmheap_alloc(mem, OBJECT_LEN)) != NULL);
        }
        count_begin();
        CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL, ENOMEM);
        count_end();
        walks += counted.loads > blocks;
    }
    /* A walk for each eighth of the blocks, as calls without the cache, and one for the first. */
    CHECK_LE(walks, 1 + ROUNDS * 2 * PAIRS / (blocks / 8));
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static int own_cached(const shmheap_process_info *process, void *context)
{
    *(uint64_t *)context += process->cached_blocks;
    return 0;
}

static uint64_t cached_blocks(shmheap_memory_handle mem)
{
    uint64_t blocks = 0;
    CHECK_EQ(shmheap_processes(mem, own_cached, &blocks), 0);
    return blocks;
}

/* No size that an empty heap has no room for is looked for, and caches keep what they have. */
static void what_never_fits_disturbs_nothing(void)
{
    static const size_t sizes[] = {SIZE_MAX,     SIZE_MAX / 2,
                                   SIZE_MAX / 4, (size_t)1 << (sizeof(size_t) > 4 ? 40 : 30),
                                   LEN + 1,      LEN - 8};
    void *object = NULL, *ptrs[2];
    shmheap_memory_handle mem = full_heap(SHMHEAP_CACHED | SHMHEAP_REAP, &object);
    CHECK((object = shmheap_realloc(mem, object, 16)) != NULL);
    for (unsigned i = 0; i < 2000 && cached_blocks(mem) == 0; i++) {
        void *ptr = shmheap_alloc(mem, 8);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    }
    uint64_t kept = cached_blocks(mem);
    CHECK(kept != 0);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        count_begin();
        CHECK_REFUSED(shmheap_alloc(mem, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_calloc(mem, 2, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_aligned_alloc(mem, 1024, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_realloc(mem, object, size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_alloc_many(mem, size, 2, ptrs) == 0, ENOMEM);
        CHECK_REFUSED(shmheap_alloc_named(mem, "name", size) == NULL, ENOMEM);
        CHECK_REFUSED(shmheap_alloc_wait(mem, size, -1) == NULL, ENOMEM);
        count_end();
        CHECK_EQ(counted.barriers, 0);
        CHECK_EQ(counted.lock_questions, 0);
        CHECK_LE(counted.loads, 7 * LOADS_EACH);
        CHECK_EQ(cached_blocks(mem), kept);
    }
    /* Aligned, it would fit only where no aligned address is. */
    count_begin();
    CHECK_REFUSED(shmheap_aligned_alloc(mem, 4096, LEN - 1024) == NULL, ENOMEM);
    count_end();
    CHECK_EQ(counted.barriers, 0);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* A peer writes anything where the lines of caches are linked: they are found by a walk, and nothing is lost. */
static void a_damaged_list_of_caches_is_made_anew(void)
{
    for (unsigned damage = 0; damage < 4; damage++) {
        shmheap_memory_handle mem;
        shmheap_options options = {.len = LEN,
                                   .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
        CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
        for (unsigned i = 0; i < 20; i++)
            CHECK_EQ(shmheap_try_free(mem, shmheap_alloc(mem, OBJECT_LEN)), 0);
        CHECK(cached_blocks(mem) != 0);
        struct control *control = mem.heap->control;
        uint64_t first = control->cache_lines;
        CHECK(first != 0);
        struct cache_line *line =
            (void *)(mem.heap->region + 16 + ((first - 1) << mem.heap->shift));
        CHECK_EQ(line->kind, INTERNAL_CACHE);
        if (damage == 0)
            line->next = first; /* a ring */
        else
            control->cache_lines = damage == 1 ? 0 : damage == 2 ? UINT64_MAX : first + 1;
        CHECK_REFUSED(shmheap_alloc(mem, LEN - 64) == NULL, ENOMEM);
        CHECK_EQ(cached_blocks(mem), 0);
        CHECK_EQ(control->cache_lines, first);
        CHECK_EQ(line->next, 0);
        pairs(mem, 1000); /* the thread knows that its blocks are gone */
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* The same of the hints: calls end, as they would. */
static void wrong_hints_do_no_harm(void)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_MAX / 2, UINT64_C(0x100000001)};
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        void *object = NULL;
        shmheap_memory_handle mem = full_heap(SHMHEAP_REAP, &object);
        struct hints *hints = connection_hints(mem.heap);
        hints->reap_wanted = hints->reap_after_ns = hints->reclaim_after_ns = values[i];
        for (unsigned class = 0; class < WAIT_CLASSES; class ++)
            hints->wait_least[class] = (uint32_t)values[i];
        mem.heap->control->wait_sleepers = 1;
        CHECK_REFUSED(shmheap_alloc(mem, LARGE) == NULL, ENOMEM);
        CHECK_EQ(shmheap_try_free(mem, object), 0);
        CHECK_PTR(shmheap_alloc(mem, OBJECT_LEN), object);
        CHECK_REFUSED(shmheap_alloc_wait(mem, LARGE, 1) == NULL, ETIMEDOUT);
        CHECK_SOUND(mem);
        shmheap_disconnect(mem);
    }
}

/* Deaths ---------------------------------------------------------------- */

enum { DEATHS = 5 };

struct holder {
    shmheap_memory_handle mem;
    struct test_barrier *full; /* of this round: a process that is killed may not have left it */
    struct test_barrier barriers[DEATHS];
};

static void takes_all(void *context)
{
    struct holder *holder = context;
    while (shmheap_alloc(holder->mem, OBJECT_LEN) != NULL)
        continue;
    test_barrier_wait(holder->full);
    for (;;)
        pause();
}

static void a_death_is_found_by_the_next_alloc(void)
{
    struct holder *holder = test_shared(sizeof *holder);
    shmheap_options options = {.len = LEN,
                               .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_REAP};
    CHECK_EQ(shmheap_open(&holder->mem, NULL, &options), 0);
    for (unsigned i = 0; i < DEATHS; i++) {
        holder->full = &holder->barriers[i];
        test_barrier_begin(holder->full, 2);
        pid_t pid = test_fork(takes_all, holder);
        test_barrier_wait(holder->full);
        for (unsigned k = 0; k < TRIES; k++)
            CHECK_REFUSED(shmheap_alloc(holder->mem, LARGE) == NULL, ENOMEM);
        test_kill(pid);
        void *ptr = shmheap_alloc(holder->mem, LARGE);
        CHECK(ptr != NULL);
        CHECK_EQ(shmheap_try_free(holder->mem, ptr), 0);
        test_check_empty(holder->mem);
    }
    shmheap_disconnect(holder->mem);
    test_unshare(holder, sizeof *holder);
}

/* With many processes the question who lives is asked once, until some time has passed. */
static void who_lives_is_not_asked_each_time(void)
{
    enum { CONNECTIONS = 40 };
    shmheap_memory_handle mems[CONNECTIONS];
    void *object = NULL;
    mems[0] = full_heap(SHMHEAP_REAP, &object);
    for (unsigned i = 1; i < CONNECTIONS; i++)
        CHECK_EQ(shmheap_open_fd(&mems[i], shmheap_fd_writable(mems[0]), NULL), 0);
    wrap_clock_stop();
    count_begin();
    for (unsigned i = 0; i < TRIES; i++)
        CHECK_REFUSED(shmheap_alloc(mems[i % CONNECTIONS], LARGE) == NULL, ENOMEM);
    CHECK_LE(counted.lock_questions, 3 * CONNECTIONS);
    counted.lock_questions = 0;
    wrap_clock.tv_sec++;
    CHECK_REFUSED(shmheap_alloc(mems[0], LARGE) == NULL, ENOMEM);
    count_end();
    CHECK(counted.lock_questions >= CONNECTIONS - 1);
    wrap_clock.tv_sec = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++)
        shmheap_disconnect(mems[i]);
}

/* Caches of others ------------------------------------------------------ */

enum { CACHED_PEERS = 8, PACE_MOST = 63 + 64 * CACHED_PEERS + CACHED_PEERS };

/* So many connections have each a line for the cache of this thread, in a heap that is full then. */
static void full_heap_with_lines(shmheap_memory_handle *mem, shmheap_memory_handle *peers,
                                 void **objects)
{
    const shmheap_options cached = {.flags = SHMHEAP_CACHED};
    *mem = full_heap(0, objects);
    for (unsigned i = 1; i < 64 * CACHED_PEERS;
         i++) /* from the end on: its neighbours are free then */
        CHECK_EQ(shmheap_try_free(*mem, (char *)*objects - 64 * i), 0);
    for (unsigned i = 0; i < CACHED_PEERS; i++) {
        CHECK_EQ(shmheap_open_fd(&peers[i], shmheap_fd_writable(*mem), &cached), 0);
        CHECK_EQ(shmheap_try_free(peers[i], shmheap_alloc(peers[i], OBJECT_LEN)), 0);
    }
    while (shmheap_alloc(*mem, OBJECT_LEN) != NULL)
        continue;
}

/* The processes that have lines are asked after the more seldom the more often there was nothing to find. */
static void owners_of_caches_are_asked_seldom(void)
{
    shmheap_memory_handle mem, peers[CACHED_PEERS];
    void *object = NULL;
    full_heap_with_lines(&mem, peers, &object);
    CHECK(mem.heap->control->cache_lines != 0);
    for (unsigned way = 0; way < 2; way++) {
        count_begin();
        for (unsigned i = 0; i < 10 * TRIES; i++)
            CHECK_REFUSED(shmheap_alloc(mem, way == 0 ? LARGE : OBJECT_LEN) == NULL, ENOMEM);
        count_end();
        CHECK_LE(counted.lock_questions, 10 * CACHED_PEERS); /* after the 1st, 3rd, 7th ... 511th */
        CHECK_LE(counted.loads, 10 * TRIES * LOADS_EACH);
    }
    for (unsigned i = 0; i < CACHED_PEERS; i++)
        shmheap_disconnect(peers[i]);
    shmheap_disconnect(mem);
}

struct line_owner {
    shmheap_memory_handle mem;
    struct test_barrier ready;
};

static void has_a_line(void *context)
{
    struct line_owner *owner = context;
    CHECK_EQ(shmheap_try_free(owner->mem, shmheap_alloc(owner->mem, OBJECT_LEN)), 0);
    test_barrier_wait(&owner->ready);
    for (;;)
        pause();
}

/* What a dead process had for its cache is found all the same, after some allocs that fail. */
static void lines_of_the_dead_come_back_to_one_that_polls(void)
{
    struct line_owner *owner = test_shared(sizeof *owner);
    const shmheap_options options = {.len = LEN,
                                     .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_CACHED};
    CHECK_EQ(shmheap_open(&owner->mem, NULL, &options), 0);
    test_barrier_begin(&owner->ready, 2);
    pid_t pid = test_fork(has_a_line, owner);
    test_barrier_wait(&owner->ready);
    for (unsigned i = 0; i < 10 * TRIES; i++)
        CHECK_REFUSED(shmheap_alloc(owner->mem, LEN - 64) == NULL, ENOMEM);
    test_kill(pid);
    unsigned tries = 1;
    while (shmheap_alloc(owner->mem, LEN - 64) == NULL && tries <= PACE_MOST)
        tries++;
    CHECK_LE(tries, PACE_MOST);
    CHECK_SOUND(owner->mem);
    shmheap_disconnect(owner->mem);
    test_unshare(owner, sizeof *owner);
}

/* Aligned objects ------------------------------------------------------- */

/* Every other object is free, and in none of these places an aligned object fits: the search looks at 64 granules at a time. */
static void an_aligned_alloc_that_fails_looks_at_chunks(void)
{
    static const struct {
        size_t len, alignment, loads_of_a_chunk;
    } kinds[] = {{OBJECT_LEN, 64, 8}, {OBJECT_LEN, 4096, 6}, {2000, 4096, 4}};
    for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        const size_t len = kinds[kind].len, alignment = kinds[kind].alignment;
        shmheap_memory_handle mem = test_anonymous(OBJECTS * (len + 16), 0, 16);
        void **objects = malloc(OBJECTS * sizeof *objects);
        unsigned count = 0;
        CHECK(objects != NULL);
        while (shmheap_alloc(mem, 16) != NULL &&
               test_stat(mem).used_blocks % 4 != 1) /* aligned places lie inside of objects */
            continue;
        while (count < OBJECTS && (objects[count] = shmheap_alloc(mem, len)) != NULL)
            count++;
        for (size_t rest = 1024; rest != 0; rest /= 2)
            while (shmheap_alloc(mem, rest) != NULL)
                continue;
        for (unsigned i = 0; i < count; i += 2)
            if ((uintptr_t)objects[i] % alignment != 0)
                CHECK_EQ(shmheap_try_free(mem, objects[i]), 0);
        shmheap_stats stats = test_stat(mem);
        CHECK(stats.free_blocks > OBJECTS / 4);
        count_begin();
        CHECK_REFUSED(shmheap_aligned_alloc(mem, alignment, len) == NULL, ENOMEM);
        count_end();
        CHECK_LE(counted.loads, LOADS_EACH + stats.len / 1024 * kinds[kind].loads_of_a_chunk);
        free(objects);
        shmheap_disconnect(mem);
    }
}

/* Looking --------------------------------------------------------------- */

static int counts_names(const shmheap_name_info *name, void *context)
{
    CHECK(name->name_len != 0);
    ++*(unsigned *)context;
    return 0;
}

static int counts_blocks(const shmheap_process_info *process, void *context)
{
    *(uint64_t *)context += process->blocks;
    return 0;
}

/* Showing names and processes gives the lock back again and again, and shows all the same. */
static void looking_lets_others_in(void)
{
    enum { BLOCKS = 100000, SOME = 100, PIECE_LOADS = 5 << 14 };
    shmheap_memory_handle mem = test_anonymous(BLOCKS * 40, 0, 16);
    char name[32];
    unsigned names = 0;
    uint64_t blocks = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        CHECK(shmheap_alloc(mem, 8) != NULL);
        snprintf(name, sizeof name, "n%u", i);
        CHECK(i % (BLOCKS / SOME) != 0 || shmheap_alloc_named(mem, name, 8) != NULL);
    }
    lock_word = &mem.heap->control->lock;
    loads_before = loads_longest = 0;
    count_begin();
    CHECK_EQ(shmheap_processes(mem, counts_blocks, &blocks), 0);
    CHECK_EQ(shmheap_names(mem, counts_names, &names), 0);
    count_end();
    lock_word = NULL;
    CHECK_EQ(names, SOME);
    CHECK(blocks >= BLOCKS);
    CHECK(counted.loads > 2 * BLOCKS);
    CHECK_LE(loads_longest, PIECE_LOADS);
    shmheap_disconnect(mem);
}

/* Waiting --------------------------------------------------------------- */

struct waiting {
    shmheap_memory_handle mem;
    size_t len;
    unsigned got;
};

static void waits(void *context)
{
    struct waiting *waiting = context;
    void *ptr = shmheap_alloc_wait(waiting->mem, waiting->len, -1);
    CHECK(ptr != NULL);
    __atomic_fetch_add(&waiting->got, 1, __ATOMIC_RELEASE);
    CHECK_EQ(shmheap_try_free(waiting->mem, ptr), 0);
}

/* Until so many sleep in the kernel: a wake of none of them says how many there are. */
static void until_asleep(const struct waiting *waiting, int count)
{
    uint32_t *futex = &waiting->mem.heap->control->wait_futex, other;
    int moved = 0;
    while (moved < count) {
        sched_yield();
        /* Moved to another futex and back: how many there were. One whose time ends between both is
         * not moved back; it will sleep again. */
        long away = syscall(SYS_futex, futex, FUTEX_REQUEUE, 0, (long)INT_MAX, &other, 0);
        moved = (int)syscall(SYS_futex, &other, FUTEX_REQUEUE, 0, (long)INT_MAX, futex, 0);
        CHECK(moved >= 0);
        CHECK_LE(moved, away);
    }
}

static struct waiting *waiting_begin(size_t len, unsigned flags, void **filler)
{
    struct waiting *waiting = test_shared(sizeof *waiting);
    shmheap_options options = {.len = 1 << 20, .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | flags};
    CHECK_EQ(shmheap_open(&waiting->mem, NULL, &options), 0);
    waiting->len = len;
    waited_on = &waiting->mem.heap->control->wait_futex;
    CHECK((*filler = shmheap_alloc(waiting->mem, 900000)) != NULL);
    return waiting;
}

static void waiting_end(struct waiting *waiting)
{
    CHECK_SOUND(waiting->mem);
    shmheap_disconnect(waiting->mem);
    test_unshare(waiting, sizeof *waiting);
}

static void a_free_that_serves_nobody_wakes_nobody(void)
{
    enum { WAITERS = 8 };
    void *filler;
    struct waiting *waiting = waiting_begin(500000, 0, &filler);
    pid_t pids[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++)
        pids[i] = test_fork(waits, waiting);
    until_asleep(waiting, WAITERS);
    count_begin();
    pairs(waiting->mem, TRIES);
    CHECK_EQ(counted.wakes, 0);
    CHECK_EQ(waiting->got, 0);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    count_end();
    CHECK_EQ(counted.wakes, 1);
    CHECK_EQ(counted.woken, 1);
    for (unsigned i = 0; i < WAITERS; i++)
        test_join(pids[i]); /* each wakes the next one */
    CHECK_EQ(waiting->got, WAITERS);
    waiting_end(waiting);
}

/* One whose need would be served, but who died: one wake finds that out. */
static void the_dead_are_not_woken_for_ever(void)
{
    void *filler;
    struct waiting *waiting = waiting_begin(500000, 0, &filler);
    pid_t alive = test_fork(waits, waiting);
    until_asleep(waiting, 1);
    waiting->len = 150000;
    pid_t dead = test_fork(waits, waiting);
    until_asleep(waiting, 2);
    test_kill(dead);
    void *part = shmheap_realloc(waiting->mem, filler, 800000);
    CHECK_PTR(part, filler);
    count_begin();
    pairs(waiting->mem, TRIES);
    CHECK_LE(counted.wakes, 2);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    count_end();
    test_join(alive);
    CHECK_EQ(waiting->got, 1);
    waiting_end(waiting);
}

/* Several sizes of one class: all that can be are served, and none keeps a free busy afterwards. */
static void all_that_fit_are_served(void)
{
    enum { WAITERS = 12 };
    void *filler;
    struct waiting *waiting = waiting_begin(0, 0, &filler);
    pid_t pids[WAITERS], too_large;
    waiting->len = 1000000;
    too_large = test_fork(waits, waiting);
    until_asleep(waiting, 1);
    for (unsigned i = 0; i < WAITERS; i++) {
        waiting->len = 400000 + 30000 * (i * 5 % WAITERS);
        pids[i] = test_fork(waits, waiting);
        until_asleep(waiting, 2 + (int)i);
    }
    void *rest = shmheap_alloc(waiting->mem, 100000);
    CHECK(rest != NULL);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    for (unsigned i = 0; i < WAITERS; i++)
        test_join(pids[i]);
    CHECK_EQ(waiting->got, WAITERS);
    until_asleep(waiting, 1);
    count_begin();
    pairs(waiting->mem, TRIES);
    count_end();
    CHECK_LE(counted.woken, 1); /* it says its need anew */
    CHECK_EQ(shmheap_try_free(waiting->mem, rest), 0);
    test_join(too_large);
    waiting_end(waiting);
}

/* Caches work on while a thread waits in vain. */
static void caches_work_while_a_thread_waits(void)
{
    void *filler;
    struct waiting *waiting = waiting_begin(500000, SHMHEAP_CACHED, &filler);
    pid_t pid = test_fork(waits, waiting);
    until_asleep(waiting, 1);
    pairs(waiting->mem, 1000); /* the first ones without */
    uint64_t allocs = test_stat(waiting->mem).allocs;
    pairs(waiting->mem, TRIES);
    CHECK_LE(test_stat(waiting->mem).allocs - allocs, TRIES / 4);
    CHECK_EQ(shmheap_try_free(waiting->mem, filler), 0);
    test_join(pid);
    waiting_end(waiting);
}

/* Names ----------------------------------------------------------------- */

static int is_as(shmheap_memory_handle mem, const shmheap_stats *before)
{
    shmheap_stats now = test_stat(mem);
    return now.used_bytes == before->used_bytes && now.largest_free == before->largest_free &&
           now.used_blocks == before->used_blocks;
}

static void *name_make(shmheap_memory_handle mem, unsigned i, size_t len)
{
    char text[32];
    snprintf(text, sizeof text, "size_%u", i);
    return shmheap_alloc_named(mem, text, len);
}

/* Names of any size come and go, in any order, while one stays. */
static void names_leave_the_heap_as_it_was(void)
{
    enum { HEAP = 512 << 20, ROUNDS = 4 };
    struct test_random random = test_random_begin(1);
    for (unsigned round = 0; round < test_rounds(10 * ROUNDS) / 10 + 1; round++) {
        shmheap_memory_handle mem;
        shmheap_options options = {.len = HEAP,
                                   .flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_SPARSE};
        void *names[NAMES];
        CHECK_EQ(shmheap_open(&mem, NULL, &options), 0);
        void *state = shmheap_alloc_named(mem, "state", 1048608);
        CHECK(state != NULL);
        shmheap_stats before = test_stat(mem);
        for (unsigned i = 0; i < NAMES; i++)
            CHECK((names[i] = name_make(mem, i, 1 + test_random_below(&random, 500000))) != NULL);
        for (unsigned i = 0; i < NAMES; i++) {
            unsigned k = i + (unsigned)test_random_below(&random, round != 0 ? NAMES - i : 1);
            CHECK_EQ(shmheap_try_free(mem, names[k]), 0);
            names[k] = names[i];
        }
        CHECK(is_as(mem, &before));
        CHECK_PTR(shmheap_find(mem, "state", NULL), state);
        CHECK_SOUND(mem);
        CHECK_EQ(shmheap_try_free(mem, state), 0);
        test_check_empty(mem);
        shmheap_disconnect(mem);
    }
}

/* A name that does not come leaves no larger table behind. */
static void a_name_that_fails_leaves_the_heap_as_it_was(void)
{
    shmheap_memory_handle mem = test_anonymous(1 << 20, 0, 0);
    unsigned failed = 0;
    for (unsigned i = 0; i < 64; i++) {
        CHECK(name_make(mem, i, 1000) != NULL);
        shmheap_stats before = test_stat(mem);
        CHECK_REFUSED(name_make(mem, NAMES, before.largest_free) == NULL, ENOMEM);
        CHECK(is_as(mem, &before));
        /* The object alone would fit, but perhaps not its record beside it, nor the larger table that the name may need. */
        void *made = name_make(mem, NAMES, before.largest_free - 8);
        failed += made == NULL;
        CHECK(made != NULL ? shmheap_try_free(mem, made) == 0 : is_as(mem, &before));
    }
    CHECK(failed > 16);
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

/* Growing --------------------------------------------------------------- */

enum { TMPFS_LEN = 16 << 20 };

/* In a file system with a limit: what it has not got is not reserved in vain. */
static void grows_in_little(void *context)
{
    const char *folder = context;
    char path[PATH_MAX];
    shmheap_memory_handle mem;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, "size=16m") != 0) {
        printf("  skipped: no file system can be mounted here\n");
        return;
    }
    CHECK(snprintf(path, sizeof path, "%s/heap", folder) < (int)sizeof path);
    shmheap_options options = {.len = TMPFS_LEN / 2,
                               .max_len = (size_t)1 << (sizeof(size_t) > 4 ? 32 : 28),
                               .flags = SHMHEAP_CREATE | SHMHEAP_FILE};
    CHECK_EQ(shmheap_open(&mem, path, &options), 0);
    count_begin();
    for (unsigned i = 0; i < TRIES; i++)
        CHECK_REFUSED(shmheap_alloc(mem, TMPFS_LEN) == NULL, ENOMEM);
    count_end();
    CHECK_EQ(counted.reservations, 0);
    CHECK(shmheap_alloc(mem, TMPFS_LEN / 2 + TMPFS_LEN / 4) !=
          NULL); /* and what it has can be had */
    CHECK_SOUND(mem);
    shmheap_disconnect(mem);
}

static void growth_that_fails_is_cheap(void)
{
    char folder[PATH_MAX];
    CHECK(snprintf(folder, sizeof folder, "%s", test_path()) < (int)sizeof folder);
    CHECK(mkdir(folder, 0700) == 0);
    test_in_child(grows_in_little, folder);
    CHECK(rmdir(folder) == 0);
}

static const struct test tests[] = {
    TEST(a_failing_alloc_does_not_walk),
    TEST(asking_is_in_proportion_to_what_caches_do),
    TEST(what_never_fits_disturbs_nothing),
    TEST(a_damaged_list_of_caches_is_made_anew),
    TEST(wrong_hints_do_no_harm),
    TEST(a_death_is_found_by_the_next_alloc),
    TEST(who_lives_is_not_asked_each_time),
    TEST(owners_of_caches_are_asked_seldom),
    TEST(lines_of_the_dead_come_back_to_one_that_polls),
    TEST(an_aligned_alloc_that_fails_looks_at_chunks),
    TEST(looking_lets_others_in),
    TEST(a_free_that_serves_nobody_wakes_nobody),
    TEST(the_dead_are_not_woken_for_ever),
    TEST(all_that_fit_are_served),
    TEST(caches_work_while_a_thread_waits),
    TEST(names_leave_the_heap_as_it_was),
    TEST(a_name_that_fails_leaves_the_heap_as_it_was),
    TEST(growth_that_fails_is_cheap),
};

TEST_MAIN(tests)
