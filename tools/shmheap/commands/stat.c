/* stat.c: shmheap stat shows the figures of one heap and its processes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/text/figures.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/processes/process_table.h"
#include "tools/shmheap/command_line/say.h"

struct stat_view {
    shmheap_stats stats;
    struct process_table processes;
};

static int inspect(shmheap_memory_handle mem, void *context)
{
    struct stat_view *view = context;
    return shmheap_stat(mem, &view->stats) ? -1 : process_table_read(mem, &view->processes);
}

static void show_sizes(const shmheap_stats *stats)
{
    printf("  size          %s", size_text(stats->len));
    if (stats->max_len > stats->len)
        printf(", may grow to %s", size_text(stats->max_len));
    printf(" (%s of memory with control data and index)\n", size_text(stats->segment_len));
    printf("  used          %s in %s %s\n", size_text(stats->used_bytes),
           count_text(stats->used_blocks), plural(stats->used_blocks, "block", "blocks"));
    printf("  free          %s in %s %s; an object of %s fits\n", size_text(stats->free_bytes),
           count_text(stats->free_blocks), plural(stats->free_blocks, "block", "blocks"),
           size_text(stats->largest_free));
    printf("  high water    %s\n", size_text(stats->high_water_bytes));
    printf("  alignment     %llu\n", (unsigned long long)stats->alignment);
}

static void show_history(const shmheap_stats *stats)
{
    char created[40] = "";
    time_t seconds = (time_t)(stats->created_ns / 1000000000u);
    struct tm parts;
    if (localtime_r(&seconds, &parts))
        strftime(created, sizeof created, "%Y-%m-%d %H:%M:%S", &parts);
    printf("  created       %s, id %016llx\n", created, (unsigned long long)stats->id);
    printf("  operations    %s allocs, %s frees, %s failed for lack of space, grown %s %s\n",
           count_text(stats->allocs), count_text(stats->frees), count_text(stats->failed_allocs),
           count_text(stats->grows), plural(stats->grows, "time", "times"));
    printf("  recoveries    %s", count_text(stats->recoveries));
    if (stats->recoveries)
        printf(", the last took %s", ns_text(stats->last_recovery_ns));
    printf("\n  connected     %u of %u", stats->processes, stats->slots);
    if (stats->processes >= stats->slots)
        printf(": no slot is left, and connecting fails with EAGAIN; end one of these processes");
    if (stats->lock_slot)
        printf("; slot %u holds the lock", stats->lock_slot);
    putchar('\n');
}

static void show_dead(const struct heap_ref *ref, const struct stat_view *view)
{
    struct owned dead = process_table_dead(&view->processes);
    if (view->stats.dead == 0 && dead.blocks == 0)
        return;
    printf(
        "  dead          %u; dead processes hold %s in %s %s; 'shmheap reap %s%s' frees what they "
        "did not share\n",
        view->stats.dead, size_text(dead.bytes), count_text(dead.blocks),
        plural(dead.blocks, "block", "blocks"), ref->is_file ? "--file " : "", ref->text);
}

static int show_json(const struct heap_ref *ref, const struct stat_view *view)
{
    json_t *object = figures_json(ref->text, &view->stats);
    process_table_add_json(object, &view->processes);
    return json_show(object);
}

static int show(const struct heap_ref *ref, const struct stat_view *view, int json)
{
    if (json)
        return show_json(ref, view);
    printf("heap %s\n", ref->text);
    show_sizes(&view->stats);
    show_history(&view->stats);
    show_dead(ref, view);
    if (view->processes.count || view->stats.used_blocks)
        putchar('\n');
    process_table_show(&view->processes, 2);
    return 0;
}

static int stat_run(const struct command *command, int argc, char **argv)
{
    struct heap_ref ref;
    struct stat_view view = {0};
    int json = 0, is_file = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &json},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &is_file},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("stat needs the name of one heap");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    status = heap_inspect(&ref, inspect, &view) ? heap_fail(&ref) : show(&ref, &view, json);
    process_table_free(&view.processes);
    return status;
}

const struct command command_stat = {
    "stat",
    "show the figures of one heap and its processes",
    "usage: shmheap stat [--json] [--file] NAME\n"
    "\n"
    "Shows the heap's size, its use, what has happened in it and which processes are\n"
    "connected. The command opens the heap read-only and takes no lock, so it delays\n"
    "no process.\n"
    "\n"
    "  BLOCKS, BYTES  what the process allocated or received and has neither freed\n"
    "                 nor sent, with headers of 8 bytes; the blocks of a dead process\n"
    "                 stay until 'shmheap reap'\n"
    "  CACHED         the part of BYTES that is free memory in the process's caches\n"
    "\n"
    "  -j, --json  print one object; sizes in bytes, times in nanoseconds\n"
    "  -f, --file  NAME is the path of a file, not a name in shared memory\n"
    "      --help  print this text\n"
    "\n"
    "Examples:\n"
    "  shmheap stat orders      the heap of shm_open(\"/orders\"); /orders works too\n"
    "  shmheap stat --file /var/lib/orders.heap\n"
    "  shmheap stat --json orders | jq .used_bytes\n",
    stat_run,
};
