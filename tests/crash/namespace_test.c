/* Processes in PID namespaces of their own share a heap with one outside, under the very number
 * that the other has, and die: holding objects, holding the lock, and waiting for the lock that a
 * namesake holds.
 * SPDX-License-Identifier: Apache-2.0 */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c/src/process/lock.h"
#include "tests/support/test.h"

enum { LEN = 1 << 20, OBJECTS = 10, CAN_NOT = 77 };

/* struct scene is shared by all. */
struct scene {
    const char *name;
    pid_t number;         /* which the processes inside shall have, as one outside has */
    volatile pid_t found; /* which the last one of them had */
    volatile unsigned slot;
    unsigned stores; /* how many stores inside the lock before it stops */
    shmheap_object_handle shared[OBJECTS];
    int ready[2], go[2]; /* pipes */
};

/* A process inside a namespace of its own: keeper made the namespace and stays outside; first is
 * its number 1. */
struct inside {
    struct scene *scene;
    void (*run)(struct scene *scene);
    pid_t keeper;
    int report[2]; /* first's number outside, from keeper */
};

/* Words: 'r' ready, 's' stopped inside the lock, 'd' done with the call. */
static void say(struct scene *scene, char word) { CHECK_EQ(write(scene->ready[1], &word, 1), 1); }

static char await_word(struct scene *scene)
{
    char word;
    CHECK_EQ(read(scene->ready[0], &word, 1), 1);
    return word;
}

static void await_go(struct scene *scene)
{
    char word;
    CHECK_EQ(read(scene->go[0], &word, 1), 1);
}

static void rest(void)
{
    for (;;)
        pause();
}

/* The process with number 1 gives its child the requested number; the kernel lets the maker of the
 * namespace do so. */
