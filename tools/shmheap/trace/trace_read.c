/* trace_read.c: decodes a trace; validates every byte before it uses it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/trace/trace.h"
#include "tools/shmheap/trace/trace_bytes.h"
#include "tools/shmheap/trace/varint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static const uint64_t DEFAULT_RAW_LIMIT = UINT64_C(4) << 30;

struct complaint {
    char *text;
    size_t room;
};

__attribute__((format(printf, 2, 3))) static int complain(struct complaint to, const char *format,
                                                          ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(to.text, to.room, format, arguments);
    va_end(arguments);
    return -1;
}

/* The cursor. */

void trace_begin(struct trace_cursor *cursor, const struct trace_stream *stream)
{
    memset(cursor, 0, sizeof *cursor);
    cursor->at = stream->bytes;
    cursor->end = stream->bytes + stream->len;
}

void trace_end(struct trace_cursor *cursor)
{
    free(cursor->free_slots);
    cursor->free_slots = NULL;
    cursor->free_count = cursor->free_room = 0;
}

static int fault(struct trace_cursor *cursor, const char *text)
{
    cursor->fault = text;
    return -1;
}

static int number(struct trace_cursor *cursor, uint64_t *value)
{
    return varint_get(&cursor->at, cursor->end, value) ? fault(cursor, "an event is cut short") : 0;
}

static int make(struct trace_cursor *cursor, struct trace_event *event, uint64_t size)
{
    if (!cursor->free_count && cursor->fresh == TRACE_MAX_SLOT)
        return fault(cursor, "too many objects live at once");
    event->slot = cursor->free_count ? cursor->free_slots[--cursor->free_count] : cursor->fresh++;
    event->size = size;
    cursor->last = event->slot;
    if (event->op != TRACE_ALIGNED)
        return 1;
    uint64_t log2;
    if (number(cursor, &log2))
        return -1;
    if (log2 > 62)
        return fault(cursor, "an alignment is beyond 2^62");
    event->alignment = UINT64_C(1) << log2;
    return 1;
}

static int find(struct trace_cursor *cursor, struct trace_event *event, uint64_t step)
{
    /* Bound the step first: the sum of two 64-bit numbers could overflow. */
    int64_t by = unzigzag(step);
    if (by <= -(int64_t)TRACE_MAX_SLOT || by >= TRACE_MAX_SLOT)
        return fault(cursor, "an event is about an object that does not exist");
    int64_t slot = (int64_t)cursor->last + by;
    if (slot < 0 || slot >= cursor->fresh)
        return fault(cursor, "an event is about an object that does not exist");
    event->slot = cursor->last = (uint32_t)slot;
    return 1;
}

static int push_free(struct trace_cursor *cursor, uint32_t slot)
{
    if (cursor->free_count == cursor->free_room) {
        size_t room = cursor->free_room ? 2 * cursor->free_room : 256;
        uint32_t *bigger = reallocarray(cursor->free_slots, room, sizeof *bigger);
        if (!bigger)
            return fault(cursor, "there is not enough memory to read it");
        cursor->free_slots = bigger;
        cursor->free_room = room;
    }
    cursor->free_slots[cursor->free_count++] = slot;
    return 1;
}

static int decode(struct trace_cursor *cursor, struct trace_event *event, uint64_t argument)
{
    switch (event->op) {
        case TRACE_FREE:
            return find(cursor, event, argument) < 0 ? -1 : push_free(cursor, event->slot);
        case TRACE_REALLOC:
            if (find(cursor, event, argument) < 0 || number(cursor, &event->size))
                return -1;
            return event->size >> 61 ? fault(cursor, "a size is beyond 2^61") : 1;
        default:
            return make(cursor, event, argument);
    }
}

int trace_next(struct trace_cursor *cursor, struct trace_event *event)
{
    uint64_t head;
    memset(event, 0, sizeof *event);
    do {
        if (cursor->at == cursor->end)
            return 0;
        if (number(cursor, &head))
            return -1;
        if ((head & 7) >= TRACE_OPS)
            return fault(cursor, "an event is of an unknown kind");
        if ((head & 7) == TRACE_THREAD) {
            if (head >> 3 > UINT32_MAX)
                return fault(cursor, "a thread's number is too large");
            cursor->thread = (uint32_t)(head >> 3);
        }
    } while ((head & 7) == TRACE_THREAD);
    event->op = (enum trace_op)(head & 7);
    event->thread = cursor->thread;
    return decode(cursor, event, head >> 3);
}

/* One pass over a stream verifies that each event concerns a live object and that the totals are
 * those that the stream claims. The table grows with the objects seen, not with the claimed
 * totals. */

struct survey {
    uint64_t *sizes; /* by slot: size plus one; 0: not live */
    size_t room;
    uint64_t live_bytes;
    struct trace_totals totals;
};

