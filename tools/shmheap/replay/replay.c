/* replay.c: shmheap replay replays a trace on one heap from many processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/replay/crew.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/trace/load.h"
#include "tools/shmheap/replay/outcome.h"
#include "tools/shmheap/replay/progress.h"
#include "tools/shmheap/command_line/say.h"

enum { STRIDE = 7, KILL_STEPS = 40, SLACK = 1 << 16, GROWTH = 16 };

static int load(struct plan *plan)
{
    char error[MESSAGE_ROOM];
    size_t len;
    unsigned char *bytes = load_file(plan->trace_name, &len);
    if (!bytes)
        return fail("cannot read the trace '%s': %s", plan->trace_name, strerror(errno));
    int failed = trace_read(&plan->trace, bytes, len, 0, error, sizeof error);
    free(bytes);
    return failed ? fail("cannot replay '%s': %s", plan->trace_name, error) : 0;
}

static void count_calls(struct plan *plan)
{
    uint64_t calls = 0;
    for (size_t i = 0; i < plan->trace.stream_count; i++)
        calls += plan->trace.streams[i].totals.events;
    plan->calls_each = calls * plan->repeat;
    if (plan->percent < 100)
        plan->calls_each =
            plan->calls_each / 100 * plan->percent + plan->calls_each % 100 * plan->percent / 100;
}

/* The bytes that all workers need if they reach their peaks together, with headers and rounding. */
static uint64_t needed_len(const struct plan *plan)
{
    uint64_t most = 0;
    for (size_t i = 0; i < plan->trace.stream_count; i++) {
        const struct trace_totals *totals = &plan->trace.streams[i].totals;
        uint64_t need = totals->peak_live + totals->slots * 24;
        most = need > most ? need : most;
    }
    return most > (UINT64_MAX >> 8) / plan->processes ? UINT64_MAX >> 8 : most * plan->processes;
}

static void choose_sizes(struct plan *plan)
{
    uint64_t need = needed_len(plan);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (plan->len && !plan->max_len)
        plan->max_len = plan->len;
    if (!plan->len)
        plan->len = (need + need / 8 + SLACK) / page * page;
    if (!plan->max_len)
        plan->max_len = plan->len * 4 + ((uint64_t)GROWTH << 20);
    if (plan->max_len < plan->len)
        plan->max_len = plan->len;
}

static int choose_name(struct plan *plan)
{
    uint64_t random[2];
    struct heap_ref ref;
    if (!plan->given_name) {
        if (getrandom(random, sizeof random, 0) != sizeof random)
            return fail("cannot get random numbers for a name: %s", strerror(errno));
        snprintf(plan->name, sizeof plan->name, "/shmheap-replay-%016llx%016llx",
                 (unsigned long long)random[0], (unsigned long long)random[1]);
        return 0;
    }
    int status = heap_ref_set(&ref, plan->given_name, 0);
    if (!status && strlen(ref.name) >= sizeof plan->name)
        status = wrong_usage("the name '%s' is longer than 62 characters", plan->given_name);
    if (!status)
        strcpy(plan->name, ref.name);
    return status;
}

static int make_heap(struct plan *plan)
{
    shmheap_options options = {.len = plan->len,
                               .max_len = plan->max_len,
                               .alignment = plan->alignment,
                               .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE |
                                        (plan->sparse ? SHMHEAP_SPARSE : 0)};
    if (shmheap_open(&plan->mem, plan->name, &options) == 0)
        return 0;
    struct heap_ref ref = {.text = plan->name + 1};
    return heap_make_fail(&ref, plan->len, "--len or fewer --processes");
}

