/* data.c: the data of the page as JSON.
 *
 * A heap's map takes walks over its blocks. So the answer is kept: for most of an interval, and for
 * at least REST times the time that the maps now shown took. The server then spends at most a tenth
 * of its time on maps, however large the heaps are and however many pages show them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shmheap/processes/process_table.h"
#include "tools/shmheap/picture/picture.h"
#include "tools/shmheap/serve/serve.h"
#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/text/figures.h"
#include "tools/shmheap/text/json.h"

enum {
    SEGMENTS = 3000, /* of a map, at most: about 100 KB of JSON */
    REST = 10,       /* see above */
    RECENT_MS = 10000,
    TRIES = 3, /* to read a heap that changes meanwhile */
    LABEL_ROOM = 4 * 4096 + 1,
    HTTP_OK = 200,
    HTTP_NOT_FOUND = 404,
    HTTP_UNAVAILABLE = 503
};

static char *text_of(json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(value);
    return text;
}

char *data_error(const char *reason)
{
    json_t *object = json_object();
    json_set_text(object, "error", reason);
    return text_of(object);
}

/* A sample if the server was idle: the one before is old, and rates since then would mislead. */
static void wake(struct server *server)
{
    server->wanted_ms = serve_now_ms();
    if (server->sampled_ms)
        return;
    live_free(&server->live);
    serve_sample(server);
}

char *data_heaps(struct server *server)
{
    char label[LABEL_ROOM];
    json_t *object = json_object(), *array = json_array();
    wake(server);
    json_set_count(object, "interval_ms", server->interval_ms);
    json_set_count(object, "samples", server->samples);
    for (size_t i = 0; i < server->live.count; i++) {
        json_t *heap = live_json(&server->live.heaps[i]);
        json_set_text(heap, "label",
                      escape_printable(label, sizeof label, server->live.heaps[i].name));
        json_array_append_new(array, heap);
    }
    json_object_set_new(object, "heaps", array);
    return text_of(object);
}

static void set_summary(json_t *object, const struct snapshot *snapshot)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    if (!file)
        return;
    summary_write(file, snapshot);
    if (fclose(file) == 0)
        json_set_text(object, "summary", text);
    free(text);
}

static json_t *detail_json(const char *label, const struct snapshot *snapshot,
                           const struct process_table *table)
{
    json_t *object = figures_json(label, &snapshot->stats);
    json_set_text(object, "label", label);
    set_summary(object, snapshot);
    process_table_add_json(object, table);
    json_object_set_new(object, "map", snapshot_json(snapshot));
    return object;
}

/* Read-only, without recovery: the server changes nothing. Returns NULL with errno. */
static json_t *detail_read(const struct heap_ref *ref, const char *label)
{
    static struct snapshot snapshot;
    struct process_table table = {0};
    shmheap_memory_handle mem;
    json_t *object = NULL;
    if (heap_ref_open_now(ref, &mem))
        return NULL;
    int error = EAGAIN;
    for (int i = 0; i < TRIES && error == EAGAIN; i++) {
        int failed =
            snapshot_read_from(mem, SEGMENTS, &snapshot) || process_table_read(mem, &table);
        error = failed ? errno : 0;
        if (!failed)
            object = detail_json(label, &snapshot, &table);
        snapshot_free(&snapshot);
    }
    process_table_free(&table);
    shmheap_disconnect(mem);
    errno = error;
    return object;
}

static const struct live_heap *heap_find(const struct live *live, const char *label)
{
    char text[LABEL_ROOM];
    for (size_t i = 0; i < live->count; i++)
        if (!strcmp(escape_printable(text, sizeof text, live->heaps[i].name), label))
            return &live->heaps[i];
    return NULL;
}

static void detail_drop(struct detail *detail)
{
    free(detail->label);
    free(detail->text);
    memset(detail, 0, sizeof *detail);
}

/* The detail of that heap, else an unused or the oldest one, emptied. NULL: a page showed each of
 * them within the last seconds. */
static struct detail *detail_place(struct server *server, const char *label)
{
    struct detail *oldest = server->details;
    for (int i = 0; i < DETAILS; i++) {
        struct detail *detail = &server->details[i];
        if (detail->label && !strcmp(detail->label, label))
            return detail;
        if (detail->read_ms < oldest->read_ms)
            oldest = detail;
    }
    if (oldest->label && serve_now_ms() - oldest->wanted_ms < RECENT_MS)
        return NULL;
    detail_drop(oldest);
    return oldest;
}

/* What one reading of each map costs that a page showed within the last seconds. */
static uint64_t details_cost_ms(const struct server *server, uint64_t now)
{
    uint64_t sum = 0;
    for (int i = 0; i < DETAILS; i++) {
        const struct detail *detail = &server->details[i];
        if (detail->label && now - detail->wanted_ms < RECENT_MS)
            sum += detail->cost_ms;
    }
    return sum;
}

static int detail_is_fresh(const struct server *server, struct detail *detail)
{
    uint64_t now = detail->wanted_ms = serve_now_ms(), keep = server->interval_ms * 9 / 10;
    uint64_t rest = REST * details_cost_ms(server, now);
    return detail->text && now - detail->read_ms < (keep < rest ? rest : keep);
}

static void detail_fill(struct detail *detail, const struct heap_ref *ref, const char *label)
{
    uint64_t start = serve_now_ms();
    json_t *object = detail_read(ref, label);
    int error = errno;
    detail_drop(detail);
    errno = error; /* for heap_reason */
    detail->status = object ? HTTP_OK : error == ENOENT ? HTTP_NOT_FOUND : HTTP_UNAVAILABLE;
    detail->text = object ? text_of(object) : data_error(heap_reason(ref));
    detail->label = strdup(label);
    detail->read_ms = detail->wanted_ms = serve_now_ms();
    detail->cost_ms = detail->read_ms - start;
}

char *data_heap(struct server *server, const char *label, unsigned *status)
{
    wake(server);
    const struct live_heap *heap = heap_find(&server->live, label);
    if (!heap && label[0] == '/') /* as names are written elsewhere */
        heap = heap_find(&server->live, ++label);
    if (!heap) {
        struct heap_ref none = {.text = label, .is_file = server->live.is_file};
        errno = ENOENT;
        *status = HTTP_NOT_FOUND;
        return data_error(heap_reason(&none));
    }
    struct detail *detail = detail_place(server, label);
    if (!detail) {
        *status = HTTP_UNAVAILABLE;
        return data_error("pages show too many heaps at once; close some");
    }
    if (!detail_is_fresh(server, detail))
        detail_fill(detail, &heap->ref, label);
    *status = detail->status;
    return detail->text ? strdup(detail->text) : NULL;
}

void data_forget(struct server *server)
{
    for (int i = 0; i < DETAILS; i++)
        detail_drop(&server->details[i]);
}
