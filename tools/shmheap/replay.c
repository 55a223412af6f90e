/* replay.c: shmheap replay, a trace on one heap from many processes.
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

#include "commands.h"
#include "crew.h"
#include "heap.h"
#include "load.h"
#include "outcome.h"
#include "progress.h"
#include "say.h"

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

/* What all workers need at once at most, if they had their peaks together, with headers and rounding. */
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
            return fail("no random numbers for a name: %s", strerror(errno));
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
    if (errno == EEXIST)
        return fail(
            "there is a heap '%s' already; choose another --name, or remove it by 'shmheap rm %s'",
            plan->name + 1, plan->name + 1);
    if (errno == ENOSPC || errno == ENOMEM)
        return fail("there is no room for a heap of %s in shared memory; give a smaller --len or "
                    "fewer --processes",
                    size_text(plan->len));
    return fail("cannot make a heap of %s: %s", size_text(plan->len), strerror(errno));
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

/* A heap that nobody named goes by its name only as long as the workers need to connect, so nothing stays behind
 * whatever happens to this process. */
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

enum {
    OPTION_LEN = 1000,
    OPTION_MAX_LEN,
    OPTION_NAME,
    OPTION_KEEP,
    OPTION_KILL_ONE,
    OPTION_KILL_STEPS,
    OPTION_UNTIL,
    OPTION_INHERIT,
    OPTION_SPARSE,
    OPTION_HAND_OVER
};

static int alignment_set(struct plan *plan, const char *text)
{
    int status = args_number("--alignment", text, 8, 16, &plan->alignment);
    if (!status && plan->alignment != 8 && plan->alignment != 16)
        status = wrong_usage("--alignment is 8 or 16");
    return status;
}

static int flag_set(struct plan *plan, int got)
{
    plan->json |= got == 'j';
    plan->quiet |= got == 'q';
    plan->keep |= got == OPTION_KEEP;
    plan->kill_one |= got == OPTION_KILL_ONE;
    plan->inherit |= got == OPTION_INHERIT;
    plan->sparse |= got == OPTION_SPARSE;
    if (got == OPTION_NAME)
        plan->given_name = optarg;
    return 0;
}

static int option_set(struct plan *plan, int got)
{
    switch (got) {
        case 'p':
            return args_number("--processes", optarg, 1, MOST_WORKERS, &plan->processes);
        case 'r':
            return args_number("--repeat", optarg, 1, 1000000, &plan->repeat);
        case 'a':
            return alignment_set(plan, optarg);
        case OPTION_LEN:
            return args_size("--len", optarg, &plan->len);
        case OPTION_MAX_LEN:
            return args_size("--max-len", optarg, &plan->max_len);
        case OPTION_UNTIL:
            return args_number("--until", optarg, 1, 100, &plan->percent);
        case OPTION_HAND_OVER:
            return args_number("--hand-over", optarg, 1, 1000000, &plan->hand_over);
        case OPTION_KILL_STEPS:
            return args_number("--kill-steps", optarg, 0, 100000, &plan->kill_steps);
        default:
            return flag_set(plan, got);
    }
}

static int replay_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"processes", required_argument, NULL, 'p'},
        {"repeat", required_argument, NULL, 'r'},
        {"alignment", required_argument, NULL, 'a'},
        {"len", required_argument, NULL, OPTION_LEN},
        {"max-len", required_argument, NULL, OPTION_MAX_LEN},
        {"name", required_argument, NULL, OPTION_NAME},
        {"keep", no_argument, NULL, OPTION_KEEP},
        {"kill-one", no_argument, NULL, OPTION_KILL_ONE},
        {"kill-steps", required_argument, NULL, OPTION_KILL_STEPS},
        {"until", required_argument, NULL, OPTION_UNTIL},
        {"inherit", no_argument, NULL, OPTION_INHERIT},
        {"sparse", no_argument, NULL, OPTION_SPARSE},
        {"hand-over", required_argument, NULL, OPTION_HAND_OVER},
        {"json", no_argument, NULL, 'j'},
        {"quiet", no_argument, NULL, 'q'},
        {0}};
    static struct plan plan = {
        .processes = 4, .repeat = 1, .percent = 100, .alignment = 16, .kill_steps = KILL_STEPS};
    int got, status;
    while ((got = args_next(command, argc, argv, "p:r:a:jq", options)) > ARGS_END)
        if ((status = option_set(&plan, got)))
            return status;
    if (got < ARGS_END)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("replay wants the file of one trace");
    if (plan.keep && !plan.given_name)
        return wrong_usage("--keep wants a --name, by which the heap can be found afterwards");
    if (plan.len && plan.len < 128)
        return wrong_usage("--len is at least 128");
    plan.trace_name = argv[optind];
    return replay(&plan);
}

const struct command command_replay = {
    "replay",
    "play a trace on one heap from many processes at once",
    "usage: shmheap replay [OPTION...] TRACE\n"
    "\n"
    "Makes a heap and plays what shmheap record wrote on it, all of it from each of so many "
    "processes\n"
    "at once. Each object is filled with a pattern of its owner's and checked before it is resized "
    "or\n"
    "freed, so an object that another process got too, or that moved wrongly, is found. At the end "
    "all is\n"
    "freed, and the heap checked. Processes begin with different streams of the trace.\n"
    "\n"
    "  -p, --processes N    how many (default: 4)\n"
    "  -r, --repeat N       play the trace so often (default: 1)\n"
    "      --until PERCENT  stop after so much of it and leave what lives then in the heap\n"
    "      --hand-over N    leave each N-th free to the next process: it gets the object's handle, "
    "checks\n"
    "                       the object and frees it\n"
    "  -a, --alignment N    of the heap's objects: 8 or 16 (default: 16)\n"
    "      --len SIZE       of the heap, such as 64M (default: what the trace needs, and it may "
    "grow)\n"
    "      --max-len SIZE   to which it may grow (default: with --len, not at all)\n"
    "      --sparse         do not reserve its memory beforehand\n"
    "      --inherit        the processes use their parent's connection, instead of one of their "
    "own\n"
    "      --name NAME      of the heap (default: a random one that vanishes at once)\n"
    "      --keep           leave the heap there at the end, for shmheap map and others; shmheap "
    "rm NAME\n"
    "                       removes it\n"
    "      --kill-one       kill the first process by SIGKILL while it holds the heap's lock: it "
    "is moved on\n"
    "                       instruction by instruction (ptrace) until it has it\n"
    "      --kill-steps N   and so many instructions more (default: 40)\n"
    "  -q, --quiet          no progress\n"
    "  -j, --json           the figures as one object\n"
    "      --help           this text\n"
    "\n"
    "One call in 7 is timed (all with --kill-one), the clock's own cost taken off. A call that "
    "waits\n"
    "for the lock while others have it takes that time too.\n"
    "\n"
    "Exit status: 0 when all processes finished and the heap is sound; 1 if not; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap replay cc.trace\n"
    "  shmheap replay cc.trace -p 8 --repeat 10 --json | jq .ns_per_call.alloc.mean\n"
    "  shmheap replay cc.trace --kill-one --until 60 --name try --keep; shmheap map --by process "
    "try\n",
    replay_run,
};
