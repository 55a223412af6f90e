/* director.c: starts the actors, restores the heap, runs a plan, kills actors.
 *
 * The actors live from run to run; one that was killed is replaced before the next run. In each run
 * they connect in order, so each has the same slot in all runs.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/schedule/schedule.h"
#include "tests/support/test.h"

const struct scenario *scenario;
shmheap_memory_handle director_mem;
static unsigned char *memory, *picture; /* the heap in plain memory; the heap before each run */
static size_t picture_len;

enum { HEAP_BESIDES = 8 << 10 };

/* Actors ------------------------------------------------------------------ */

void connect_now(void)
{
    shmheap_options options;
    memset(&options, 0, sizeof options);
    int is_file = (scenario->flags & IN_FILE) != 0;
    options.flags = scenario->cached >> self & 1 ? SHMHEAP_CACHED : 0;
    int status = is_file ? shmheap_open_fd(&mem, shmheap_fd(director_mem), &options)
                         : shmheap_attach_at(&mem, memory, picture_len);
    if (status != 0)
        stage_fail("actor %d cannot connect: %s", self, strerror(errno));
}

void disconnect_now(void)
{
    shmheap_disconnect(mem);
    mem = director_mem;
}

static void on_crash(int number) { stage_fail("actor %d got signal %d", self, number); }

static void watch_crashes(void)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], on_crash);
}

static void connects_first(void)
{
    if (scenario->connects >> self & 1)
        return;
    connect_now();
    if (scenario->begin != NULL)
        scenario->begin((unsigned)self);
}

/* For each run three turns: connect; run; disconnect. */
static void actor_main(void *context)
{
    self = *(int *)context;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    watch_crashes();
    stage_post(DIRECTOR);
    for (;;) {
        stage_await(self);
        memset(&mem, 0, sizeof mem);
        connects_first();
        stage_post(DIRECTOR);
        stage_await(self);
        if (mem.heap == NULL) /* of the director, for the offsets of words until it connects */
            mem = director_mem;
        stage_act((unsigned)self, scenario->run);
        stage_await(self);
        if (mem.heap != director_mem.heap)
            shmheap_disconnect(mem);
        stage_post(DIRECTOR);
    }
}

/* Returns when the child's fork handlers have run, which store to the heap. */
static void actor_start(int number)
{
    struct actor *actor = &stage->actors[number];
    actor->turn = 0;
    actor->pid = test_fork(actor_main, &number);
    stage_await(DIRECTOR);
}

static void turn(int number)
{
    stage_post(number);
    stage_await(DIRECTOR);
}

/* Death ------------------------------------------------------------------- */

/* The kernel marks the lock of a dead owner and wakes one thread that sleeps on it in the kernel.
 * The actors sleep on the stage: so this wakes as the kernel would. */
static void wake_as_kernel(const struct actor *actor, uint32_t before)
{
    const struct shmheap *heap = director_mem.heap;
    uint32_t word = (uint32_t)heap->control->lock;
    uint64_t offset = (uint64_t)((unsigned char *)&heap->control->lock - heap->base);
    int owned = (before & FUTEX_TID_MASK) == (uint32_t)actor->pid;
    if (!actor->announced)
        return;
    if (owned && !(word & FUTEX_OWNER_DIED))
        stage_fail("the kernel has not marked the lock of a dead owner");
    if ((owned && before & FUTEX_WAITERS) || before == 0)
        sleepers_wake(offset, 1, UINT32_MAX);
}

static void kill_victim(void)
{
    struct actor *actor = &stage->actors[stage->victim];
    uint32_t lock = (uint32_t)director_mem.heap->control->lock;
    test_kill(actor->pid);
    actor->state = ACTOR_DEAD;
    stage->deaths++;
    if (stage->tells)
        printf("         %d dies\n", stage->victim);
    wake_as_kernel(actor, lock);
}

static void kill_all(void)
{
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->actors[i].pid != 0 && stage->actors[i].state != ACTOR_DEAD)
            test_kill(stage->actors[i].pid);
    for (unsigned i = 0; i < stage->count; i++)
        stage->actors[i].pid = 0;
}

/* A run ------------------------------------------------------------------- */

