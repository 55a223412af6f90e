/* outcome.c: the result of a replay.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/replay/outcome.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "tools/shmheap/text/figures.h"
#include "tools/shmheap/command_line/say.h"

static const char *const timed_texts[TIMED_KINDS] = {"alloc", "realloc", "free"};

static int is_victim(const struct plan *plan, const struct crew *crew, unsigned index)
{
    return plan->kill_one && index == VICTIM && crew->execution.done;
}

static void add_worker(struct outcome *outcome, const struct worker_board *board)
{
    outcome->calls += board->calls;
    outcome->objects += board->objects;
    outcome->bytes += board->bytes;
    outcome->frees += board->frees;
    outcome->checked_bytes += board->checked_bytes;
    outcome->handed += board->handed;
    outcome->left += board->left;
    for (int kind = 0; kind < TIMED_KINDS; kind++)
        histogram_merge(&outcome->times[kind], &board->times[kind]);
}

static int worker_failed(const struct plan *plan, const struct crew *crew, unsigned index)
{
    const struct worker_board *board = &plan->board[index];
    int wait_status = crew->member[index].wait_status;
    if (__atomic_load_n(&board->state, __ATOMIC_ACQUIRE) == WORKER_FAILED)
        return fail("process %u: %s", index + 1, board->message);
    if (WIFSIGNALED(wait_status))
        return fail(
            "process %u was killed by signal %d (%s) after %s calls; the other processes continued",
            index + 1, WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)),
            count_text(board->calls));
    if (board->state != WORKER_DONE)
        return fail("process %u ended early, with status %d", index + 1, WEXITSTATUS(wait_status));
    return 0;
}

/* Frees the objects that were passed to a process after it ended. */
static int finish_parcels(const struct plan *plan)
{
    const char *wrong;
    for (unsigned i = 0; i < plan->processes; i++)
        if (handover_finish(&plan->board[i].incoming, plan->mem, &wrong) < 0)
            return fail("%s", wrong);
    return 0;
}

static int gather_workers(struct outcome *outcome, const struct plan *plan, const struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        add_worker(outcome, &plan->board[i]);
        if (is_victim(plan, crew, i))
            continue;
        if (worker_failed(plan, crew, i))
            outcome->failed++;
        else
            outcome->finished++;
    }
    return outcome->failed ? STATUS_FAILED : 0;
}

/* If all workers finished, only the objects left by --until remain in the heap. */
static int check_rest(const struct outcome *outcome, const struct plan *plan)
{
    if (plan->kill_one || outcome->failed || outcome->stats.used_blocks == outcome->left)
        return 0;
    return fail("the heap has %s used blocks at the end; expected %s",
                count_text(outcome->stats.used_blocks), count_text(outcome->left));
}

int outcome_gather(struct outcome *outcome, const struct plan *plan, const struct crew *crew)
{
    memset(outcome, 0, sizeof *outcome);
    outcome->ns = crew->ended_ns - crew->started_ns;
    int status = gather_workers(outcome, plan, crew);
    if (!crew->interrupted && finish_parcels(plan))
        status = STATUS_FAILED;
    int sound = shmheap_check(plan->mem, &outcome->report);
    if (sound < 0 || shmheap_stat(plan->mem, &outcome->stats))
        return fail("%s", shmheap_error_text());
    if (sound > 0)
        return fail("the heap is not sound: rule %u (%s) is broken at offset %llu",
                    outcome->report.rule, outcome->report.text,
                    (unsigned long long)outcome->report.offset);
    if (plan->kill_one && !crew->execution.done && !crew->interrupted)
        return fail(
            "process %u could not be killed with the lock held; check that ptrace is allowed "
            "here (kernel.yama.ptrace_scope, seccomp)",
            VICTIM + 1);
    return check_rest(outcome, plan) ? STATUS_FAILED : status;
}

static void show_times(const struct outcome *outcome, const struct plan *plan)
{
    double seconds = (double)outcome->ns / 1e9;
    for (int kind = 0; kind < TIMED_KINDS; kind++) {
        const struct histogram *times = &outcome->times[kind];
        if (times->count)
            printf("  %-12s  mean %.0f ns, median %llu, 99 %% within %llu; longest %s%s\n",
                   timed_texts[kind], histogram_mean(times),
                   (unsigned long long)histogram_at(times, 500),
                   (unsigned long long)histogram_at(times, 990), ns_text(times->most),
                   plan->stride > 1 ? " of the timed calls" : "");
    }
    printf("  total         %s, %.2f million calls/s with filling and verifying\n",
           ns_text(outcome->ns), seconds > 0 ? (double)outcome->calls / 1e6 / seconds : 0);
}

