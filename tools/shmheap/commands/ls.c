/* ls.c: shmheap ls lists the heaps of this machine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmheap.h>

#include "tools/shmheap/commands/commands.h"
#include "tools/shmheap/text/figures.h"
#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/processes/process_table.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"
#include "tools/shmheap/text/table.h"
#include "tools/shmheap/heaps/shm_folder.h"

enum ls_state {
    LS_SEEN,    /* a heap; the figures are valid */
    LS_UNSEEN,  /* a heap that cannot be read now */
    LS_VERSION, /* a heap of another format version */
    LS_SKIP     /* no heap */
};

struct ls_row {
    char *name;
    enum ls_state state;
    shmheap_stats stats;
    struct process_table processes; /* with --processes */
};

struct ls_list {
    int with_processes;
    struct ls_row *rows;
    size_t count;
    size_t refused; /* files that may not be read */
};

struct ls_inspection {
    struct ls_row *row;
    int with_processes;
};

static int inspect(shmheap_memory_handle mem, void *context)
{
    const struct ls_inspection *inspection = context;
    if (shmheap_stat(mem, &inspection->row->stats))
        return -1;
    return inspection->with_processes ? process_table_read(mem, &inspection->row->processes) : 0;
}

static enum ls_state inspect_heap(struct ls_row *row, int with_processes)
{
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY, .timeout_ms = 1};
    struct ls_inspection context = {row, with_processes};
    char path[HEAP_NAME_ROOM + 1];
    shmheap_memory_handle mem;
    if (snprintf(path, sizeof path, "/%s", row->name) >= (int)sizeof path)
        return LS_SKIP;
    say_heap(path);
    if (shmheap_open(&mem, path, &options))
        return errno == EPROTONOSUPPORT ? LS_VERSION : LS_SKIP;
    int seen = inspect(mem, &context) == 0;
    shmheap_disconnect(mem);
    return seen ? LS_SEEN : LS_UNSEEN;
}

static void row_drop(struct ls_row *row)
{
    process_table_free(&row->processes);
    free(row->name);
}

static int add_row(struct ls_list *list, const char *name)
{
    struct ls_row row = {.name = strdup(name)};
    struct ls_row *bigger = reallocarray(list->rows, list->count + 1, sizeof *bigger);
    if (bigger)
        list->rows = bigger;
    if (!bigger || !row.name) {
        free(row.name);
        return fail("not enough memory for the list");
    }
    row.state = inspect_heap(&row, list->with_processes);
    if (row.state == LS_SKIP)
        row_drop(&row);
    else
        list->rows[list->count++] = row;
    return 0;
}

/* Counts the files that this user may not read. Skips empty files and files that are no heaps. */
static int add_file(const char *name, const struct stat *status, int readable, void *context)
{
    struct ls_list *list = context;
    if (status->st_size == 0)
        return 0;
    if (readable)
        return add_row(list, name);
    list->refused++;
    return 0;
}

static int row_order(const void *a, const void *b)
{
    return strcmp(((const struct ls_row *)a)->name, ((const struct ls_row *)b)->name);
}

static int collect(struct ls_list *list)
{
    int status = shm_folder_each(add_file, list);
    if (list->count)
        qsort(list->rows, list->count, sizeof *list->rows, row_order);
    return status;
}

static const struct column columns[] = {
    {"NAME", 4, 0, 1},      {"SIZE", 10, 1, 0}, {"USED", 10, 3, 0},       {"FILL", 6, 0, 0},
    {"PROCESSES", 9, 2, 0}, {"DEAD", 4, 4, 0},  {"RECOVERIES", 10, 5, 0},
};

enum { COLUMNS_COUNT = sizeof columns / sizeof *columns };

