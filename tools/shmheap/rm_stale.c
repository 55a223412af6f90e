/* rm_stale.c: removing the heaps that nobody lives on.
 *
 * Without names this goes over a folder that other programs use as well, so it removes only what certainly is a heap. A file
 * of zeros may be one that was never finished: it goes when its name is given.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rm_stale.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "heap.h"
#include "json.h"
#include "say.h"
#include "shm_folder.h"
#include "stale.h"

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
        "nobody is connected",
        "never finished, and its creator is gone",
        "empty, and open nowhere",
        "in use",
        "not finished, perhaps still being made",
        "no heap",
        "cannot be looked at",
    };
    return texts[stale];
}

/* The program that made the heap meant its names to outlive all processes. A heap that cannot be
 * walked (damaged, of another version, or no permission) may have such names, too. */
static int may_have_kept_names(const struct stale_look *look)
{
    return look->stale == STALE_UNUSED && (!look->counted || look->kept_names != 0);
}

static const char *reason_of(const struct stale_look *look)
{
    if (!may_have_kept_names(look))
        return reason_text(look->stale);
    return look->counted
               ? "nobody is connected, but it has names that are kept"
               : "nobody is connected, but whether it has names that are kept cannot be seen";
}

/* What is told of each: those that were removed or asked for by name, those that stay for their names, and what may
 * be a heap and may be none. */
static int is_told(const struct sweep *sweep, const struct stale_look *look, int removed)
{
    return removed || sweep->by_name || look->stale == STALE_EMPTY || may_have_kept_names(look);
}

static void add_json(struct sweep *sweep, const struct heap_ref *ref, const struct stale_look *look,
                     int removed)
{
    json_t *object = json_object();
    json_set_text(object, "name", ref->text);
    json_set_flag(object, "removed", removed);
    json_set_text(object, "reason", reason_of(look));
    json_set_text(object, "who", look->who);
    json_set_count(object, "file_len", look->file_len);
    if (look->seen) {
        json_set_count(object, "used_blocks", look->stats.used_blocks);
        json_set_count(object, "used_bytes", look->stats.used_bytes);
    }
    if (look->counted) {
        json_set_count(object, "objects", look->objects);
        json_set_count(object, "kept_names", look->kept_names);
    }
    json_array_append_new(sweep->outcomes, object);
}

static void show_removed(const struct sweep *sweep, const struct heap_ref *ref,
                         const struct stale_look *look)
{
    printf("%s %s: %s; %s", sweep->how.dry ? "would remove" : "removed", ref->text,
           reason_text(look->stale), size_text(look->file_len));
    if (look->counted)
        printf(", %s %s in it", count_text(look->objects),
               plural(look->objects, "object", "objects"));
    putchar('\n');
}

static void show_kept(const struct heap_ref *ref, const struct stale_look *look)
{
    printf("kept %s: %s", ref->text, reason_of(look));
    if (may_have_kept_names(look))
        printf("; 'shmheap names %s%s' lists them, 'shmheap rm %s%s' removes the heap all the same",
               ref->is_file ? "--file " : "", ref->text, ref->is_file ? "--file " : "", ref->text);
    if (*look->who)
        printf(" by %s", look->who);
    if (look->stale == STALE_EMPTY)
        printf(": if it is a heap that was never finished, shmheap rm --stale %s removes it",
               ref->text);
    putchar('\n');
}

static int is_to_go(const struct sweep *sweep, const struct stale_look *look)
{
    return (look->stale == STALE_UNUSED && !may_have_kept_names(look)) ||
           look->stale == STALE_UNFINISHED || (look->stale == STALE_EMPTY && sweep->by_name);
}

/* Who sweeps passes over what belongs to others; who names it is told. */
static void note_error(struct sweep *sweep, const struct heap_ref *ref,
                       const struct stale_look *look)
{
    if (look->stale == STALE_NO_HEAP && sweep->by_name)
        errno = EBADMSG;
    else if (look->stale != STALE_ERROR ||
             (!sweep->by_name && (errno == EACCES || errno == EPERM || errno == ENOENT)))
        return;
    sweep->status = heap_fail(ref);
}

static void sweep_one(struct sweep *sweep, const struct heap_ref *ref)
{
    struct stale_look look;
    stale_look(ref, &look);
    int removed = is_to_go(sweep, &look);
    if (removed && !sweep->how.dry && heap_ref_unlink_unused(ref)) {
        look.stale = STALE_ERROR;
        removed = 0;
    }
    note_error(sweep, ref, &look);
    sweep->removed += removed;
    sweep->live += look.stale == STALE_LIVE;
    sweep->with_names += may_have_kept_names(&look);
    sweep->bytes += removed ? look.file_len : 0;
    if (look.stale >= STALE_NO_HEAP || !is_told(sweep, &look, removed))
        return;
    if (sweep->how.json)
        add_json(sweep, ref, &look, removed);
    else if (removed)
        show_removed(sweep, ref, &look);
    else
        show_kept(ref, &look);
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
