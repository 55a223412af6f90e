/* trace_write.c: encodes events as a trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/trace/trace.h"
#include "tools/shmheap/trace/trace_bytes.h"
#include "tools/shmheap/trace/varint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { COMPRESSION_LEVEL = 9 };

static const uint64_t NOT_ALIVE = UINT64_MAX;
static const uint64_t MAX_SIZE = UINT64_C(1) << 61; /* an event shifts its size by three bits */

/* grow makes room for element number count of an array. Returns 0, or -1 with errno ENOMEM. */
static int grow(void *array, size_t *room, size_t count, size_t element)
{
    void **memory = array;
    if (count < *room)
        return 0;
    size_t wanted = *room ? *room * 2 : 256;
    void *bigger = reallocarray(*memory, wanted, element);
    if (!bigger)
        return -1;
    *memory = bigger;
    *room = wanted;
    return 0;
}

static int put(struct trace_writer *writer, uint64_t value)
{
    if (grow(&writer->bytes, &writer->room, writer->len + VARINT_MAX, 1))
        return -1;
    writer->len += varint_put(writer->bytes + writer->len, value);
    return 0;
}

static int put_event(struct trace_writer *writer, enum trace_op op, uint64_t argument)
{
    return put(writer, argument << 3 | op);
}

static int put_thread(struct trace_writer *writer, uint32_t thread)
{
    if (thread >= writer->totals.threads)
        writer->totals.threads = (uint64_t)thread + 1;
    if (thread == writer->thread)
        return 0;
    writer->thread = thread;
    return put_event(writer, TRACE_THREAD, thread);
}

static int put_slot(struct trace_writer *writer, enum trace_op op, uint32_t slot)
{
    int64_t step = (int64_t)slot - writer->last;
    writer->last = slot;
    return put_event(writer, op, zigzag(step));
}

static void count_live(struct trace_writer *writer, uint64_t added, uint64_t removed)
{
    writer->live_bytes += added - removed;
    if (writer->live_bytes > writer->totals.peak_live)
        writer->totals.peak_live = writer->live_bytes;
    writer->totals.bytes += added;
    writer->totals.events++;
}

static int take_slot(struct trace_writer *writer, uint32_t *slot)
{
    if (writer->free_count) {
        *slot = writer->free_slots[--writer->free_count];
        return 0;
    }
    if (writer->fresh == TRACE_MAX_SLOT) {
        errno = EOVERFLOW;
        return -1;
    }
    if (grow(&writer->sizes, &writer->sizes_room, writer->fresh, sizeof *writer->sizes))
        return -1;
    *slot = writer->fresh++;
    writer->totals.slots = writer->fresh;
    return 0;
}

static int is_alive(const struct trace_writer *writer, uint32_t slot)
{
    if (slot < writer->fresh && writer->sizes[slot] != NOT_ALIVE)
        return 1;
    errno = EINVAL;
    return 0;
}

int trace_write_new(struct trace_writer *writer, uint32_t thread, enum trace_op op, uint64_t size,
                    uint64_t alignment, uint32_t *slot)
{
    if (size >= MAX_SIZE) {
        errno = EOVERFLOW;
        return -1;
    }
    if (put_thread(writer, thread) || take_slot(writer, slot) || put_event(writer, op, size))
        return -1;
    if (op == TRACE_ALIGNED && put(writer, (uint64_t)__builtin_ctzll(alignment)))
        return -1;
    writer->last = *slot;
    writer->sizes[*slot] = size;
    writer->totals.objects++;
    writer->totals.live++;
    count_live(writer, size, 0);
    return 0;
}

int trace_write_realloc(struct trace_writer *writer, uint32_t thread, uint32_t slot, uint64_t size)
{
    if (size >= MAX_SIZE) {
        errno = EOVERFLOW;
        return -1;
    }
    if (!is_alive(writer, slot) || put_thread(writer, thread) ||
        put_slot(writer, TRACE_REALLOC, slot) || put(writer, size))
        return -1;
    uint64_t before = writer->sizes[slot];
    writer->sizes[slot] = size;
    count_live(writer, size, before);
    return 0;
}

