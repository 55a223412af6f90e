/* stage.c: hands the processor from one actor to the next, and decides at each step.
 *
 * An actor that goes on decides for itself, by the plan on the stage: no process switch is needed
 * where nothing changes. An actor that stops passes the turn to the next one directly.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/schedule/schedule.h"
#include "tests/support/wrap.h"

struct stage *stage;
shmheap_memory_handle mem;
int self = DIRECTOR;
static int inside;     /* this process is an actor in run */
static unsigned calls; /* of this run */

int acting(void) { return inside; }

/* Turns ------------------------------------------------------------------- */

static uint32_t *turn_of(int number)
{
    return number == DIRECTOR ? &stage->director_turn : &stage->actors[number].turn;
}

static long futex(uint32_t *word, int operation, uint32_t value)
{
    const long arguments[6] = {(long)word, operation, value, 0, 0, 0};
    return wrap_syscall_real(SYS_futex, arguments);
}

void stage_post(int number)
{
    __atomic_store_n(turn_of(number), 1, __ATOMIC_RELEASE);
    futex(turn_of(number), FUTEX_WAKE, 1);
}

void stage_await(int number)
{
    uint32_t *turn = turn_of(number);
    while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == 0)
        futex(turn, FUTEX_WAIT, 0);
    __atomic_store_n(turn, 0, __ATOMIC_RELAXED);
}

/* The director ends the run; an actor never returns. */
void stage_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (stage->failure[0] == 0)
        vsnprintf(stage->failure, sizeof stage->failure, format, arguments);
    va_end(arguments);
    if (self == DIRECTOR)
        return;
    stage_post(DIRECTOR);
    for (;;)
        stage_await(self);
}

/* Decisions --------------------------------------------------------------- */

static uint8_t actors_in(enum actor_state state)
{
    uint8_t set = 0;
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->actors[i].state == state)
            set |= (uint8_t)(1u << i);
    return set;
}

/* Sleepers whose waits have a time limit. */
static uint8_t actors_timed(void)
{
    uint8_t set = actors_in(ACTOR_BLOCKED);
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->actors[i].deadline == UINT64_MAX)
            set &= (uint8_t) ~(1u << i);
    return set;
}

/* Sleepers whose time limit may pass although an actor can go on. */
static uint8_t actors_hasty(void) { return stage->order == ORDER_CALLS ? 0 : actors_timed(); }