static void show_row(const struct table *table, const struct ls_row *row)
{
    const shmheap_stats *stats = &row->stats;
    char name[1100], fill[16], processes[16], dead[16], line[TABLE_ROOM];
    escape_printable(name, sizeof name, row->name);
    snprintf(fill, sizeof fill, "%.0f %%",
             stats->len ? 100.0 * (double)stats->used_bytes / (double)stats->len : 0);
    snprintf(processes, sizeof processes, "%u", stats->processes);
    snprintf(dead, sizeof dead, "%u", stats->dead);
    const char *const cells[COLUMNS_COUNT] = {
        name, size_text(stats->len),        size_text(stats->used_bytes), fill, processes,
        dead, count_text(stats->recoveries)};
    if (row->state == LS_SEEN)
        puts(table_line(table, cells, line));
    else
        printf("%s  %s\n", name,
               row->state == LS_VERSION ? "(another format version)"
                                        : "(busy, or a process died in it; run shmheap check)");
    process_table_show(&row->processes, 4);
}

static int show_text(const struct ls_list *list)
{
    struct table table;
    char name[1100], line[TABLE_ROOM];
    int width = 4;
    for (size_t i = 0; i < list->count; i++) {
        int own = text_width(escape_printable(name, sizeof name, list->rows[i].name));
        width = own > width ? own : width;
    }
    table_fit(&table, columns, COLUMNS_COUNT, 0, screen_table_width(), width);
    if (list->count)
        puts(table_title(&table, line));
    else
        printf("no heaps in %s\n", shm_folder);
    for (size_t i = 0; i < list->count; i++)
        show_row(&table, &list->rows[i]);
    if (list->refused)
        printf("%zu %s in %s cannot be read by this user\n", list->refused,
               plural(list->refused, "file", "files"), shm_folder);
    return 0;
}

static int show_json(const struct ls_list *list)
{
    static const char *const states[] = {"seen", "unseen", "version"};
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct ls_row *row = &list->rows[i];
        json_t *object =
            row->state == LS_SEEN ? figures_json(row->name, &row->stats) : json_object();
        json_set_text(object, "name", row->name);
        json_set_text(object, "state", states[row->state]);
        if (list->with_processes && row->state == LS_SEEN)
            process_table_add_json(object, &row->processes);
        json_array_append_new(array, object);
    }
    return json_show(array);
}

static int ls_run(const struct command *command, int argc, char **argv)
{
    struct ls_list list = {0};
    int json = 0;
    const struct args_option options[] = {
        {.kind = ARGS_FLAG, .letter = 'j', .name = "json", .to = &json},
        {.kind = ARGS_FLAG, .letter = 'p', .name = "processes", .to = &list.with_processes},
        {0}};
    int got = args_parse(command, argc, argv, options);
    if (got)
        return args_status(got);
    if (optind < argc)
        return wrong_usage("ls takes no argument, but got '%s'; for one heap, use stat",
                           argv[optind]);
    int status = collect(&list);
    if (!status)
        status = json ? show_json(&list) : show_text(&list);
    for (size_t i = 0; i < list.count; i++)
        row_drop(&list.rows[i]);
    free(list.rows);
    return status;
}

const struct command command_ls = {
    "ls",
    "list the heaps of this machine: size, use, processes, recoveries",
    "usage: shmheap ls [--processes] [--json]\n"
    "\n"
    "Lists the heaps in shared memory that you may read. A heap in a file, or in\n"
    "memory that a program provides, has no name there and is not listed. For a\n"
    "file, use shmheap stat --file PATH.\n"
    "\n"
    "  SIZE        bytes that the heap can hand out now; a heap may grow\n"
    "  USED        bytes in blocks that are not free, with their headers of 8 bytes\n"
    "  FILL        the part of SIZE that is in use\n"
    "  PROCESSES   processes connected now, without read-only connections\n"
    "  DEAD        processes that died while connected; their objects stay until\n"
    "              'shmheap reap'\n"
    "  RECOVERIES  how often a process died inside a call and another process\n"
    "              repaired the heap\n"
    "\n"
    "On a terminal, or with COLUMNS set, columns that do not fit are left out.\n"
    "\n"
    "  -p, --processes  below each heap, list its processes and what each holds,\n"
    "                   as shmheap stat does\n"
    "  -j, --json       print an array of objects, one for each heap, with all\n"
    "                   figures of shmheap stat\n"
    "      --help       print this text\n"
    "\n"
    "Examples:\n"
    "  shmheap ls\n"
    "  shmheap ls --processes\n"
    "  shmheap ls --json | jq '.[] | select(.processes == 0) | .name'\n",
    ls_run,
};
