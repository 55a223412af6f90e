/* trace.h: the allocations of a program, in memory and in a file. TRACE.md has the format byte by byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A trace has one stream for each process (more exactly: for each program image; exec begins a new
 * stream). A stream is the calls of all threads of that process in the order in which they took effect.
 * Objects are numbered by slots: a new object takes the slot that was freed last, or else the next
 * new one, so a table of stream->slots entries holds all objects that live at once.
 *
 * The reader takes a trace from nobody on trust: whatever the bytes are, it reads inside them only, ends,
 * and either gives a trace whose every event makes sense or says what is wrong.
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

/* What a call did. The numbers stand in the file. */
enum trace_op {
    TRACE_FREE = 0,
    TRACE_MALLOC = 1,
    TRACE_CALLOC = 2,
    TRACE_ALIGNED = 3,
    TRACE_REALLOC = 4, /* of a live object; keeps its slot, also when it moves */
    TRACE_THREAD = 5,  /* what follows is the work of this thread; never seen outside the library */
    TRACE_OPS = 6
};

struct trace_event {
    enum trace_op op;
    uint32_t slot;      /* of the object */
    uint32_t thread;    /* 0 is the first that was seen */
    uint64_t size;      /* bytes asked for; 0 for TRACE_FREE */
    uint64_t alignment; /* for TRACE_ALIGNED: a power of two, 1 to 2^62; otherwise 0 */
};

/* Totals of a stream. The writer counts them, the reader holds them against the events. */
struct trace_totals {
    uint64_t events;    /* calls, of all kinds */
    uint64_t objects;   /* objects made: events but for frees and reallocs */
    uint64_t bytes;     /* asked for, by all calls */
    uint64_t peak_live; /* bytes asked for of the objects alive at once, at most */
    uint64_t slots;     /* objects alive at once, at most */
    uint64_t live;      /* objects still alive at the end */
    uint64_t threads;
    uint64_t
        dropped; /* frees of objects that are not in the stream, left out: made before the recorder
                           was there, or by the parent before fork() */
};

struct trace_stream {
    uint64_t pid;
    uint64_t cut; /* 1: the recorder had to stop before the process did */
    char *name;   /* of the program */
    struct trace_totals totals;
    const unsigned char *bytes; /* encoded events */
    size_t len;
};

struct trace {
    char *command; /* what was recorded */
    struct trace_stream *streams;
    size_t stream_count;
    unsigned char *body; /* decompressed, owned; the streams point into it */
};

/* trace_read makes *out of the len bytes of a file. raw_limit bounds what it will decompress to (0: 4 GiB).
 * Success: 0, and trace_free(out) is due. Failure: -1, nothing to free, and error (error_len bytes of room) says
 * in words what is wrong, without a full stop. Every stream is decoded once and held against its totals. */
int trace_read(struct trace *out, const void *bytes, size_t len, uint64_t raw_limit, char *error,
               size_t error_len);

/* trace_read_body is trace_read of what lies compressed in a file: for fuzzers, which would have to guess at zstd
 * otherwise. body is copied. */
int trace_read_body(struct trace *out, const void *body, size_t len, char *error, size_t error_len);

void trace_free(struct trace *trace);

/* trace_cursor walks over the events of one stream. */
struct trace_cursor {
    const unsigned char *at, *end;
    uint32_t *free_slots; /* stack of the slots that were freed */
    size_t free_count, free_room;
    uint32_t last, fresh, thread;
    const char *fault; /* what stopped trace_next, or NULL at the end */
};

/* trace_begin sets the cursor before the first event; trace_end releases what it holds. */
void trace_begin(struct trace_cursor *cursor, const struct trace_stream *stream);
void trace_end(struct trace_cursor *cursor);

/* trace_next gives the next event: 1, or 0 at the end, or -1 with cursor->fault set. A stream that trace_read accepted
 * never gives -1 but for want of memory. */
int trace_next(struct trace_cursor *cursor, struct trace_event *event);

/* trace_writer collects the events of one stream. Zero-initialise; give it the name and pid by hand. */
struct trace_writer {
    uint64_t pid, cut;
    const char *name;
    struct trace_totals totals;
    unsigned char *bytes;
    size_t len, room;
    uint32_t *free_slots;
    size_t free_count, free_room;
    uint64_t *sizes; /* by slot; UINT64_MAX: not alive */
    size_t sizes_room;
    uint32_t last, fresh, thread;
    uint64_t live_bytes;
};

/* trace_write_new adds the making of an object by op (TRACE_MALLOC, _CALLOC, _ALIGNED) in a thread and sets *slot.
 * trace_write_realloc and trace_write_free add what happens to a live one. 0, or -1 with errno ENOMEM, EOVERFLOW (size
 * beyond 2^61, too many objects) or EINVAL (no such object). */
int trace_write_new(struct trace_writer *writer, uint32_t thread, enum trace_op op, uint64_t size,
                    uint64_t alignment, uint32_t *slot);
int trace_write_realloc(struct trace_writer *writer, uint32_t thread, uint32_t slot, uint64_t size);
int trace_write_free(struct trace_writer *writer, uint32_t thread, uint32_t slot);
void trace_writer_free(struct trace_writer *writer);

/* trace_save puts the streams into the bytes of a file: *bytes, which the caller frees, *len long. 0, or -1 with errno
 * ENOMEM. */
int trace_save(const char *command, const struct trace_writer *streams, size_t count,
               unsigned char **bytes, size_t *len);

#endif