static void run_begin(void)
{
    for (unsigned i = 0; i < stage->count; i++) {
        struct actor *actor = &stage->actors[i];
        if (actor->pid == 0 || actor->state == ACTOR_DEAD)
            actor_start((int)i);
        actor->state = ACTOR_READY;
        actor->yielded = actor->announced = 0;
        actor->result_count = 0;
    }
    memcpy(director_mem.heap->base, picture, picture_len);
    memset(stage->handles, 0, sizeof stage->handles);
    memset(stage->offsets, 0, sizeof stage->offsets);
    stage->failure[0] = 0;
    stage->change_next = stage->point_count = 0;
    stage->steps = 0;
    stage->clock = UINT64_C(1000000000000);
    stage->sleeps = stage->forced = stage->lock_forced = stage->deaths = 0;
    stage->victim = NO_ACTOR;
    for (unsigned i = 0; i < stage->count && stage->failure[0] == 0; i++)
        turn((int)i);
}

/* Serves deaths until all actors have ended. */
static void run_serve(void)
{
    int next = stage_choose(DIRECTOR);
    stage_resume(next);
    while (stage_await(DIRECTOR), stage->failure[0] == 0 && stage->victim != NO_ACTOR) {
        int victim = stage->victim;
        kill_victim();
        stage->victim = NO_ACTOR;
        if (victim != stage->requester) {
            stage_post(stage->requester);
            continue;
        }
        next = stage_choose(victim);
        if (next == NO_ACTOR)
            return;
        stage_resume(next);
    }
}

static void run_judge(void)
{
    const char *wrong = NULL;
    if (stage->change_next != stage->change_count && stage->order != ORDER_RANDOM)
        stage_fail("the plan cannot be followed: it is too long");
    int lost = stage->forced != 0 || (stage->lock_forced != 0 && stage->lock_strict);
    if (lost && stage->deaths == 0)
        stage_fail("a sleeper was not woken: it went on when its time limit passed");
    if (scenario->judge != NULL && (wrong = scenario->judge()) != NULL)
        stage_fail("%s", wrong);
}

int director_run(void)
{
    mem = director_mem;
    run_begin();
    if (stage->failure[0] == 0)
        run_serve();
    if (stage->failure[0] == 0)
        aftermath_sound();
    if (stage->failure[0] == 0)
        run_judge();
    return stage->failure[0] == 0;
}

/* After the outcome has been computed. */
static void run_end(void)
{
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->actors[i].state == ACTOR_ENDED)
            turn((int)i);
    aftermath_empty();
}

int director_finish(void)
{
    if (stage->failure[0] == 0)
        run_end();
    if (stage->failure[0] == 0)
        return 1;
    kill_all();
    return 0;
}

/* A scenario -------------------------------------------------------------- */

static void heap_make(void)
{
    shmheap_options options;
    memset(&options, 0, sizeof options);
    options.flags = scenario->flags & REAPS ? SHMHEAP_REAP : 0;
    options.len = scenario->bytes;
    if (scenario->flags & IN_FILE) {
        options.flags |= SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
        CHECK_EQ(shmheap_open(&director_mem, NULL, &options), 0);
        picture_len = director_mem.heap->layout.segment_len;
        return;
    }
    picture_len = scenario->bytes + scenario->bytes / 8 + HEAP_BESIDES;
    memory = test_shared(picture_len);
    CHECK_EQ(shmheap_create_at(&director_mem, memory, picture_len, &options), 0);
}

void director_begin(const struct scenario *its)
{
    scenario = its;
    stage = test_shared(sizeof *stage);
    stage->count = scenario->actors;
    stage->clock = UINT64_C(1000000000000);
    system_begin();
    heap_make();
    mem = director_mem;
    CHECK_LE(picture_len, (size_t)WORDS_MAX * 8);
    test_own_slot(director_mem);
    if (scenario->prepare != NULL)
        scenario->prepare();
    picture = malloc(picture_len);
    CHECK(picture != NULL);
    memcpy(picture, director_mem.heap->base, picture_len);
}

void director_end(void)
{
    kill_all();
    shmheap_disconnect(director_mem);
    free(picture);
    if (memory != NULL)
        test_unshare(memory, picture_len);
    memory = NULL;
    test_unshare(stage, sizeof *stage);
    stage = NULL;
}