static pid_t fork_numbered(pid_t number)
{
    struct clone_args arguments;
    memset(&arguments, 0, sizeof arguments);
    arguments.exit_signal = SIGCHLD;
    arguments.set_tid = (uint64_t)(uintptr_t)&number;
    arguments.set_tid_size = 1;
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static void run_first(const struct inside *inside)
{
    CHECK_EQ(getpid(), 1);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    pid_t pid = inside->scene->number != 1 ? fork_numbered(inside->scene->number) : 0;
    if (pid < 0)
        _exit(CAN_NOT);
    if (pid == 0) {
        inside->scene->found = (pid_t)syscall(SYS_getpid);
        inside->run(inside->scene);
        _exit(0);
    }
    test_join(pid);
    _exit(0);
}

static void keep(void *context)
{
    const struct inside *inside = context;
    pid_t none = 0;
    test_tolerate_crashes(1);
    pid_t first = unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 ? fork() : -1;
    if (first == 0)
        run_first(inside);
    CHECK_EQ(write(inside->report[1], first > 0 ? &first : &none, sizeof first),
             (ssize_t)sizeof first);
    int status = first > 0 ? test_wait(first) : 0;
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

/* Starts run in a new namespace, under the scene's number. */
static void inside_begin(struct inside *inside, struct scene *scene, void (*run)(struct scene *))
{
    inside->scene = scene;
    inside->run = run;
    CHECK(pipe(inside->report) == 0);
    inside->keeper = test_fork(keep, inside);
}

static pid_t inside_first(struct inside *inside)
{
    pid_t first;
    CHECK_EQ(read(inside->report[0], &first, sizeof first), (ssize_t)sizeof first);
    CHECK(close(inside->report[0]) == 0 && close(inside->report[1]) == 0);
    return first;
}

/* Its number 1 is killed, and the kernel kills all others in the namespace with it; then all are
 * gone. */
static void inside_kill(struct inside *inside)
{
    CHECK(kill(inside_first(inside), SIGKILL) == 0);
    test_join(inside->keeper);
}

/* The stop inside the lock. The hook is called before each store to shared memory. */
void (*shmheap_store_hook)(void);

static struct scene *stopping;
static shmheap_memory_handle stopping_mem;
static unsigned stores_inside;

static void stop_inside_the_lock(void)
{
    if (lock_owner_slot(stopping_mem.heap) != stopping->slot || ++stores_inside < stopping->stores)
        return;
    shmheap_store_hook = NULL;
    say(stopping, 's');
    await_go(stopping);
}

/* What processes inside do. */

static shmheap_memory_handle connect_inside(struct scene *scene)
{
    shmheap_memory_handle mem = test_connect(scene->name);
    scene->slot = test_own_slot(mem);
    return mem;
}

static void hold_objects(struct scene *scene)
{
    shmheap_memory_handle mem = connect_inside(scene);
    for (unsigned i = 0; i < OBJECTS; i++) {
        char *ptr = shmheap_alloc(mem, 1000);
        CHECK(ptr != NULL);
        test_fill(ptr, 1000, i);
        if (i % 2)
            scene->shared[i] = shmheap_ptr_to_handle(mem, ptr);
    }
    say(scene, 'r');
    rest();
}

static void stop_in_alloc(struct scene *scene)
{
    stopping = scene;
    stopping_mem = connect_inside(scene);
    stores_inside = 0;
    shmheap_store_hook = stop_inside_the_lock;
    CHECK(shmheap_alloc(stopping_mem, 100) != NULL);
    shmheap_store_hook = NULL;
    say(scene, 'd');
    rest();
}

static void wait_in_alloc(struct scene *scene)
{
    shmheap_memory_handle mem = test_connect(scene->name);
    say(scene, 'r');
    shmheap_alloc(mem, 100);
    rest();
}

static void come_and_go(struct scene *scene) { shmheap_disconnect(connect_inside(scene)); }

/* The parent's side. */

/* The thread's number that is in the lock. */
static pid_t lock_number(shmheap_memory_handle mem)
{
    return (pid_t)(load_u64(&mem.heap->control->lock) & FUTEX_TID_MASK);
}

struct found {
    unsigned slot;
    shmheap_process_info process;
};

static int find_slot(const shmheap_process_info *process, void *context)
{
    struct found *found = context;
    if (process->slot == found->slot)
        found->process = *process;
    return 0;
}

static shmheap_process_info process_in(shmheap_memory_handle mem, unsigned slot)
{
    struct found found = {.slot = slot};
    CHECK_EQ(shmheap_processes(mem, find_slot, &found), 0);
    return found.process;
}

/* The numbers that one inside gets: this process's own, where the kernel lets us choose, else 1; 0
 * when there can be no namespaces. */
static pid_t number_possible(struct scene *scene)
{
    for (int own = 1; own >= 0; own--) {
        struct inside inside;
        scene->number = own ? getpid() : 1;
        inside_begin(&inside, scene, come_and_go);
        pid_t first = inside_first(&inside);
        int status = test_wait(inside.keeper);
        if (first > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            CHECK_EQ(scene->found, scene->number);
            return scene->number;
        }
    }
    return 0;
}

/* NULL, having said so, where the kernel makes no namespaces for us. */
static struct scene *scene_begin(shmheap_memory_handle *mem)
{
    struct scene *scene = test_shared(sizeof *scene);
    scene->name = test_name();
    CHECK(pipe(scene->ready) == 0 && pipe(scene->go) == 0);
    *mem = shmheap_create(scene->name, LEN);
    test_tolerate_crashes(1);
    scene->number = number_possible(scene);
    test_tolerate_crashes(0);
    if (scene->number != 0) {
        printf("  inside and outside there is a process %d\n", (int)scene->number);
        return scene;
    }
    printf("  skipped: this kernel or sandbox lets us make no PID namespace\n");
    shmheap_destroy(scene->name, *mem);
    test_unshare(scene, sizeof *scene);
    return NULL;
}

static void scene_end(struct scene *scene, shmheap_memory_handle mem)
{
    CHECK(close(scene->ready[0]) == 0 && close(scene->ready[1]) == 0 && close(scene->go[0]) == 0 &&
          close(scene->go[1]) == 0);
    shmheap_destroy(scene->name, mem);
    test_unshare(scene, sizeof *scene);
}

static void check_object(shmheap_memory_handle mem, const struct scene *scene, unsigned i)
{
    char *ptr = shmheap_handle_to_ptr(mem, scene->shared[i]);
    CHECK(ptr != NULL && test_filled(ptr, 1000, i));
}

/* While it lives nothing of it is reaped, though its number means another process here; once it is
 * dead all is, though the process of its number lives. */
static void dies_holding_objects(void)
{
    shmheap_memory_handle mem;
    struct inside inside;
    struct scene *scene = scene_begin(&mem);
    if (scene == NULL)
        return;
    unsigned own_slot = test_own_slot(mem);
    char *kept = shmheap_alloc(mem, 500);
    test_fill(kept, 500, 77);
    inside_begin(&inside, scene, hold_objects);
    CHECK_EQ(await_word(scene), 'r');
    shmheap_process_info process = process_in(mem, scene->slot);
    CHECK(scene->slot != own_slot);
    CHECK_EQ(process.pid, scene->number);
    CHECK_EQ(process.alive, 1);
    CHECK_EQ(process.blocks, OBJECTS);
    CHECK_EQ(test_stat(mem).processes, 2);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), 0);
    for (unsigned i = 1; i < OBJECTS; i += 2)
        check_object(mem, scene, i);
    inside_kill(&inside);
    process = process_in(mem, scene->slot);
    CHECK_EQ(process.alive, 0);
    CHECK_EQ(process.blocks, OBJECTS);
    CHECK_EQ(test_stat(mem).processes, 1);
    CHECK_EQ(test_stat(mem).dead, 1);
    CHECK_EQ(shmheap_reap(mem, 0), OBJECTS / 2);
    for (unsigned i = 1; i < OBJECTS; i += 2)
        check_object(mem, scene, i);
    CHECK_EQ(shmheap_reap(mem, SHMHEAP_REAP_SHARED), OBJECTS / 2);
    CHECK(test_filled(kept, 500, 77));
    CHECK_EQ(test_own_slot(mem), own_slot);
    shmheap_free(mem, kept);
    test_check_empty(mem);
    scene_end(scene, mem);
}

