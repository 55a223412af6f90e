/* explore.c: makes the plans: all with up to some changes, or random ones.
 *
 * First the actors' calls run whole, in every order: their outcomes are what is right. Then the
 * calls interleave. A plan is a list of changes; each run notes the points behind the last change,
 * and each alternative there makes a longer plan. So each plan runs once. Preemptions, time limits
 * that pass and deaths are bounded; the choice of the next actor where one ends or waits is not.
 * Fewer changes come first. If a run showed another word to be racy, all plans with so many changes
 * run again with the points at that word.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/schedule/schedule.h"
#include "tests/support/test.h"

enum {
    BOUND = 2,         /* changes of a plan that cost; fewer under a sanitizer */
    DEATHS = 1,        /* of them */
    RANDOM_RUNS = 500, /* of a scenario with more than two actors */
    OUTCOMES_MAX = 1 << 14,
    TEXT_MAX = 4096
};

static struct {
    unsigned bound, deaths;
    uint64_t random_runs, seconds;
    const char *replay;
} options;

static struct {
    uint64_t outcomes[OUTCOMES_MAX]; /* of whole calls; 0: none */
    unsigned outcome_count;
    uint64_t runs, steps, deaths, points, lock_forced, all_runs;
} seen;

static struct timespec begin;

static double seconds_since(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
}

static uint64_t option(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != 0 ? strtoull(text, NULL, 0) : otherwise;
}

/* Plans as text ----------------------------------------------------------- */

/* "31>1": at step 31 actor 1 goes on; "40x0": at step 40 actor 0 dies. */
static const char *plan_text(void)
{
    static char text[TEXT_MAX];
    size_t at = (size_t)snprintf(text, sizeof text, "%s", scenario->name);
    for (unsigned i = 0; i < stage->change_count && at < sizeof text - 20; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, " %u%c%u", stage->changes[i].step,
                               stage->changes[i].kills ? 'x' : '>', stage->changes[i].actor);
    return text;
}

/* Fails on text that it cannot read: without its end the plan would be another plan. */
static void plan_read(const char *text)
{
    unsigned step, actor;
    char kind;
    int length;
    for (; sscanf(text, " %u%c%u%n", &step, &kind, &actor, &length) == 3; text += length) {
        if ((kind != '>' && kind != 'x') || actor >= stage->count)
            break;
        CHECK(stage->change_count < CHANGES_MAX);
        stage->changes[stage->change_count++] = (struct change){step, kind == 'x', (uint8_t)actor};
    }
    text += strspn(text, " ");
    errno = 0;
    if (*text != 0)
        test_fail(
            __FILE__, __LINE__,
            "SHMHEAP_SCHEDULE: cannot read '%s'; write 5>1 or 5x0: at step 5 actor 1 goes on, "
            "or actor 0 dies; %s has %u actors",
            text, scenario->name, stage->count);
}

/* Outcomes ---------------------------------------------------------------- */

static uint64_t *outcome_place(uint64_t outcome)
{
    size_t at = (size_t)outcome % OUTCOMES_MAX;
    while (seen.outcomes[at] != 0 && seen.outcomes[at] != outcome)
        at = (at + 1) % OUTCOMES_MAX;
    return &seen.outcomes[at];
}

static void outcome_judge(void)
{
    int loose = scenario->flags & LOOSE || (stage->deaths && scenario->flags & LOOSE_DEATHS);
    uint64_t outcome = aftermath_outcome();
    uint64_t *place = outcome_place(outcome + (outcome == 0));
    if (*place != 0 || loose)
        return;
    if (stage->order != ORDER_CALLS) {
        stage_fail("the results are not those of whole calls in any order");
        return;
    }
    CHECK(seen.outcome_count++ < OUTCOMES_MAX / 2);
    *place = outcome + (outcome == 0);
}

/* Runs -------------------------------------------------------------------- */

static int run_passes(void)
{
    if (director_run())
        outcome_judge();
    return director_finish();
}

static void run_failed(void)
{
    static char failure[sizeof stage->failure];
    memcpy(failure, stage->failure, sizeof failure);
    stage->order = stage->order == ORDER_CALLS ? ORDER_CALLS : ORDER_STEPS;
    int again = !run_passes() && strcmp(failure, stage->failure) == 0;
    errno = 0;
    test_fail(__FILE__, __LINE__, "%s\n  %s; to see each step: SHMHEAP_SCHEDULE='%s'", failure,
              again               ? "it fails so again"
              : stage->failure[0] ? stage->failure
                                  : "IT PASSES WHEN RUN AGAIN",
              plan_text());
}

static void run_one(void)
{
    seen.all_runs++;
    if (!run_passes())
        run_failed();
    seen.runs++;
    seen.steps += stage->steps;
    seen.deaths += stage->deaths;
    seen.points += stage->point_count;
    seen.lock_forced += stage->lock_forced;
}

/* The orders of whole calls are never cut short: they say what is right. */
static int time_is_up(void)
{
    return options.seconds != 0 && stage->order != ORDER_CALLS &&
           seconds_since() > (double)options.seconds;
}

static void explore_from(unsigned costs, unsigned deaths);

static void explore_change(const struct point *point, int kills, uint8_t set, unsigned costs,
                           unsigned deaths)
{
    for (unsigned actor = 0; actor < stage->count; actor++) {
        if (!(set >> actor & 1) || stage->change_count == CHANGES_MAX || time_is_up())
            continue;
        stage->changes[stage->change_count++] =
            (struct change){point->step, (uint8_t)kills, (uint8_t)actor};
        explore_from(costs, deaths);
        stage->change_count--;
    }
}

