/* What becomes of what a process holds, by how the process ends: the table "Leaving" of
 * shmheap.h, each row and column, for heaps in each kind of memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/process/ground.h"

enum { PLAIN = 3, SHARED = 2, CACHED = 200, LEN = 100 };

enum way {
    WAY_DISCONNECT,
    WAY_EXIT,
    WAY_IN_ORDER = WAY_EXIT, /* up to here */
    WAY_UNDERSCORE_EXIT,
    WAY_QUICK_EXIT,
    WAY_EXEC,
    WAY_ABORT,
    WAY_KILL,
    WAYS
};

/* struct holder is a process that ends, in shared memory. */
struct holder {
    const struct ground *ground;
    enum way way;
    unsigned flags;
    shmheap_object_handle shared[SHARED], sent;
    int ended[2]; /* a pipe that ends with exec */
    int go[2];    /* a pipe: what the holder runs after exec ends with it */
};

static void fill_cache(shmheap_memory_handle mem)
{
    void *ptrs[CACHED];
    for (unsigned i = 0; i < CACHED; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, LEN)) != NULL);
    for (unsigned i = 0; i < CACHED; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
}

static void hold(struct holder *holder, shmheap_memory_handle mem)
{
    for (unsigned i = 0; i < PLAIN; i++)
        CHECK(shmheap_alloc(mem, LEN) != NULL);
    for (unsigned i = 0; i < SHARED; i++) {
        char *ptr = shmheap_alloc(mem, LEN);
        test_fill(ptr, LEN, i);
        holder->shared[i] = shmheap_ptr_to_handle(mem, ptr);
    }
    char *ptr = shmheap_alloc(mem, LEN);
    test_fill(ptr, LEN, SHARED);
    holder->sent = shmheap_send(mem, ptr);
    CHECK(shmheap_alloc_named(mem, "used", LEN) != NULL);
    fill_cache(mem);
}

static void become_cat(const struct holder *holder)
{
    CHECK(dup2(holder->go[0], STDIN_FILENO) == STDIN_FILENO);
    execl("/bin/cat", "cat", (char *)NULL);
    CHECK(!"exec");
}

static void hold_and_end(void *context)
{
    struct holder *holder = context;
    CHECK(close(holder->go[1]) == 0);
    shmheap_memory_handle mem = ground_join(holder->ground, holder->flags);
    hold(holder, mem);
    switch (holder->way) {
        case WAY_DISCONNECT:
            shmheap_disconnect(mem);
            _exit(0);
        case WAY_EXIT:
            exit(0);
        case WAY_UNDERSCORE_EXIT:
            _exit(0);
        case WAY_QUICK_EXIT:
            quick_exit(0);
        case WAY_EXEC:
            become_cat(holder);
            break;
        case WAY_ABORT:
            abort();
        default:
            raise(SIGKILL);
    }
}

/* What its threads kept, each with a line of its own. */
static int count_kept(const shmheap_block_info *block, void *context)
{
    int is_line = block->state == SHMHEAP_STATE_INTERNAL && block->slot != 0;
    *(unsigned *)context += block->state == SHMHEAP_STATE_CACHED || is_line;
    return 0;
}

/* Those that others may know are there whatever happened. */
static void check_shared_and_sent(const struct holder *holder)
{
    shmheap_memory_handle mem = holder->ground->mem;
    for (unsigned i = 0; i < SHARED; i++)
        CHECK(test_filled(shmheap_handle_to_ptr(mem, holder->shared[i]), LEN, i));
}

/* It left in order: no process owns its objects, and any process may free them. */
static void check_left_in_order(const struct holder *holder)
{
    shmheap_memory_handle mem = holder->ground->mem;
    unsigned kept = 0;
    CHECK_LIVING(holder->ground, 1, 0);
    CHECK_EQ(test_cached(mem).blocks, 0);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    check_shared_and_sent(holder);
    CHECK_EQ(shmheap_walk(mem, count_kept, &kept), 0);
    CHECK_EQ(kept, 0);
    void *named = shmheap_find(mem, "used", NULL);
    CHECK(named != NULL);
    CHECK_EQ(shmheap_try_free(mem, named), 0);
    CHECK_REFUSED(shmheap_find(mem, "used", NULL) == NULL, ENOENT);
}