static int make_board(struct plan *plan)
{
    void *memory = mmap(NULL, plan->processes * sizeof *plan->board, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return fail("not enough memory: %s", strerror(errno));
    plan->board = memory;
    return 0;
}

/* Without --name, the heap's name is removed as soon as all workers are connected. So a death of
 * this process leaves no heap behind. */
static int run_crew(struct plan *plan, struct crew *crew)
{
    int status = crew_start(crew, plan);
    if (!plan->given_name)
        shmheap_unlink(plan->name);
    if (!status)
        crew_watch(crew, plan);
    crew_end(crew);
    return status;
}

static int replay_on_heap(struct plan *plan)
{
    static struct crew crew; /* too large for the stack */
    static struct outcome outcome;
    progress_note(plan, "%.60s%s: %s calls each of %llu %s, heap of %s", plan->trace.command,
                  strlen(plan->trace.command) > 60 ? "..." : "", count_text(plan->calls_each),
                  (unsigned long long)plan->processes,
                  plural(plan->processes, "process", "processes"), size_text(plan->len));
    int status = run_crew(plan, &crew);
    if (!status)
        status = outcome_gather(&outcome, plan, &crew);
    if (outcome.stats.len && !crew.interrupted && outcome_show(&outcome, plan, &crew))
        status = STATUS_FAILED;
    return crew.interrupted ? 128 + crew.interrupted : status;
}

static int replay(struct plan *plan)
{
    int status = load(plan);
    if (status)
        return status;
    count_calls(plan);
    choose_sizes(plan);
    plan->stride = plan->kill_one ? 1 : STRIDE;
    status = choose_name(plan);
    if (!status)
        status = make_board(plan);
    if (!status)
        status = make_heap(plan);
    if (!status) {
        status = replay_on_heap(plan);
        shmheap_disconnect(plan->mem);
        if (plan->given_name && !plan->keep)
            shmheap_unlink(plan->name);
    }
    trace_free(&plan->trace);
    return status;
}

static int replay_run(const struct command *command, int argc, char **argv)
{
    static struct plan plan = {
        .processes = 4, .repeat = 1, .percent = 100, .alignment = 16, .kill_steps = KILL_STEPS};
    const struct args_option options[] = {
        {ARGS_NUMBER, 'p', "processes", &plan.processes, 1, MOST_WORKERS, NULL},
        {ARGS_NUMBER, 'r', "repeat", &plan.repeat, 1, 1000000, NULL},
        {ARGS_NUMBER, 'a', "alignment", &plan.alignment, 8, 16, NULL},
        {.kind = ARGS_SIZE, .name = "len", .to = &plan.len},
        {.kind = ARGS_SIZE, .name = "max-len", .to = &plan.max_len},
        {.kind = ARGS_TEXT, .name = "name", .to = &plan.given_name},
        {.kind = ARGS_FLAG, .name = "keep", .to = &plan.keep},
        {.kind = ARGS_FLAG, .name = "kill-one", .to = &plan.kill_one},
        {ARGS_NUMBER, 0, "kill-steps", &plan.kill_steps, 0, 100000, NULL},
        {ARGS_NUMBER, 0, "until", &plan.percent, 1, 100, NULL},
        {.kind = ARGS_FLAG, .name = "inherit", .to = &plan.inherit},
        {.kind = ARGS_FLAG, .name = "sparse", .to = &plan.sparse},
        {ARGS_NUMBER, 0, "hand-over", &plan.hand_over, 1, 1000000, NULL},
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &plan.json},
        {.kind = ARGS_FLAG, .letter = 'q', .name = "quiet", .to = &plan.quiet},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (plan.alignment != 8 && plan.alignment != 16)
        return wrong_usage("--alignment must be 8 or 16");
    if (argc - optind != 1)
        return wrong_usage("replay needs the file of one trace");
    if (plan.keep && !plan.given_name)
        return wrong_usage("--keep needs a --name by which to find the heap afterwards");
    if (plan.len && plan.len < 128)
        return wrong_usage("--len must be at least 128");
    plan.trace_name = argv[optind];
    return replay(&plan);
}

const struct command command_replay = {
    "replay",
    "replay a trace on one heap from many processes",
    "usage: shmheap replay [OPTION...] TRACE\n"
    "\n"
    "Creates a heap and replays the trace on it, the whole trace from each of several\n"
    "processes at once. A process fills each object with a pattern and verifies the\n"
    "pattern before it resizes or frees the object. So the replay detects memory that\n"
    "was handed out twice and a realloc that copied wrongly. At the end all objects\n"
    "are freed and the heap is checked. The processes start with different streams of\n"
    "the trace.\n"
    "\n"
    "  -p, --processes N    number of processes (default: 4)\n"
    "  -r, --repeat N       replay the trace N times (default: 1)\n"
    "      --until PERCENT  stop after this part of the trace and leave the objects\n"
    "                       that are live then in the heap\n"
    "      --hand-over N    pass each N-th object, instead of freeing it, to the next\n"
    "                       process by handle; that process verifies and frees it\n"
    "  -a, --alignment N    alignment of objects: 8 or 16 (default: 16)\n"
    "      --len SIZE       size of the heap, such as 64M (default: what the trace\n"
    "                       needs; the heap may then grow)\n"
    "      --max-len SIZE   size up to which the heap may grow (default with --len:\n"
    "                       the heap does not grow)\n"
    "      --sparse         do not reserve the heap's memory in advance\n"
    "      --inherit        processes use their parent's connection, not their own\n"
    "      --name NAME      name of the heap (default: a random one that is removed\n"
    "                       as soon as all processes are connected)\n"
    "      --keep           keep the heap at the end, for shmheap map and the other\n"
    "                       commands; remove it by shmheap rm NAME\n"
    "      --kill-one       kill the first process by SIGKILL while it holds the\n"
    "                       heap's lock (ptrace single-steps it to there)\n"
    "      --kill-steps N   instructions between taking the lock and the kill\n"
    "                       (default: 40)\n"
    "  -q, --quiet          print no progress\n"
    "  -j, --json           print the figures as one object\n"
    "      --help           print this text\n"
    "\n"
    "One call in 7 is timed (each call with --kill-one); the clock's own cost is\n"
    "subtracted. The time of a call includes its wait for the lock.\n"
    "\n"
    "Exit status: 0 all processes finished and the heap is sound; 1 not so; 2 wrong\n"
    "usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap replay cc.trace\n"
    "  shmheap replay cc.trace -p 8 --repeat 10 --json | jq .ns_per_call.alloc.mean\n"
    "  shmheap replay cc.trace --kill-one --until 60 --name try --keep\n",
    replay_run,
};
