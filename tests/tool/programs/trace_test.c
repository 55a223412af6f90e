/* trace_test.c: what is written is read; what is damaged is refused with a reason.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shmheap/trace/trace.h"

static char error[200];

/* malloc(24), malloc(100), free of the first, malloc(8), free of the second: the example of
 * TRACE.md. */
static void write_example(struct trace_writer *writer)
{
    uint32_t a, b, c;
    memset(writer, 0, sizeof *writer);
    writer->name = "example";
    writer->pid = 42;
    assert(trace_write_new(writer, 0, TRACE_MALLOC, 24, 0, &a) == 0 && a == 0);
    assert(trace_write_new(writer, 0, TRACE_MALLOC, 100, 0, &b) == 0 && b == 1);
    assert(trace_write_free(writer, 0, a) == 0);
    assert(trace_write_new(writer, 0, TRACE_MALLOC, 8, 0, &c) == 0 && c == a);
    assert(trace_write_free(writer, 0, b) == 0);
}

static void example_is_as_documented(void)
{
    static const unsigned char wanted[] = {0xc1, 0x01, 0xa1, 0x06, 0x08, 0x41, 0x10};
    struct trace_writer writer;
    write_example(&writer);
    assert(writer.len == sizeof wanted && memcmp(writer.bytes, wanted, sizeof wanted) == 0);
    assert(writer.totals.objects == 3 && writer.totals.peak_live == 124 &&
           writer.totals.slots == 2);
    assert(writer.totals.live == 1 && writer.totals.events == 5 && writer.totals.bytes == 132);
    trace_writer_free(&writer);
}

static unsigned char *make_file(size_t *len)
{
    struct trace_writer streams[2];
    unsigned char *bytes;
    uint32_t slot;
    write_example(&streams[0]);
    memset(&streams[1], 0, sizeof streams[1]);
    streams[1].name = "other";
    assert(trace_write_new(&streams[1], 0, TRACE_ALIGNED, 1000, 64, &slot) == 0);
    assert(trace_write_realloc(&streams[1], 7, slot, UINT64_C(1) << 60) == 0);
    assert(trace_write_new(&streams[1], 0, TRACE_CALLOC, 0, 0, &slot) == 0);
    assert(trace_save("a command", streams, 2, &bytes, len) == 0);
    trace_writer_free(&streams[0]);
    trace_writer_free(&streams[1]);
    return bytes;
}

static void what_is_written_is_read(void)
{
    size_t len;
    unsigned char *bytes = make_file(&len);
    struct trace trace;
    struct trace_cursor cursor;
    struct trace_event event;
    assert(trace_read(&trace, bytes, len, 0, error, sizeof error) == 0);
    assert(trace.stream_count == 2 && !strcmp(trace.command, "a command"));
    assert(!strcmp(trace.streams[0].name, "example") && trace.streams[0].pid == 42);
    assert(trace.streams[1].totals.threads == 8 && trace.streams[1].totals.live == 2);
    trace_begin(&cursor, &trace.streams[1]);
    assert(trace_next(&cursor, &event) == 1);
    assert(event.op == TRACE_ALIGNED && event.size == 1000 && event.alignment == 64 &&
           event.slot == 0);
    assert(trace_next(&cursor, &event) == 1);
    assert(event.op == TRACE_REALLOC && event.slot == 0 && event.size == UINT64_C(1) << 60 &&
           event.thread == 7);
    assert(trace_next(&cursor, &event) == 1 && event.op == TRACE_CALLOC && event.slot == 1 &&
           event.thread == 0);
    assert(trace_next(&cursor, &event) == 0 && cursor.fault == NULL);
    trace_end(&cursor);
    trace_free(&trace);
    free(bytes);
}

static void writer_refuses_nonsense(void)
{
    struct trace_writer writer;
    uint32_t slot;
    write_example(&writer);
    errno = 0;
    assert(trace_write_free(&writer, 0, 1) == -1 && errno == EINVAL);
    assert(trace_write_realloc(&writer, 0, 99, 1) == -1 && errno == EINVAL);
    assert(trace_write_new(&writer, 0, TRACE_MALLOC, UINT64_C(1) << 61, 0, &slot) == -1 &&
           errno == EOVERFLOW);
    trace_writer_free(&writer);
}