/* It died. Reaping takes the objects that it alone knew, and its use of the name; with
 * SHMHEAP_REAP_SHARED also the objects that it shared. */
static void check_died(const struct holder *holder)
{
    shmheap_memory_handle mem = holder->ground->mem;
    unsigned kept = 0;
    CHECK_LIVING(holder->ground, 1, 1);
    CHECK(shmheap_find(mem, "used", NULL) != NULL);
    CHECK_EQ(shmheap_walk(mem, count_kept, &kept), 0);
    CHECK_EQ(shmheap_reap(mem, 0), PLAIN + 1 + kept);
    CHECK_REFUSED(shmheap_find(mem, "used", NULL) == NULL, ENOENT);
    CHECK_EQ(test_cached(mem).blocks, 0);
    check_shared_and_sent(holder);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), SHARED);
    for (unsigned i = 0; i < SHARED; i++)
        CHECK_REFUSED(shmheap_handle_to_ptr(mem, holder->shared[i]) == NULL, ESTALE);
}

/* After exec the process is there but has nothing of the heap; in memory without a file that is not
 * to be seen. */
static void check_after_exec(const struct holder *holder)
{
    char byte;
    CHECK_EQ(read(holder->ended[0], &byte, 1), 0);
    if (holder->ground->kind != GROUND_MEMORY) {
        while (test_stat(holder->ground->mem).dead ==
               0) /* the kernel drops mappings a moment later */
            sched_yield();
        return;
    }
    CHECK_LIVING(holder->ground, 2, 0);
    CHECK_EQ(shmheap_reap(holder->ground->mem, SHMHEAP_REAP_SHARED), 0);
}

static int expected_end(enum way way)
{
    return way == WAY_ABORT ? SIGABRT : way == WAY_KILL ? SIGKILL : 0;
}

static void end_by(const struct ground *ground, enum way way, unsigned flags)
{
    struct holder *holder = test_shared(sizeof *holder);
    *holder = (struct holder){.ground = ground, .way = way, .flags = flags};
    CHECK(pipe(holder->go) == 0 && pipe2(holder->ended, O_CLOEXEC) == 0);
    pid_t pid = test_fork(hold_and_end, holder);
    CHECK(close(holder->ended[1]) == 0);
    if (way == WAY_EXEC)
        check_after_exec(holder);
    CHECK(close(holder->go[0]) == 0 && close(holder->go[1]) == 0 && close(holder->ended[0]) == 0);
    int status = test_wait(pid);
    CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), expected_end(way));
    (way <= WAY_IN_ORDER ? check_left_in_order : check_died)(holder);
    char *sent = shmheap_receive(ground->mem, holder->sent);
    CHECK(test_filled(sent, LEN, SHARED));
    CHECK_EQ(shmheap_try_free(ground->mem, sent), 0);
    CHECK_SOUND(ground->mem);
    test_unshare(holder, sizeof *holder);
}

static void end_in_each_way(enum ground_kind kind, unsigned flags)
{
    test_tolerate_crashes(1);
    for (enum way way = 0; way < WAYS; way++) {
        struct ground ground = ground_begin(kind);
        end_by(&ground, way, flags);
        ground_end(&ground);
    }
    test_tolerate_crashes(0);
}

static void of_a_name(void) { end_in_each_way(GROUND_NAME, 0); }
static void of_a_file(void) { end_in_each_way(GROUND_FILE, 0); }
static void of_no_name(void) { end_in_each_way(GROUND_ANONYMOUS, 0); }
static void of_the_callers_memory(void) { end_in_each_way(GROUND_MEMORY, 0); }
static void of_a_name_with_caches(void) { end_in_each_way(GROUND_NAME, SHMHEAP_CACHED); }
static void of_no_name_with_caches(void) { end_in_each_way(GROUND_ANONYMOUS, SHMHEAP_CACHED); }