/* Killed before its k-th store inside the lock: 1, or 0 when it is through with its call before
 * that. Its namesake, whose thread has the number that is in the lock, recovers. */
static int one_death_inside(struct scene *scene, shmheap_memory_handle mem, uint64_t deaths)
{
    struct inside inside;
    inside_begin(&inside, scene, stop_in_alloc);
    int stopped = await_word(scene) == 's';
    if (stopped) {
        CHECK_EQ(lock_owner_slot(mem.heap), scene->slot);
        CHECK_EQ(lock_number(mem), scene->number);
    }
    inside_kill(&inside);
    char *ptr = shmheap_alloc(mem, 100);
    CHECK(ptr != NULL);
    CHECK_EQ(shmheap_try_free(mem, ptr), 0);
    CHECK_EQ(test_stat(mem).recoveries, deaths + (stopped ? 1 : 0));
    CHECK_SOUND(mem);
    CHECK_LE(shmheap_reap(mem, 0), 1);
    CHECK_EQ(test_stat(mem).used_blocks, 1);
    return stopped;
}

static void dies_holding_the_lock(void)
{
    shmheap_memory_handle mem;
    struct scene *scene = scene_begin(&mem);
    if (scene == NULL)
        return;
    uint64_t deaths = 0;
    char *kept = shmheap_alloc(mem, 500);
    test_fill(kept, 500, 78);
    for (scene->stores = 1; one_death_inside(scene, mem, deaths); scene->stores++) {
        CHECK(test_filled(kept, 500, 78));
        deaths++;
    }
    CHECK_LE(5, deaths); /* two headers, a bit, a count, the lock */
    printf("  %llu deaths inside the lock\n", (unsigned long long)deaths);
    CHECK_EQ(shmheap_try_free(mem, kept), 0);
    test_check_empty(mem);
    scene_end(scene, mem);
}

/* Two namespaces, two processes of one number: one holds the lock, and the other is killed as it
 * waits for it. The kernel must not take the waiter for the owner, or no process would know that
 * the lock is still held. */
static void dies_waiting_for_a_namesake(void)
{
    shmheap_memory_handle mem;
    struct inside owner, waiter;
    struct scene *scene = scene_begin(&mem);
    if (scene == NULL)
        return;
    scene->stores = 4;
    inside_begin(&owner, scene, stop_in_alloc);
    CHECK_EQ(await_word(scene), 's');
    unsigned slot = scene->slot;
    inside_begin(&waiter, scene, wait_in_alloc);
    CHECK_EQ(await_word(scene), 'r');
    while (!(load_u64(&mem.heap->control->lock) & FUTEX_WAITERS))
        sched_yield();
    inside_kill(&waiter);
    CHECK_EQ(lock_owner_slot(mem.heap), slot);
    CHECK_EQ(lock_number(mem), scene->number);
    CHECK(!(load_u64(&mem.heap->control->lock) & FUTEX_OWNER_DIED));
    CHECK_EQ(write(scene->go[1], "g", 1), 1);
    CHECK_EQ(await_word(scene), 'd');
    inside_kill(&owner);
    CHECK_EQ(test_stat(mem).recoveries, 0);
    CHECK_EQ(test_stat(mem).dead, 2);
    CHECK_EQ(shmheap_reap(mem, 0), 1);
    test_check_empty(mem);
    scene_end(scene, mem);
}

static const struct test tests[] = {TEST(dies_holding_objects), TEST(dies_holding_the_lock),
                                    TEST(dies_waiting_for_a_namesake)};
TEST_MAIN(tests)