static uint64_t random_next(void)
{
    uint64_t z = stage->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int random_of(uint8_t set)
{
    int which = (int)(random_next() % (unsigned)__builtin_popcount(set));
    for (; which > 0; which--)
        set &= (uint8_t)(set - 1);
    return __builtin_ctz(set);
}

enum { RATE_PREEMPTION = 12, RATE_DEATH = 200 };

/* Adds a change to the plan of a random run, or returns NULL. */
static const struct change *change_random(const struct point *point)
{
    struct change *change = &stage->changes[stage->change_count];
    *change = (struct change){point->step, 0, 0};
    if (stage->change_count == CHANGES_MAX)
        return NULL;
    if (point->mortal && stage->deaths_left && random_next() % RATE_DEATH == 0) {
        stage->deaths_left--;
        change->kills = 1;
        change->actor = (uint8_t)random_of(point->mortal);
    } else if (point->cheap && random_next() % 2 == 0) {
        change->actor = (uint8_t)random_of(point->cheap);
    } else if (point->costly && stage->preemptions_left && random_next() % RATE_PREEMPTION == 0) {
        stage->preemptions_left--;
        change->actor = (uint8_t)random_of(point->costly);
    } else {
        return NULL;
    }
    stage->change_next = ++stage->change_count;
    return change;
}

/* Returns what the plan says of this point, or NULL; notes a point behind the plan's end. */
static const struct change *change_at(const struct point *point)
{
    if (stage->change_next < stage->change_count) {
        const struct change *change = &stage->changes[stage->change_next];
        if (change->step > point->step)
            return NULL;
        stage->change_next++;
        uint8_t allowed = (uint8_t)(change->kills ? point->mortal : point->cheap | point->costly);
        if (change->step != point->step || !(allowed >> change->actor & 1))
            stage_fail("the plan cannot be followed: at step %u", change->step);
        return change;
    }
    if ((point->cheap | point->costly | point->mortal) == 0)
        return NULL;
    if (stage->order == ORDER_RANDOM)
        return change_random(point);
    if (stage->point_count == POINTS_MAX)
        stage_fail("more than %d points", POINTS_MAX);
    else
        stage->points[stage->point_count++] = *point;
    return NULL;
}

static uint32_t step_next(void)
{
    if (++stage->steps > STEPS_MAX)
        stage_fail("does not end: %u steps", stage->steps);
    return stage->steps;
}

void stage_resume(int actor)
{
    struct actor *other = &stage->actors[actor];
    if (other->state == ACTOR_BLOCKED) {
        other->timed_out = 1;
        if (stage->clock < other->deadline)
            stage->clock = other->deadline;
    }
    other->state = ACTOR_READY;
    other->yielded = 0;
    stage->running = actor;
    if (actor != self)
        stage_post(actor);
}

static void note_announcement(void)
{
    stage->actors[self].announced = lock_self.tid != 0 && *lock_self.pending != NULL;
}

/* The director kills the actor. Returns if it is another one. */
static void die(int victim)
{
    note_announcement();
    stage->victim = victim;
    stage->requester = self;
    stage_post(DIRECTOR);
    stage_await(self);
}

static void switch_to(int actor)
{
    if (stage->tells)
        printf("         -> %d\n", actor);
    note_announcement();
    stage_resume(actor);
    stage_await(self);
}

/* Time -------------------------------------------------------------------- */

static int first_deadline(void)
{
    int first = NO_ACTOR;
    for (unsigned i = 0; i < stage->count; i++)
        if (actors_timed() >> i & 1 &&
            (first == NO_ACTOR || stage->actors[i].deadline < stage->actors[first].deadline))
            first = (int)i;
    return first;
}

/* Returns the ready actor behind from, else a sleeper whose time limit passes. */
static int choice_default(int from, uint8_t ready)
{
    for (unsigned i = 1; i <= ACTORS_MAX; i++) {
        unsigned actor = ((unsigned)from + i) % ACTORS_MAX;
        if (ready >> actor & 1)
            return (int)actor;
    }
    return first_deadline();
}

static uint8_t actors_that_yielded(void)
{
    uint8_t set = 0;
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->actors[i].yielded)
            set |= (uint8_t)(1u << i);
    return set;
}

enum { LOCK_OFFSET = offsetof(struct control, lock) };

/* 1: a sleeper waits for a lock that no thread has. Its wake was lost; so where no actor can go on,
 * that is why, whichever sleeper's time limit passes first. */
static int lock_wake_is_lost(void)
{
    if ((uint32_t)director_mem.heap->control->lock & FUTEX_TID_MASK)
        return 0;
    for (unsigned i = 0; i < stage->count; i++)
        if (stage->actors[i].state == ACTOR_BLOCKED && stage->actors[i].futex == LOCK_OFFSET)
            return 1;
    return 0;
}

int stage_choose(int from)
{
    uint8_t all = actors_in(ACTOR_READY), ready = all & (uint8_t)~actors_that_yielded();
    if (ready == 0 && all != 0)
        ready = all;
    int choice = choice_default(from, ready);
    if (choice == NO_ACTOR) {
        if (actors_in(ACTOR_BLOCKED) != 0)
            stage_fail("deadlock: all actors sleep without a time limit");
        return NO_ACTOR;
    }
    struct point point = {step_next(), (uint8_t)(ready & ~(1u << choice)),
                          (uint8_t)(actors_hasty() & ~(1u << choice)), 0};
    if (self != DIRECTOR && scenario->flags & DIES)
        point.mortal = actors_in(ACTOR_BLOCKED);
    const struct change *change = change_at(&point);
    if (change != NULL && change->kills) {
        die(change->actor);
        return stage_choose(from);
    }
    if (change != NULL)
        return change->actor;
    if (stage->actors[choice].state == ACTOR_BLOCKED) {
        int at_lock = stage->actors[choice].futex == LOCK_OFFSET || lock_wake_is_lost();
        ++*(at_lock ? &stage->lock_forced : &stage->forced);
    }
    return choice;
}