/* Return from main: this program once more, with a first argument that only this test gives. */
static const char *const again = "--hold-and-return";

static void run_again(void *context)
{
    const struct ground *ground = context;
    execl("/proc/self/exe", "ending_test", again, ground->name, (char *)NULL);
    CHECK(!"exec");
}

static int hold_and_return(const char *name)
{
    shmheap_memory_handle mem = shmheap_connect(name);
    CHECK(shmheap_valid(mem));
    for (unsigned i = 0; i < PLAIN; i++)
        CHECK(shmheap_alloc(mem, LEN) != NULL);
    return 0;
}

static void return_from_main(void)
{
    struct ground ground = ground_begin(GROUND_NAME);
    test_in_child(run_again, &ground);
    CHECK_LIVING(&ground, 1, 0);
    CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), 0);
    CHECK_EQ(test_stat(ground.mem).used_blocks, PLAIN);
    ground_end(&ground);
}

/* The process ends in order while other threads are in the midst of their calls. */
enum { BUSY_THREADS = 4, EXITS = 100, CALLS_BEFORE = 2000 };

static unsigned calls_made;

static void *be_busy(void *context)
{
    shmheap_memory_handle mem = *(shmheap_memory_handle *)context;
    for (unsigned i = 0;; i++) {
        void *ptr = shmheap_alloc(mem, i % 300);
        if (ptr != NULL)
            shmheap_free(mem, ptr);
        __atomic_fetch_add(&calls_made, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void exit_while_busy(void *context)
{
    const struct holder *holder = context;
    pthread_t threads[BUSY_THREADS];
    static shmheap_memory_handle mem;
    mem = ground_join(holder->ground, holder->flags);
    for (unsigned i = 0; i < BUSY_THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, be_busy, &mem), 0);
    while (__atomic_load_n(&calls_made, __ATOMIC_RELAXED) < CALLS_BEFORE)
        sched_yield();
    exit(0);
}

static int count_cached(const shmheap_block_info *block, void *count)
{
    *(long *)count += block->state == SHMHEAP_STATE_CACHED;
    return 0;
}

static long cached_blocks(shmheap_memory_handle mem)
{
    long count = 0;
    CHECK_EQ(shmheap_walk(mem, count_cached, &count), 0);
    return count;
}

static void exits_while_threads_are_busy(unsigned flags)
{
    struct ground ground = ground_begin(GROUND_NAME);
    struct holder holder = {.ground = &ground, .flags = flags};
    for (size_t i = 0, rounds = test_rounds(EXITS); i < rounds; i++) {
        test_in_child(exit_while_busy, &holder);
        CHECK_LIVING(&ground, 1, 0);
        CHECK_SOUND(ground.mem);
        /* A thread that does not get to run for 50 ms in the midst of a call keeps its cache. */
        long cached = cached_blocks(ground.mem);
        CHECK(flags & SHMHEAP_CACHED || cached == 0);
        CHECK_EQ(shmheap_reap(ground.mem, SHMHEAP_REAP_SHARED), cached);
        CHECK_EQ(cached_blocks(ground.mem), 0);
        CHECK_SOUND(ground.mem);
        CHECK_LE(test_stat(ground.mem).used_blocks,
                 (i + 1) * BUSY_THREADS); /* an object that each thread had */
    }
    ground_end(&ground);
}

static void exit_while_threads_are_busy(void) { exits_while_threads_are_busy(0); }
static void exit_while_threads_are_busy_with_caches(void)
{
    exits_while_threads_are_busy(SHMHEAP_CACHED);
}

static const struct test tests[] = {TEST(of_a_name),
                                    TEST(of_a_file),
                                    TEST(of_no_name),
                                    TEST(of_the_callers_memory),
                                    TEST(of_a_name_with_caches),
                                    TEST(of_no_name_with_caches),
                                    TEST(return_from_main),
                                    TEST(exit_while_threads_are_busy),
                                    TEST(exit_while_threads_are_busy_with_caches)};

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], again) == 0)
        return hold_and_return(argv[2]);
    return test_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