/* A copy of exactly len bytes, so that a sanitizer sees each byte read behind it. */
static int read_copy(const unsigned char *bytes, size_t len, struct trace *trace)
{
    unsigned char *copy = malloc(len ? len : 1);
    assert(copy);
    memcpy(copy, bytes, len);
    error[0] = '\0';
    int result = trace_read(trace, copy, len, 0, error, sizeof error);
    free(copy);
    return result;
}

static void every_truncation_is_refused(void)
{
    size_t len;
    unsigned char *bytes = make_file(&len);
    struct trace trace;
    for (size_t cut = 0; cut < len; cut++) {
        assert(read_copy(bytes, cut, &trace) == -1);
        assert(strstr(error, cut < 8 ? "no trace" : "cut short"));
    }
    free(bytes);
}

/* zstd has bits that say nothing about the contents; all other changes are refused. */
static void no_changed_byte_changes_the_trace(void)
{
    size_t len;
    unsigned char *bytes = make_file(&len);
    struct trace trace, good;
    unsigned refused = 0;
    assert(read_copy(bytes, len, &good) == 0);
    for (size_t at = 0; at < len; at++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (unsigned char)(1 << bit);
            if (read_copy(bytes, len, &trace)) {
                assert(error[0]);
                refused++;
            } else {
                assert(at >= TRACE_HEADER);
                assert(trace.streams[1].bytes + trace.streams[1].len - trace.body ==
                       good.streams[1].bytes + good.streams[1].len - good.body);
                assert(!memcmp(trace.body, good.body,
                               (size_t)(good.streams[1].bytes - good.body) + good.streams[1].len));
                trace_free(&trace);
            }
            bytes[at] ^= (unsigned char)(1 << bit);
        }
    assert(refused > 7 * len);
    trace_free(&good);
    free(bytes);
}

static void other_versions_are_named(void)
{
    size_t len;
    unsigned char *bytes = make_file(&len);
    struct trace trace;
    bytes[8] = 9;
    assert(read_copy(bytes, len, &trace) == -1 && strstr(error, "version 9"));
    free(bytes);
}

static void claims_are_limited(void)
{
    size_t len;
    unsigned char *bytes = make_file(&len);
    struct trace trace;
    assert(trace_read(&trace, bytes, len, 10, error, sizeof error) == -1 &&
           strstr(error, "more than"));
    free(bytes);
}

/* A body is: command, then name, 11 figures, events. */
static void bodies_are_not_believed(void)
{
    static const struct {
        unsigned char bytes[24];
        size_t len;
        const char *why;
    } bodies[] = {
        {{5, 'a'}, 2, "before the first stream"},
        {{0, 1}, 2, "cut short in stream 1"},
        {{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x08}, 14, "does not exist"},
        {{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x07}, 14, "unknown kind"},
        {{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0x81}, 14, "cut short"},
        {{0, 0, 1, 0, 2, 1, 0, 0, 1, 1, 1, 0, 1, 0x01}, 14, "totals"},
        {{0, 0, 1, 0, 3, 1, 0, 0, 1, 0, 1, 0, 3, 0x01, 0x00, 0x00}, 16, "freed"},
        {{0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 2, 0x03, 63}, 15, "alignment"},
        {{0, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 200, 0x01, 0x01}, 15, "cut short in stream 1"},
    };
    struct trace trace;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        assert(trace_read_body(&trace, bodies[i].bytes, bodies[i].len, error, sizeof error) == -1);
        assert(strstr(error, bodies[i].why));
    }
}

int main(void)
{
    example_is_as_documented();
    what_is_written_is_read();
    writer_refuses_nonsense();
    every_truncation_is_refused();
    no_changed_byte_changes_the_trace();
    other_versions_are_named();
    claims_are_limited();
    bodies_are_not_believed();
    return 0;
}