static void show_heap(const struct outcome *outcome)
{
    const shmheap_stats *stats = &outcome->stats;
    printf("  peak live     %s\n", size_text(stats->high_water_bytes));
    printf("  heap          %s, grown %s %s; sound, %s %s (%s) in use\n", size_text(stats->len),
           count_text(stats->grows), plural(stats->grows, "time", "times"),
           count_text(stats->used_blocks), plural(stats->used_blocks, "block", "blocks"),
           size_text(stats->used_bytes));
}

static void show_kill(const struct outcome *outcome, const struct plan *plan,
                      const struct crew *crew)
{
    if (!plan->kill_one || !crew->execution.done)
        return;
    printf("  killed        process %u after %s of its %s calls, %s instructions after it took the "
           "lock\n",
           VICTIM + 1, count_text(plan->board[VICTIM].calls), count_text(plan->calls_each),
           count_text(crew->execution.held_steps));
    printf("  recovery      %s %s, the last took %s; %u of the %u other processes finished\n",
           count_text(outcome->stats.recoveries),
           plural(outcome->stats.recoveries, "time", "times"),
           ns_text(outcome->stats.last_recovery_ns), outcome->finished, crew->count - 1);
}

static int show_text(const struct outcome *outcome, const struct plan *plan,
                     const struct crew *crew)
{
    printf("%s: %u %s on one heap\n", basename(plan->trace_name), crew->count,
           plural(crew->count, "process", "processes"));
    printf("  calls         %s; %u %s finished\n", count_text(outcome->calls), outcome->finished,
           plural(outcome->finished, "process", "processes"));
    printf("  objects       %s, %s requested, %s verified\n", count_text(outcome->objects),
           size_text(outcome->bytes), size_text(outcome->checked_bytes));
    if (outcome->handed)
        printf("  handed over   %s objects by handle, verified and freed by another process\n",
               count_text(outcome->handed));
    show_heap(outcome);
    show_times(outcome, plan);
    show_kill(outcome, plan, crew);
    return 0;
}

static json_t *times_json(const struct histogram *times)
{
    json_t *object = json_object();
    json_set_count(object, "timed", times->count);
    json_object_set_new(object, "mean", json_real(histogram_mean(times)));
    json_set_count(object, "median", histogram_at(times, 500));
    json_set_count(object, "p99", histogram_at(times, 990));
    json_set_count(object, "most", times->most);
    return object;
}

static json_t *kill_json(const struct plan *plan, const struct crew *crew)
{
    json_t *object = json_object();
    json_set_flag(object, "holding_lock", crew->execution.done);
    json_set_count(object, "slot", plan->board[VICTIM].slot);
    json_set_count(object, "calls", plan->board[VICTIM].calls);
    json_set_count(object, "steps", crew->execution.steps);
    json_set_count(object, "held_steps", crew->execution.held_steps);
    return object;
}

static int show_json(const struct outcome *outcome, const struct plan *plan,
                     const struct crew *crew)
{
    json_t *object = json_object(), *times = json_object();
    json_set_text(object, "trace", plan->trace_name);
    json_set_count(object, "processes", crew->count);
    json_set_count(object, "finished", outcome->finished);
    json_set_count(object, "failed", outcome->failed);
    json_set_count(object, "calls", outcome->calls);
    json_set_count(object, "objects", outcome->objects);
    json_set_count(object, "bytes", outcome->bytes);
    json_set_count(object, "frees", outcome->frees);
    json_set_count(object, "checked_bytes", outcome->checked_bytes);
    json_set_count(object, "handed", outcome->handed);
    json_set_count(object, "left", outcome->left);
    json_set_count(object, "elapsed_ns", outcome->ns);
    json_set_flag(object, "sound", outcome->report.rule == 0);
    for (int kind = 0; kind < TIMED_KINDS; kind++)
        json_object_set_new(times, timed_texts[kind], times_json(&outcome->times[kind]));
    json_set_count(object, "timed_one_in", plan->stride);
    json_object_set_new(object, "ns_per_call", times);
    json_object_set_new(object, "heap", figures_json(plan->name, &outcome->stats));
    if (plan->kill_one)
        json_object_set_new(object, "killed", kill_json(plan, crew));
    return json_show(object);
}

int outcome_show(const struct outcome *outcome, const struct plan *plan, const struct crew *crew)
{
    return (plan->json ? show_json : show_text)(outcome, plan, crew);
}