/* Runs the plan on the stage and all longer ones, with so many more changes that cost. */
static void explore_from(unsigned costs, unsigned deaths)
{
    run_one();
    unsigned count = stage->point_count;
    struct point *points = malloc((count + 1) * sizeof *points);
    CHECK(points != NULL);
    memcpy(points, stage->points, count * sizeof *points);
    unsigned of_death = scenario->flags & DIES_ALONE ? 2 : 1;
    for (unsigned i = 0; i < count; i++) {
        explore_change(&points[i], 0, points[i].cheap, costs, deaths);
        if (costs != 0)
            explore_change(&points[i], 0, points[i].costly, costs - 1, deaths);
        if (costs >= of_death && deaths != 0)
            explore_change(&points[i], 1, points[i].mortal, costs - of_death, deaths - 1);
    }
    free(points);
}

/* A wake at the lock is lost only where three actors run, or two that are preempted three times:
 * docs/history.md, The lock. */
static int lock_keeps_wakes(enum order order, unsigned costs)
{
    return stage->count <= 2 && (order == ORDER_CALLS || costs <= 2);
}

static void explore_all(enum order order, unsigned costs)
{
    unsigned racy;
    do {
        racy = words_racy();
        words_update();
        stage->order = order;
        stage->lock_strict = lock_keeps_wakes(order, costs);
        stage->change_count = 0;
        seen.runs = seen.steps = seen.deaths = seen.points = seen.lock_forced = 0;
        explore_from(costs, options.deaths);
    } while (words_racy() != racy && !time_is_up());
}

static void explore_randomly(void)
{
    struct test_random random = test_random_begin(stage->count);
    for (uint64_t i = 0; i < options.random_runs && !time_is_up(); i++) {
        words_update();
        stage->order = ORDER_RANDOM;
        stage->lock_strict = 0;
        stage->change_count = 0;
        stage->random = test_random_next(&random);
        stage->preemptions_left = 1 + (unsigned)test_random_below(&random, 20);
        stage->deaths_left = options.deaths;
        run_one();
    }
}

/* A scenario -------------------------------------------------------------- */

static void replay(const char *plan)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    stage->order = ORDER_STEPS;
    plan_read(plan);
    stage->tells = stage->lock_strict = 1;
    int passed = director_run();
    aftermath_outcome();
    passed = director_finish() && passed;
    test_fail(__FILE__, __LINE__, "replayed: %s", passed ? "passes" : stage->failure);
}

static void tell_figures(unsigned bound)
{
    double seconds = seconds_since();
    printf(
        "  %u actors, %u changes: %llu schedules, %llu steps, %llu points, %llu deaths, "
        "%llu wakes lost at the lock; %u racy words, %u outcomes; %.1f s, %.0f runs a second%s\n",
        stage->count, bound, (unsigned long long)seen.runs, (unsigned long long)seen.steps,
        (unsigned long long)seen.points, (unsigned long long)seen.deaths,
        (unsigned long long)seen.lock_forced, words_racy(), seen.outcome_count, seconds,
        (double)seen.all_runs / (seconds > 0 ? seconds : 1),
        time_is_up() ? "; the time was up" : "");
    fflush(stdout);
}

static void options_read(const struct scenario *its)
{
    options.bound = (unsigned)option("SHMHEAP_SCHEDULE_BOUND", test_rounds(BOUND));
    options.deaths = its->flags & DIES ? (unsigned)option("SHMHEAP_SCHEDULE_DEATHS", DEATHS) : 0;
    options.random_runs = option("SHMHEAP_SCHEDULE_RANDOM", test_rounds(RANDOM_RUNS));
    options.seconds = option("SHMHEAP_SCHEDULE_SECONDS", 0) / (its->actors > 2 ? 2 : 1);
    options.replay = getenv("SHMHEAP_SCHEDULE");
}

/* Half of the time goes to each of both ways, where there are more than two actors. */
static void explore_both(void)
{
    unsigned fewer = scenario->fewer + (stage->count > 2),
             bound = options.bound > fewer ? options.bound - fewer : 0;
    if (!(scenario->flags & LOOSE))
        explore_all(ORDER_CALLS, CHANGES_MAX);
    for (unsigned costs = 0; costs <= bound && !time_is_up(); costs++)
        explore_all(ORDER_STEPS, costs);
    tell_figures(bound);
    CHECK(words_racy() != 0); /* else nothing has interleaved: the core lacks the hook */
    if (stage->count <= 2)
        return;
    options.seconds *= 2;
    explore_randomly();
    tell_figures(CHANGES_MAX);
}

int explore_is_asked(const struct scenario *its, const char *plan)
{
    size_t length = strlen(its->name);
    return strncmp(plan, its->name, length) == 0 && (plan[length] == 0 || plan[length] == ' ');
}

void explore(const struct scenario *its)
{
    options_read(its);
    if (options.replay != NULL && !explore_is_asked(its, options.replay))
        return;
    memset(&seen, 0, sizeof seen);
    clock_gettime(CLOCK_MONOTONIC_RAW, &begin);
    director_begin(its);
    if (options.replay != NULL)
        replay(options.replay + strlen(its->name));
    explore_both();
    director_end();
}
