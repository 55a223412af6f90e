/* watch.c: shmheap watch prints figures of heaps as they change, for logs and for programs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <time.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/live/live.h"
#include "tools/shmheap/live/prometheus.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"
#include "tools/shmheap/text/table.h"

struct watch {
    struct live live;
    uint64_t interval_ms, count; /* count 0: without end */
    int json, prometheus;
};

static const struct column columns[] = {
    {"HEAP", 4, 0, 1}, {"TIME", 8, 6, 1},   {"FILL", 6, 0, 0},
    {"FRAG", 6, 2, 0}, {"OPS/S", 10, 0, 0}, {"PROC", 5, 1, 0},
    {"DEAD", 5, 4, 0}, {"RECOV", 7, 3, 0},  {"WAITS", 6, 5, 0},
};

enum { COLUMNS_COUNT = sizeof columns / sizeof *columns, CELL_ROOM = 32 };

static void fill_cells(const struct live_heap *heap, char (*cells)[CELL_ROOM])
{
    time_t seconds = time(NULL);
    struct tm parts;
    if (localtime_r(&seconds, &parts))
        strftime(cells[1], CELL_ROOM, "%H:%M:%S", &parts);
    snprintf(cells[2], CELL_ROOM, "%.0f %%", live_fill(heap));
    snprintf(cells[3], CELL_ROOM, "%.0f %%", live_fragmentation(heap));
    snprintf(cells[4], CELL_ROOM, "%.0f", heap->allocs + heap->frees);
    snprintf(cells[5], CELL_ROOM, "%u", heap->stats.processes);
    snprintf(cells[6], CELL_ROOM, "%u", heap->stats.dead);
    snprintf(cells[7], CELL_ROOM, "%s", count_text(heap->stats.recoveries));
    snprintf(cells[8], CELL_ROOM, "%.0f %%", live_waits(heap));
}

static void show_row(const struct table *table, const struct live_heap *heap)
{
    char cells[COLUMNS_COUNT][CELL_ROOM] = {""}, name[1100], line[TABLE_ROOM];
    const char *texts[COLUMNS_COUNT] = {escape_printable(name, sizeof name, heap->name)};
    for (int i = 1; i < COLUMNS_COUNT; i++)
        texts[i] = cells[i];
    snprintf(cells[2], CELL_ROOM, "?");
    if (heap->is_seen)
        fill_cells(heap, cells);
    puts(table_line(table, texts, line));
}

static void show_text(const struct watch *watch, int is_first)
{
    struct table table;
    char line[TABLE_ROOM];
    int width = 4;
    for (size_t i = 0; i < watch->live.count; i++) {
        int own = text_width(watch->live.heaps[i].name);
        width = own > width ? own : width;
    }
    table_fit(&table, columns, COLUMNS_COUNT, 0, screen_table_width(), width);
    if (is_first)
        puts(table_title(&table, line));
    for (size_t i = 0; i < watch->live.count; i++)
        show_row(&table, &watch->live.heaps[i]);
}

/* One line for each heap. */
static void show_json(const struct watch *watch)
{
    for (size_t i = 0; i < watch->live.count; i++) {
        json_t *object = live_json(&watch->live.heaps[i]);
        json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
        putchar('\n');
        json_decref(object);
    }
}

static int watch_heaps(struct watch *watch)
{
    int status = live_update(&watch->live);
    for (uint64_t i = 0; !status && (watch->count == 0 || i < watch->count); i++) {
        live_wait(&watch->live, (unsigned)watch->interval_ms);
        status = live_update(&watch->live);
        if (status)
            break;
        if (watch->json)
            show_json(watch);
        else
            show_text(watch, i == 0);
        if (fflush(stdout) || ferror(stdout))
            return fail("cannot write to standard output");
    }
    return status;
}

static int show_prometheus(struct watch *watch)
{
    int status = live_update(&watch->live);
    if (!status)
        prometheus_write(stdout, &watch->live);
    return status;
}

static int watch_run(const struct command *command, int argc, char **argv)
{
    struct watch watch = {.interval_ms = 1000};
    const struct args_option options[] = {
        {ARGS_NUMBER, 'i', "interval", &watch.interval_ms, 100, 3600000, NULL},
        {ARGS_NUMBER, 'c', "count", &watch.count, 1, 1000000000, NULL},
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &watch.json},
        {.kind = ARGS_FLAG, .letter = 'p', .name = "prometheus", .to = &watch.prometheus},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &watch.live.is_file},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (watch.json && watch.prometheus)
        return wrong_usage("--json and --prometheus exclude each other; use one of them");
    if (watch.prometheus && watch.count)
        return wrong_usage("--prometheus prints once and takes no --count");
    watch.live.name_count = argc - optind;
    watch.live.names = watch.live.name_count ? argv + optind : NULL;
    if (watch.live.is_file && !watch.live.names)
        return wrong_usage("--file needs the path of a heap");
    int status = watch.prometheus ? show_prometheus(&watch) : watch_heaps(&watch);
    live_free(&watch.live);
    return status;
}

const struct command command_watch = {
    "watch",
    "print figures of heaps as they change, also for programs",
    "usage: shmheap watch [--interval MS] [--count N] [--json] [--file] [NAME...]\n"
    "       shmheap watch --prometheus [--file] [NAME...]\n"
    "\n"
    "Prints a line for each heap after each interval: for the heaps in shared memory\n"
    "that you may read, or those named. It connects read-only and changes nothing.\n"
    "shmheap top --help explains the columns.\n"
    "\n"
    "  -i, --interval MS  milliseconds between samples (default: 1000)\n"
    "  -c, --count N      end after N intervals (default: go on until interrupted)\n"
    "  -j, --json         print one object on each line: the figures of shmheap stat,\n"
    "                     and time_ns, seen, fill_percent, fragmentation_percent,\n"
    "                     allocs_per_second, frees_per_second, alloc_bytes_per_second,\n"
    "                     probes, probes_lock_held, probes_lock_awaited,\n"
    "                     probes_space_awaited. A heap that cannot be read has name,\n"
    "                     seen, time_ns alone\n"
    "  -p, --prometheus   print once, at once, in the text format of Prometheus 0.0.4\n"
    "  -f, --file         NAME is the path of a file, not a name in shared memory\n"
    "      --help         print this text\n"
    "\n"
    "Exit status: 0; 1 a heap could not be opened at the start, or nothing could be\n"
    "written; 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  shmheap watch orders\n"
    "  shmheap watch --json --count 10 | jq .allocs_per_second\n"
    "  shmheap watch --prometheus > shm.prom.new && mv shm.prom.new shm.prom\n",
    watch_run,
};
