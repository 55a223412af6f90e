/* ls.c: shmheap ls, the heaps on this machine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmheap.h>

#include "commands.h"
#include "figures.h"
#include "heap.h"
#include "holders.h"
#include "say.h"
#include "shm_folder.h"

enum ls_state {
    LS_SEEN,    /* the figures are good */
    LS_UNSEEN,  /* a heap, but one that cannot be read now */
    LS_VERSION, /* of another format */
    LS_SKIP     /* no heap */
};

struct ls_row {
    char *name;
    enum ls_state state;
    shmheap_stats stats;
    struct holders holders; /* where they were asked for */
};

struct ls_list {
    int with_holders;
    struct ls_row *rows;
    size_t count;
    size_t refused; /* files that may not be read */
};

struct ls_look {
    struct ls_row *row;
    int with_holders;
};

static int look(shmheap_memory_handle mem, void *context)
{
    const struct ls_look *look = context;
    if (shmheap_stat(mem, &look->row->stats))
        return -1;
    return look->with_holders ? holders_look(mem, &look->row->holders) : 0;
}

static enum ls_state look_at(struct ls_row *row, int with_holders)
{
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY, .timeout_ms = 1};
    struct ls_look context = {row, with_holders};
    char path[HEAP_NAME_ROOM + 1];
    shmheap_memory_handle mem;
    if (snprintf(path, sizeof path, "/%s", row->name) >= (int)sizeof path)
        return LS_SKIP;
    if (shmheap_open(&mem, path, &options))
        return errno == EPROTONOSUPPORT ? LS_VERSION : LS_SKIP;
    int seen = look(mem, &context) == 0;
    shmheap_disconnect(mem);
    return seen ? LS_SEEN : LS_UNSEEN;
}

static void row_drop(struct ls_row *row)
{
    holders_drop(&row->holders);
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
    row.state = look_at(&row, list->with_holders);
    if (row.state == LS_SKIP)
        row_drop(&row);
    else
        list->rows[list->count++] = row;
    return 0;
}

/* What this user may not read is counted; what is empty or no heap is passed over. */
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

static void show_row(const struct ls_row *row, int width)
{
    const shmheap_stats *stats = &row->stats;
    if (row->state == LS_SEEN)
        printf("%-*s  %10s  %10s  %4.0f %%  %9u  %4u  %10s\n", width, row->name,
               size_text(stats->len), size_text(stats->used_bytes),
               stats->len ? 100.0 * (double)stats->used_bytes / (double)stats->len : 0,
               stats->processes, stats->dead, count_text(stats->recoveries));
    else
        printf("%-*s  %s\n", width, row->name,
               row->state == LS_VERSION ? "(another version of the format)"
                                        : "(busy, or a process died in it: shmheap check)");
    holders_show(&row->holders, "    ");
}

static int show_text(const struct ls_list *list)
{
    int width = 4;
    for (size_t i = 0; i < list->count; i++)
        if ((int)strlen(list->rows[i].name) > width)
            width = (int)strlen(list->rows[i].name);
    if (list->count)
        printf("%-*s  %10s  %10s  %6s  %9s  %4s  %10s\n", width, "NAME", "SIZE", "USED", "",
               "PROCESSES", "DEAD", "RECOVERIES");
    else
        printf("no heaps in %s\n", shm_folder);
    for (size_t i = 0; i < list->count; i++)
        show_row(&list->rows[i], width);
    if (list->refused)
        printf("%zu %s there may only be read by another user\n", list->refused,
               plural(list->refused, "file", "files"));
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
        if (list->with_holders && row->state == LS_SEEN)
            holders_add_json(object, &row->holders);
        json_array_append_new(array, object);
    }
    return json_show(array);
}

static int ls_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"processes", no_argument, NULL, 'p'}, {0}};
    struct ls_list list = {0};
    int json = 0, got;
    while ((got = args_next(command, argc, argv, "jp", options)) > ARGS_END) {
        json |= got == 'j';
        list.with_holders |= got == 'p';
    }
    if (got < ARGS_END)
        return args_status(got);
    if (optind < argc)
        return wrong_usage("ls takes no argument, not '%s'; for one heap there is stat",
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
    "heaps on this machine: size, used, processes, recoveries",
    "usage: shmheap ls [--processes] [--json]\n"
    "\n"
    "Lists the heaps in shared memory that you may read. Heaps in files and in memory of programs "
    "of\n"
    "their own have no name there; for a file, shmheap stat --file PATH.\n"
    "\n"
    "  SIZE        bytes that the heap hands out now; it may be allowed to grow\n"
    "  USED        bytes of blocks that are not free, their headers of 8 bytes with them\n"
    "  PROCESSES   connected now, those that only read not counted\n"
    "  DEAD        processes that died connected; what they hold stays until 'shmheap reap'\n"
    "  RECOVERIES  how often a process died at work on the heap, and another put it in order\n"
    "\n"
    "  -p, --processes  below each heap who holds how much of it, alive or dead, as stat shows it\n"
    "  -j, --json       an array of objects, one a heap, with all figures of stat\n"
    "      --help       this text\n"
    "\n"
    "Examples:\n"
    "  shmheap ls\n"
    "  shmheap ls --processes\n"
    "  shmheap ls --json | jq '.[] | select(.processes == 0) | .name'    heaps that nobody uses\n",
    ls_run,
};
