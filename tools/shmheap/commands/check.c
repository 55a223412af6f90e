/* check.c: shmheap check verifies that a heap is sound.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/text/json.h"
#include "tools/shmheap/command_line/say.h"

/* The statistics are read after the check. If another process changes the heap in between, they
 * differ from the report. */
struct checked {
    shmheap_report report;
    shmheap_stats stats;
};

static int inspect(shmheap_memory_handle mem, void *context)
{
    struct checked *checked = context;
    int result = shmheap_check(mem, &checked->report);
    if (result == 0 && shmheap_stat(mem, &checked->stats) != 0)
        memset(&checked->stats, 0, sizeof checked->stats);
    return result;
}

/* Recovery needs write permission; without it the command inspects the heap as it is. */
static int check(const struct heap_ref *ref, struct checked *checked)
{
    shmheap_memory_handle mem;
    if (heap_ref_open(ref, 0, &mem))
        return errno == EACCES || errno == EROFS || errno == EAGAIN
                   ? heap_inspect(ref, inspect, checked)
                   : -1;
    int result = inspect(mem, checked);
    int error = errno;
    shmheap_disconnect(mem);
    errno = error;
    return result;
}

static int show_json(const struct heap_ref *ref, const shmheap_report *report)
{
    json_t *object = json_object();
    json_set_text(object, "name", ref->text);
    json_set_flag(object, "sound", report->rule == 0);
    json_set_count(object, "rule", report->rule);
    json_set_text(object, "text", report->text);
    json_set_count(object, "offset", report->offset);
    json_set_count(object, "expected", report->expected);
    json_set_count(object, "found", report->found);
    json_set_count(object, "blocks", report->blocks);
    json_set_count(object, "used_bytes", report->used_bytes);
    json_set_count(object, "free_bytes", report->free_bytes);
    int status = json_show(object);
    return status ? status : report->rule ? STATUS_FAILED : 0;
}

static int figures_agree(const shmheap_report *report, const shmheap_stats *stats)
{
    return stats->used_blocks + stats->free_blocks == report->blocks &&
           stats->used_bytes == report->used_bytes && stats->free_bytes == report->free_bytes;
}

static int show_text(const struct heap_ref *ref, const struct checked *checked)
{
    const shmheap_report *report = &checked->report;
    const shmheap_stats *stats = &checked->stats;
    if (report->rule)
        return fail(
            "'%s' is not sound: rule %u (%s) is broken at offset %llu: expected %llu, found "
            "%llu; end its processes, save what you need and create the heap again",
            ref->text, report->rule, report->text, (unsigned long long)report->offset,
            (unsigned long long)report->expected, (unsigned long long)report->found);
    if (figures_agree(report, stats)) {
        printf("%s is sound: %s %s used", ref->text, count_text(stats->used_blocks),
               plural(stats->used_blocks, "block", "blocks"));
        printf(" (%s), %s free (%s)\n", size_text(report->used_bytes),
               count_text(stats->free_blocks), size_text(report->free_bytes));
        return 0;
    }
    printf("%s is sound: %s %s, %s used, %s free\n", ref->text, count_text(report->blocks),
           plural(report->blocks, "block", "blocks"), size_text(report->used_bytes),
           size_text(report->free_bytes));
    return 0;
}

static int check_run(const struct command *command, int argc, char **argv)
{
    struct heap_ref ref;
    struct checked checked;
    int json = 0, is_file = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &json},
        {.kind = ARGS_FLAG, .letter = 'f', .name = "file", .to = &is_file},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (argc - optind != 1)
        return wrong_usage("check needs the name of one heap");
    int status = heap_ref_set(&ref, argv[optind], is_file);
    if (status)
        return status;
    memset(&checked, 0, sizeof checked);
    if (check(&ref, &checked) < 0)
        return heap_fail(&ref);
    return json ? show_json(&ref, &checked.report) : show_text(&ref, &checked);
}

const struct command command_check = {
    "check",
    "walk all blocks of a heap and verify that it is sound",
    "usage: shmheap check [--json] [--file] NAME\n"
    "\n"
    "Walks all blocks and compares the index and all figures with them. The command\n"
    "holds the heap's lock meanwhile: some nanoseconds for each block, and 25 ms for\n"
    "each GiB of the heap that has memory. If a process died inside a call, the command\n"
    "first recovers the heap, as the next call of any process would. It changes nothing\n"
    "else.\n"
    "\n"
    "  -j, --json  print one object: sound, rule, offset, expected, found, ...\n"
    "  -f, --file  NAME is the path of a file, not a name in shared memory\n"
    "      --help  print this text\n"
    "\n"
    "Exit status: 0 the heap is sound; 1 it is not, or it could not be inspected;\n"
    "2 wrong usage. FORMAT.md lists the rules by number.\n"
    "\n"
    "Examples:\n"
    "  shmheap check orders\n"
    "  shmheap check orders || mail -s 'heap damaged' admin </dev/null\n",
    check_run,
};