static int survey_room(struct survey *survey, uint32_t slot)
{
    if (slot < survey->room)
        return 0;
    size_t room = survey->room ? 2 * survey->room : 256;
    uint64_t *bigger = reallocarray(survey->sizes, room, sizeof *bigger);
    if (!bigger)
        return -1;
    memset(bigger + survey->room, 0, (room - survey->room) * sizeof *bigger);
    survey->sizes = bigger;
    survey->room = room;
    return 0;
}

static const char *survey_event(struct survey *survey, const struct trace_event *event)
{
    struct trace_totals *totals = &survey->totals;
    if (survey_room(survey, event->slot))
        return "there is not enough memory to read it";
    uint64_t *size = &survey->sizes[event->slot];
    int makes = event->op != TRACE_FREE && event->op != TRACE_REALLOC;
    if (!makes && !*size)
        return "an event is about an object that was freed";
    totals->events++;
    totals->objects += (uint64_t)makes;
    totals->live += (uint64_t)makes - (event->op == TRACE_FREE);
    totals->bytes += event->size;
    survey->live_bytes += event->size - (*size ? *size - 1 : 0);
    *size = event->op == TRACE_FREE ? 0 : event->size + 1;
    if (survey->live_bytes > totals->peak_live)
        totals->peak_live = survey->live_bytes;
    if (event->thread >= totals->threads)
        totals->threads = (uint64_t)event->thread + 1;
    return NULL;
}

static const char *survey_stream(struct survey *survey, const struct trace_stream *stream)
{
    struct trace_cursor cursor;
    struct trace_event event;
    const char *wrong = NULL;
    int more;
    trace_begin(&cursor, stream);
    while (!wrong && (more = trace_next(&cursor, &event)) != 0)
        wrong = more < 0 ? cursor.fault : survey_event(survey, &event);
    survey->totals.slots = cursor.fresh;
    survey->totals.dropped = stream->totals.dropped; /* not countable here: the events are absent */
    trace_end(&cursor);
    return wrong;
}

static const char *stream_check(const struct trace_stream *stream)
{
    struct survey survey = {0};
    const char *wrong = survey_stream(&survey, stream);
    free(survey.sizes);
    if (!wrong && memcmp(&survey.totals, &stream->totals, sizeof survey.totals))
        wrong = "its totals are not those of its events";
    return wrong;
}

/* The body. */

struct reader {
    const unsigned char *at, *end;
};

static int read_text(struct reader *reader, char **out)
{
    uint64_t len;
    if (varint_get(&reader->at, reader->end, &len) || len > (uint64_t)(reader->end - reader->at))
        return -1;
    *out = malloc(len + 1);
    if (!*out)
        return -1;
    memcpy(*out, reader->at, len);
    (*out)[len] = '\0';
    reader->at += len;
    return 0;
}

static int read_stream(struct reader *reader, struct trace_stream *stream)
{
    uint64_t len;
    struct trace_totals *totals = &stream->totals;
    uint64_t *figures[TRACE_FIGURES] = {
        &stream->pid,     &stream->cut,   &totals->events,
        &totals->objects, &totals->bytes, &totals->peak_live,
        &totals->slots,   &totals->live,  &totals->threads,
        &totals->dropped, &len,
    };
    if (read_text(reader, &stream->name))
        return -1;
    for (size_t i = 0; i < TRACE_FIGURES; i++)
        if (varint_get(&reader->at, reader->end, figures[i]))
            return -1;
    if (len > (uint64_t)(reader->end - reader->at))
        return -1;
    stream->bytes = reader->at;
    stream->len = len;
    reader->at += len;
    return 0;
}

static int add_stream(struct trace *trace, struct reader *reader, struct complaint to)
{
    size_t count = trace->stream_count;
    if ((count & (count - 1)) == 0) { /* the array is full at each power of two */
        struct trace_stream *bigger =
            reallocarray(trace->streams, count ? 2 * count : 1, sizeof *bigger);
        if (!bigger)
            return complain(to, "there is not enough memory to read it");
        trace->streams = bigger;
    }
    struct trace_stream *stream = &trace->streams[count];
    memset(stream, 0, sizeof *stream);
    trace->stream_count++;
    if (read_stream(reader, stream))
        return complain(to, "it is cut short in stream %zu", count + 1);
    const char *wrong = stream_check(stream);
    return wrong ? complain(to, "stream %zu is damaged: %s", count + 1, wrong) : 0;
}

static int read_body(struct trace *trace, size_t len, struct complaint to)
{
    struct reader reader = {trace->body, trace->body + len};
    if (read_text(&reader, &trace->command))
        return complain(to, "it is cut short before the first stream");
    while (reader.at < reader.end)
        if (add_stream(trace, &reader, to))
            return -1;
    return 0;
}

