/* ls.c: shmheap ls, the heaps on this machine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <shmheap.h>

#include "commands.h"
#include "figures.h"
#include "heap.h"
#include "say.h"

static const char shm_folder[] = "/dev/shm"; /* where shm_open() keeps its names on Linux */

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
};

struct ls_list {
    struct ls_row *rows;
    size_t count;
    size_t refused; /* files that may not be read */
};

/* What this user may not read is counted; what is empty or no heap is passed over. */
static int is_candidate(struct ls_list *list, int folder, const char *name)
{
    struct stat status;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) || !S_ISREG(status.st_mode) || status.st_size == 0)
        return 0;
    if (faccessat(folder, name, R_OK, AT_EACCESS) == 0)
        return 1;
    list->refused++;
    return 0;
}

static enum ls_state look_at(const char *name, shmheap_stats *stats)
{
    shmheap_options options = {.flags = SHMHEAP_READ_ONLY, .timeout_ms = 1};
    char path[HEAP_NAME_ROOM + 1];
    shmheap_memory_handle mem;
    if (snprintf(path, sizeof path, "/%s", name) >= (int)sizeof path)
        return LS_SKIP;
    if (shmheap_open(&mem, path, &options))
        return errno == EPROTONOSUPPORT ? LS_VERSION : LS_SKIP;
    int seen = shmheap_stat(mem, stats) == 0;
    shmheap_disconnect(mem);
    return seen ? LS_SEEN : LS_UNSEEN;
}

static int add_row(struct ls_list *list, const char *name)
{
    struct ls_row row = {0};
    row.state = look_at(name, &row.stats);
    if (row.state == LS_SKIP)
        return 0;
    struct ls_row *bigger = reallocarray(list->rows, list->count + 1, sizeof *bigger);
    row.name = strdup(name);
    if (bigger)
        list->rows = bigger;
    if (!bigger || !row.name) {
        free(row.name);
        return -1;
    }
    list->rows[list->count++] = row;
    return 0;
}

static int row_order(const void *a, const void *b)
{
    return strcmp(((const struct ls_row *)a)->name, ((const struct ls_row *)b)->name);
}

static int collect(struct ls_list *list)
{
    DIR *folder = opendir(shm_folder);
    struct dirent *entry;
    int failed = 0;
    if (!folder)
        return fail("cannot read %s: %s", shm_folder, strerror(errno));
    while (!failed && (entry = readdir(folder)))
        if (is_candidate(list, dirfd(folder), entry->d_name))
            failed = add_row(list, entry->d_name);
    closedir(folder);
    if (list->count)
        qsort(list->rows, list->count, sizeof *list->rows, row_order);
    return failed ? fail("not enough memory for the list") : 0;
}

static void show_row(const struct ls_row *row, int width)
{
    const shmheap_stats *stats = &row->stats;
    if (row->state == LS_SEEN)
        printf("%-*s  %10s  %10s  %4.0f %%  %9u  %10s\n", width, row->name, size_text(stats->len),
               size_text(stats->used_bytes), stats->len ? 100.0 * (double)stats->used_bytes / (double)stats->len : 0,
               stats->processes, count_text(stats->recoveries));
    else
        printf("%-*s  %s\n", width, row->name,
               row->state == LS_VERSION ? "(another version of the format)"
                                        : "(busy, or a process died in it: shmheap check)");
}

static int show_text(const struct ls_list *list)
{
    int width = 4;
    for (size_t i = 0; i < list->count; i++)
        if ((int)strlen(list->rows[i].name) > width)
            width = (int)strlen(list->rows[i].name);
    if (list->count)
        printf("%-*s  %10s  %10s  %6s  %9s  %10s\n", width, "NAME", "SIZE", "USED", "", "PROCESSES", "RECOVERIES");
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
        json_t *object = row->state == LS_SEEN ? figures_json(row->name, &row->stats) : json_object();
        json_set_text(object, "name", row->name);
        json_set_text(object, "state", states[row->state]);
        json_array_append_new(array, object);
    }
    return json_show(array);
}

static int ls_run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    struct ls_list list = {0};
    int json = 0, got;
    while ((got = args_next(command, argc, argv, "j", options)) > ARGS_END)
        json = 1;
    if (got < ARGS_END)
        return args_status(got);
    if (optind < argc)
        return wrong_usage("ls takes no argument, not '%s'; for one heap there is stat", argv[optind]);
    int status = collect(&list);
    if (!status)
        status = json ? show_json(&list) : show_text(&list);
    for (size_t i = 0; i < list.count; i++)
        free(list.rows[i].name);
    free(list.rows);
    return status;
}

const struct command command_ls = {
    "ls",
    "heaps on this machine: size, used, processes, recoveries",
    "usage: shmheap ls [--json]\n"
    "\n"
    "Lists the heaps in shared memory that you may read. Heaps in files and in memory of programs of\n"
    "their own have no name there; for a file, shmheap stat --file PATH.\n"
    "\n"
    "  SIZE        bytes that the heap hands out now; it may be allowed to grow\n"
    "  USED        bytes of blocks that are not free, their headers of 8 bytes with them\n"
    "  PROCESSES   connected now, those that only read not counted\n"
    "  RECOVERIES  how often a process died at work on the heap, and another put it in order\n"
    "\n"
    "  -j, --json  an array of objects, one a heap, with all figures of stat\n"
    "      --help  this text\n"
    "\n"
    "Examples:\n"
    "  shmheap ls\n"
    "  shmheap ls --json | jq '.[] | select(.processes == 0) | .name'    heaps that nobody uses\n",
    ls_run,
};
