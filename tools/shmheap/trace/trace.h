/* trace.h: the allocations of a program, in memory and in a file. TRACE.md describes the format.
 *
 * A trace has one stream for each program image: exec starts a new stream. A stream is the sequence
 * of calls of all threads, in the order in which they took effect. Objects are numbered by slots. A
 * new object takes the slot that was freed last, or else the lowest slot never used. So a table of
 * totals.slots entries holds all objects that live at once.
 *
 * The reader trusts no byte of its input. For any input it reads only inside the buffer,
 * terminates, and either returns a trace in which each event concerns a live object, or reports an
 * error.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_TRACE_H
#define SHMHEAP_TOOL_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum {
    TRACE_VERSION = 1,
    TRACE_HEADER = 64,       /* bytes before the compressed body */
    TRACE_MAX_SLOT = 1 << 28 /* objects that may live at once in a stream */
};

/* The kinds of events. The numbers are part of the file format. */
enum trace_op {
    TRACE_FREE = 0,
    TRACE_MALLOC = 1,
    TRACE_CALLOC = 2,
    TRACE_ALIGNED = 3,
    TRACE_REALLOC = 4, /* of a live object, which keeps its slot even if it moves */
    TRACE_THREAD = 5,  /* the next events are of this thread; trace_next never returns it */
    TRACE_OPS = 6
};

struct trace_event {
    enum trace_op op;
    uint32_t slot;      /* of the object */
    uint32_t thread;    /* numbered from 0 in the order of their first events */
    uint64_t size;      /* bytes requested; 0 for TRACE_FREE */
    uint64_t alignment; /* for TRACE_ALIGNED: a power of two, 1 to 2^62; otherwise 0 */
};

/* Totals of a stream. The writer counts them; the reader compares them with the events. */
struct trace_totals {
    uint64_t events;    /* calls, of all kinds */
    uint64_t objects;   /* objects made: events other than frees and reallocs */
    uint64_t bytes;     /* requested by all calls */
    uint64_t peak_live; /* largest sum of the requested sizes of live objects */
    uint64_t slots;     /* largest number of live objects */
    uint64_t live;      /* objects live at the end */
    uint64_t threads;
    /* Frees and reallocs of objects made before the recorder was loaded, or by the parent before
     * fork(). The frees are left out; the reallocs are new objects. */
    uint64_t dropped;
};

struct trace_stream {
    uint64_t pid;
    uint64_t cut; /* 1: the recorder stopped before the process ended */
    char *name;   /* of the program */
    struct trace_totals totals;
    const unsigned char *bytes; /* encoded events */
    size_t len;
};

struct trace {
    char *command; /* the command that was recorded */
    struct trace_stream *streams;
    size_t stream_count;
    unsigned char *body; /* decompressed, owned; the streams point into it */
};

/* trace_read reads a trace from the len bytes of a file. raw_limit bounds the decompressed length
 * (0: 4 GiB). It decodes each stream once and compares it with its totals. Returns 0, and the
 * caller calls trace_free(out); or -1 with a message, without a full stop, in error (error_len
 * bytes). */
int trace_read(struct trace *out, const void *bytes, size_t len, uint64_t raw_limit, char *error,
               size_t error_len);

/* trace_read_body is trace_read for a decompressed body, which it copies. Fuzzers use it: they
 * cannot make up valid zstd frames. */
int trace_read_body(struct trace *out, const void *body, size_t len, char *error, size_t error_len);

void trace_free(struct trace *trace);

/* trace_cursor iterates over the events of one stream. */
struct trace_cursor {
    const unsigned char *at, *end;
    uint32_t *free_slots; /* stack of freed slots */
    size_t free_count, free_room;
    uint32_t last, fresh, thread;
    const char *fault; /* why trace_next returned -1, or NULL */
};

/* trace_begin sets the cursor before the first event. trace_end releases its memory. */
void trace_begin(struct trace_cursor *cursor, const struct trace_stream *stream);
void trace_end(struct trace_cursor *cursor);

/* trace_next reads the next event. Returns 1, 0 at the end, or -1 with cursor->fault set. For a
 * stream that trace_read accepted, -1 means lack of memory. */
int trace_next(struct trace_cursor *cursor, struct trace_event *event);

/* trace_writer collects the events of one stream. The caller sets it to zeros, then name and
 * pid. */
struct trace_writer {
    uint64_t pid, cut;
    const char *name;
    struct trace_totals totals;
    unsigned char *bytes;
    size_t len, room;
    uint32_t *free_slots;
    size_t free_count, free_room;
    uint64_t *sizes; /* by slot; UINT64_MAX: not live */
    size_t sizes_room;
    uint32_t last, fresh, thread;
    uint64_t live_bytes;
};

/* trace_write_new adds a new object, made by op (TRACE_MALLOC, _CALLOC, _ALIGNED) in a thread, and
 * sets *slot. trace_write_realloc and trace_write_free add an event of a live object. They return
 * 0, or -1 with errno ENOMEM, EOVERFLOW (size of 2^61 or more, too many objects) or EINVAL (no such
 * object). */
int trace_write_new(struct trace_writer *writer, uint32_t thread, enum trace_op op, uint64_t size,
                    uint64_t alignment, uint32_t *slot);
int trace_write_realloc(struct trace_writer *writer, uint32_t thread, uint32_t slot, uint64_t size);
int trace_write_free(struct trace_writer *writer, uint32_t thread, uint32_t slot);
void trace_writer_free(struct trace_writer *writer);

/* trace_save encodes the streams as a file: *bytes of length *len, which the caller frees. Returns
 * 0, or
 * -1 with errno ENOMEM. */
int trace_save(const char *command, const struct trace_writer *streams, size_t count,
               unsigned char **bytes, size_t *len);

#endif