int trace_read_body(struct trace *out, const void *body, size_t len, char *error, size_t error_len)
{
    struct complaint to = {error, error_len};
    memset(out, 0, sizeof *out);
    out->body = malloc(len + 1);
    if (!out->body)
        return complain(to, "there is not enough memory to read it");
    if (len)
        memcpy(out->body, body, len);
    if (!read_body(out, len, to))
        return 0;
    trace_free(out);
    return -1;
}

void trace_free(struct trace *trace)
{
    for (size_t i = 0; i < trace->stream_count; i++)
        free(trace->streams[i].name);
    free(trace->streams);
    free(trace->command);
    free(trace->body);
    memset(trace, 0, sizeof *trace);
}

/* The file. */

static int header_check(const unsigned char *bytes, size_t len, uint64_t raw_limit,
                        struct complaint to)
{
    if (len < 8 || memcmp(bytes, TRACE_MAGIC, 8))
        return complain(to, "it is no trace; 'shmheap record' makes one");
    if (len < TRACE_HEADER)
        return complain(to, "it is cut short: %zu bytes are less than its header", len);
    if (get_u32(bytes + AT_VERSION) != TRACE_VERSION)
        return complain(
            to, "it has version %u of the format, this program reads version %d; record it again",
            (unsigned)get_u32(bytes + AT_VERSION), TRACE_VERSION);
    if (get_u64(bytes + AT_RESERVED))
        return complain(to, "it is damaged: reserved bytes of its header are not zero");
    if (get_u64(bytes + AT_PACKED) > len - TRACE_HEADER)
        return complain(to, "it is cut short: %zu bytes are missing at its end",
                        (size_t)(get_u64(bytes + AT_PACKED) - (len - TRACE_HEADER)));
    if (get_u64(bytes + AT_PACKED) < len - TRACE_HEADER)
        return complain(to, "it is damaged: there are bytes after its end");
    if (get_u64(bytes + AT_RAW) > raw_limit)
        return complain(to, "it claims to hold %llu bytes, more than this program accepts",
                        (unsigned long long)get_u64(bytes + AT_RAW));
    return 0;
}

/* unpack decompresses in steps, so memory grows with the data present, not with the claimed length.
 * Returns the bytes, or NULL. */
static unsigned char *unpack(ZSTD_DCtx *context, ZSTD_inBuffer *in, uint64_t claimed, size_t *got)
{
    ZSTD_outBuffer out = {NULL, 0, 0};
    size_t left = 1;
    while (left && out.pos <= claimed) {
        if (out.pos == out.size) {
            size_t room = out.size ? 2 * out.size : 1 << 16;
            void *bigger = realloc(out.dst, room);
            if (!bigger)
                break;
            out.dst = bigger;
            out.size = room;
        }
        size_t before = out.pos;
        left = ZSTD_decompressStream(context, &out, in);
        if (ZSTD_isError(left) || (left && in->pos == in->size && out.pos == before))
            break;
    }
    *got = out.pos;
    if (left == 0 && in->pos == in->size && out.pos == claimed)
        return out.dst;
    free(out.dst);
    return NULL;
}

static int totals_check(const struct trace *trace, const unsigned char *bytes, struct complaint to)
{
    struct trace_totals sum = {0};
    for (size_t i = 0; i < trace->stream_count; i++) {
        sum.events += trace->streams[i].totals.events;
        sum.objects += trace->streams[i].totals.objects;
        sum.bytes += trace->streams[i].totals.bytes;
    }
    if (trace->stream_count != get_u32(bytes + AT_STREAMS) ||
        sum.events != get_u64(bytes + AT_EVENTS) || sum.objects != get_u64(bytes + AT_OBJECTS) ||
        sum.bytes != get_u64(bytes + AT_BYTES))
        return complain(to, "it is damaged: the totals in its header are not those of its streams");
    return 0;
}

int trace_read(struct trace *out, const void *bytes, size_t len, uint64_t raw_limit, char *error,
               size_t error_len)
{
    struct complaint to = {error, error_len};
    const unsigned char *file = bytes;
    memset(out, 0, sizeof *out);
    if (header_check(file, len, raw_limit ? raw_limit : DEFAULT_RAW_LIMIT, to))
        return -1;
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!context)
        return complain(to, "there is not enough memory to read it");
    ZSTD_inBuffer in = {file + TRACE_HEADER, len - TRACE_HEADER, 0};
    size_t raw;
    out->body = unpack(context, &in, get_u64(file + AT_RAW), &raw);
    ZSTD_freeDCtx(context);
    if (!out->body)
        return complain(to, "it is damaged: its compressed part does not decompress");
    if (!read_body(out, raw, to) && !totals_check(out, file, to))
        return 0;
    trace_free(out);
    return -1;
}