/* Steps ------------------------------------------------------------------- */

void stage_give_way(void)
{
    int next = stage_choose(self);
    if (stage->tells)
        printf("         %d gives way to %d\n", self, next);
    if (next != self)
        switch_to(next);
    else
        stage_resume(self);
}

static void tell(uint64_t offset, int stores)
{
    char *base = (char *)director_mem.heap->base;
    if (stage->tells)
        printf("%8u %d %s %llu: %#llx%s\n", stage->steps, self, stores ? "stores" : "loads ",
               (unsigned long long)offset, *(unsigned long long *)(void *)(base + (offset & ~7ULL)),
               words_lock_held() ? "" : "  without the lock");
}

/* At its end an actor may die, but another one gets its turn anyway. Before an actor's first call
 * its turn has just begun: that another one goes on instead is another plan. */
void stage_step(const void *word, int stores, enum step_kind kind)
{
    uint64_t offset = heap_offset(word);
    if (!inside || (offset == UINT64_MAX && kind == STEP_OF_WORD))
        return;
    uint32_t step = step_next();
    if (offset != UINT64_MAX) {
        words_note(offset / 8, stores);
        tell(offset, stores);
    }
    int in_order = stage->order != ORDER_CALLS || kind != STEP_OF_WORD;
    /* A plan that is given may preempt at any word. */
    int is_racy = kind == STEP_OF_WORD &&
                  (stage->racy[offset / 8] || stage->change_next < stage->change_count);
    int is_point = in_order && (is_racy || (kind == STEP_OF_CALL && ++calls > 1));
    uint8_t others = actors_in(ACTOR_READY) & (uint8_t)~actors_that_yielded();
    struct point point = {step, 0, 0, 0};
    if (is_point)
        point.costly = (uint8_t)((others | actors_hasty()) & ~(1u << self));
    if (in_order && (stores || kind != STEP_OF_WORD) && scenario->flags & DIES)
        point.mortal = (uint8_t)(1u << self);
    const struct change *change = change_at(&point);
    if (change == NULL)
        return;
    if (change->kills)
        die(change->actor);
    else
        switch_to(change->actor);
}

static void at_access(const void *word, int stores) { stage_step(word, stores, STEP_OF_WORD); }

void (*shmheap_access_hook)(const void *word, int stores) = at_access;

void call_begins(void) { stage_step(NULL, 0, STEP_OF_CALL); }

void stage_act(unsigned actor, void (*run)(unsigned))
{
    inside = 1;
    calls = 0;
    run(actor);
    stage_step(NULL, 0, STEP_OF_END);
    inside = 0;
    stage->actors[self].state = ACTOR_ENDED;
    int next = stage_choose(self);
    if (next == NO_ACTOR)
        stage_post(DIRECTOR);
    else
        stage_resume(next);
}

/* What scenarios call ----------------------------------------------------- */

void record(uint64_t value)
{
    struct actor *actor = &stage->actors[self];
    if (actor->result_count == RESULTS_MAX)
        stage_fail("more than %d results", RESULTS_MAX);
    actor->results[actor->result_count++] = value;
}

void record_status(int status) { record(status < 0 ? (uint64_t)errno << 32 : (uint64_t)status); }

void *record_ptr(void *ptr)
{
    record(ptr != NULL ? (uint64_t)((char *)ptr - (char *)shmheap_underlying(mem))
                       : (uint64_t)errno << 32);
    return ptr;
}