int trace_write_free(struct trace_writer *writer, uint32_t thread, uint32_t slot)
{
    if (!is_alive(writer, slot) || put_thread(writer, thread) ||
        grow(&writer->free_slots, &writer->free_room, writer->free_count,
             sizeof *writer->free_slots) ||
        put_slot(writer, TRACE_FREE, slot))
        return -1;
    writer->free_slots[writer->free_count++] = slot;
    count_live(writer, 0, writer->sizes[slot]);
    writer->sizes[slot] = NOT_ALIVE;
    writer->totals.live--;
    return 0;
}

void trace_writer_free(struct trace_writer *writer)
{
    free(writer->bytes);
    free(writer->free_slots);
    free(writer->sizes);
    memset(writer, 0, sizeof *writer);
}

static size_t put_text(unsigned char *out, const char *text)
{
    size_t len = strlen(text);
    size_t n = varint_put(out, len);
    memcpy(out + n, text, len);
    return n + len;
}

static size_t put_stream(unsigned char *out, const struct trace_writer *stream)
{
    const struct trace_totals *totals = &stream->totals;
    const uint64_t figures[TRACE_FIGURES] = {
        stream->pid,     stream->cut,       totals->events, totals->objects,
        totals->bytes,   totals->peak_live, totals->slots,  totals->live,
        totals->threads, totals->dropped,   stream->len,
    };
    size_t n = put_text(out, stream->name);
    for (size_t i = 0; i < TRACE_FIGURES; i++)
        n += varint_put(out + n, figures[i]);
    if (stream->len)
        memcpy(out + n, stream->bytes, stream->len);
    return n + stream->len;
}

static size_t body_room(const char *command, const struct trace_writer *streams, size_t count)
{
    size_t room = 2 * VARINT_MAX + strlen(command);
    for (size_t i = 0; i < count; i++)
        room += strlen(streams[i].name) + streams[i].len + (TRACE_FIGURES + 1) * VARINT_MAX;
    return room;
}

static void put_header(unsigned char *out, const struct trace_writer *streams, size_t count,
                       uint64_t raw, uint64_t packed)
{
    struct trace_totals sum = {0};
    for (size_t i = 0; i < count; i++) {
        sum.events += streams[i].totals.events;
        sum.objects += streams[i].totals.objects;
        sum.bytes += streams[i].totals.bytes;
    }
    memset(out, 0, TRACE_HEADER);
    memcpy(out, TRACE_MAGIC, 8);
    put_u32(out + AT_VERSION, TRACE_VERSION);
    put_u32(out + AT_STREAMS, (uint32_t)count);
    put_u64(out + AT_RAW, raw);
    put_u64(out + AT_PACKED, packed);
    put_u64(out + AT_EVENTS, sum.events);
    put_u64(out + AT_OBJECTS, sum.objects);
    put_u64(out + AT_BYTES, sum.bytes);
}

/* pack compresses the body after the room for the header. Returns the file's length, or 0 for lack
 * of memory. */
static size_t pack(unsigned char *file, size_t room, const unsigned char *body, size_t len)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        return 0;
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    size_t packed = ZSTD_compress2(context, file + TRACE_HEADER, room - TRACE_HEADER, body, len);
    ZSTD_freeCCtx(context);
    return ZSTD_isError(packed) ? 0 : TRACE_HEADER + packed;
}

int trace_save(const char *command, const struct trace_writer *streams, size_t count,
               unsigned char **bytes, size_t *len)
{
    unsigned char *body = malloc(body_room(command, streams, count));
    if (!body)
        return -1;
    size_t raw = put_text(body, command);
    for (size_t i = 0; i < count; i++)
        raw += put_stream(body + raw, &streams[i]);
    size_t room = TRACE_HEADER + ZSTD_compressBound(raw);
    *bytes = malloc(room);
    *len = *bytes ? pack(*bytes, room, body, raw) : 0;
    free(body);
    if (!*len) {
        free(*bytes);
        errno = ENOMEM;
        return -1;
    }
    put_header(*bytes, streams, count, raw, *len - TRACE_HEADER);
    return 0;
}
