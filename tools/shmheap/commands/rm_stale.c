/* rm_stale.c: removes unused heaps.
 *
 * Without names it sweeps a folder that other programs use too, so it removes only files that
 * certainly are heaps. A file of zeros may be an unfinished heap: it is removed only by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/commands/rm_stale.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/shmheap/heaps/heap.h"
#include "tools/shmheap/text/json.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/heaps/shm_folder.h"
#include "tools/shmheap/heaps/stale.h"

struct sweep {
    struct rm_stale how;
    int by_name;
    unsigned removed, live, with_names;
    uint64_t bytes; /* of files removed */
    int status;
    json_t *outcomes;
};

static const char *reason_text(enum stale stale)
{
    static const char *const texts[] = {
        "no process is connected",
        "never finished, and its creator is gone",
        "empty, and not open",
        "in use",
        "unfinished, and its creator may be at work",
        "no heap",
        "cannot be inspected",
    };
    return texts[stale];
}

/* Kept names are meant to outlive all processes. A heap that cannot be walked (damaged, of another
 * version, or without permission) may have such names, too. */
static int may_have_kept_names(const struct stale_report *report)
{
    return report->stale == STALE_UNUSED && (!report->counted || report->kept_names != 0);
}

static const char *reason_of(const struct stale_report *report)
{
    if (!may_have_kept_names(report))
        return reason_text(report->stale);
    return report->counted
               ? "no process is connected, but it has kept names"
               : "no process is connected, but it may have kept names: it cannot be walked";
}

/* Whether to print a line: for heaps removed, given by name or kept for their names, and for files
 * that may be heaps. */
static int is_reported(const struct sweep *sweep, const struct stale_report *report, int removed)
{
    return removed || sweep->by_name || report->stale == STALE_EMPTY || may_have_kept_names(report);
}

json_t *rm_outcome(const struct heap_ref *ref, const struct stale_report *report, int removed)
{
    json_t *object = json_object();
    json_set_text(object, "name", ref->text);
    json_set_flag(object, "removed", removed);
    json_set_text(object, "reason", reason_of(report));
    json_set_text(object, "who", report->users);
    json_set_count(object, "file_len", report->file_len);
    if (report->seen) {
        json_set_count(object, "used_blocks", report->stats.used_blocks);
        json_set_count(object, "used_bytes", report->stats.used_bytes);
    }
    if (report->counted) {
        json_set_count(object, "objects", report->objects);
        json_set_count(object, "kept_names", report->kept_names);
    }
    return object;
}

static void show_removed(const struct sweep *sweep, const struct heap_ref *ref,
                         const struct stale_report *report)
{
    printf("%s %s: %s; %s", sweep->how.dry ? "would remove" : "removed", ref->text,
           reason_text(report->stale), size_text(report->file_len));
    if (report->counted)
        printf(", %s %s in it", count_text(report->objects),
               plural(report->objects, "object", "objects"));
    putchar('\n');
}

static void show_kept(const struct heap_ref *ref, const struct stale_report *report)
{
    const char *option = ref->is_file ? "--file " : "";
    int may_have_names = may_have_kept_names(report);
    printf("kept %s: %s", ref->text, reason_of(report));
    if (may_have_names && report->counted)
        printf("; 'shmheap names %s%s' lists them, 'shmheap rm %s%s' removes the heap", option,
               ref->text, option, ref->text);
    else if (may_have_names) /* the command names cannot, either */
        printf("; 'shmheap rm %s%s' removes the heap with its names", option, ref->text);
    if (*report->users)
        printf(" by %s", report->users);
    if (report->stale == STALE_EMPTY)
        printf("; if it is an unfinished heap, 'shmheap rm --stale %s' removes it", ref->text);
    putchar('\n');
}

static int is_removable(const struct sweep *sweep, const struct stale_report *report)
{
    return (report->stale == STALE_UNUSED && !may_have_kept_names(report)) ||
           report->stale == STALE_UNFINISHED || (report->stale == STALE_EMPTY && sweep->by_name);
}

/* A sweep skips files that are no heaps or belong to other users; for a given name both are
 * errors. */
static void note_error(struct sweep *sweep, const struct heap_ref *ref,
                       const struct stale_report *report)
{
    if (report->stale == STALE_NO_HEAP && sweep->by_name)
        errno = EBADMSG;
    else if (report->stale != STALE_ERROR ||
             (!sweep->by_name && (errno == EACCES || errno == EPERM || errno == ENOENT)))
        return;
    sweep->status = heap_fail(ref);
}

static void sweep_one(struct sweep *sweep, const struct heap_ref *ref)
{
    struct stale_report report;
    stale_inspect(ref, &report);
    int removed = is_removable(sweep, &report);
    if (removed && !sweep->how.dry && heap_ref_unlink_unused(ref)) {
        report.stale = STALE_ERROR;
        removed = 0;
    }
    note_error(sweep, ref, &report);
    sweep->removed += removed;
    sweep->live += report.stale == STALE_LIVE;
    sweep->with_names += may_have_kept_names(&report);
    sweep->bytes += removed ? report.file_len : 0;
    if (report.stale >= STALE_NO_HEAP || !is_reported(sweep, &report, removed))
        return;
    if (sweep->how.json)
        json_array_append_new(sweep->outcomes, rm_outcome(ref, &report, removed));
    else if (removed)
        show_removed(sweep, ref, &report);
    else
        show_kept(ref, &report);
}

static int sweep_file(const char *name, const struct stat *status, int readable, void *context)
{
    struct heap_ref ref;
    (void)status;
    if (readable && heap_ref_set(&ref, name, 0) == 0)
        sweep_one(context, &ref);
    return 0;
}

static int sweep_names(struct sweep *sweep, int count, char **names)
{
    int worst = 0;
    for (int i = 0; i < count; i++) {
        struct heap_ref ref;
        int status = heap_ref_set(&ref, names[i], sweep->how.is_file);
        if (!status)
            sweep_one(sweep, &ref);
        worst = status > worst ? status : worst;
    }
    return worst;
}

static void show_sum(const struct sweep *sweep)
{
    printf("%s%u %s of %s; %u in use", sweep->how.dry ? "would remove " : "removed ",
           sweep->removed, plural(sweep->removed, "heap", "heaps"), size_text(sweep->bytes),
           sweep->live);
    if (sweep->with_names)
        printf(", %u kept for their names", sweep->with_names);
    putchar('\n');
}

int rm_stale(const struct rm_stale *how, int count, char **names)
{
    struct sweep sweep = {.how = *how, .by_name = count > 0, .outcomes = json_array()};
    int status =
        sweep.by_name ? sweep_names(&sweep, count, names) : shm_folder_each(sweep_file, &sweep);
    if (how->json)
        status = json_show(sweep.outcomes) > status ? STATUS_FAILED : status;
    else {
        if (!sweep.by_name)
            show_sum(&sweep);
        json_decref(sweep.outcomes);
    }
    return sweep.status > status ? sweep.status : status;
}
