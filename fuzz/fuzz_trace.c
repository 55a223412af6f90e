/* fuzz_trace.c: the reader of traces accepts or refuses any bytes, as a file and as a body. A trace
 * that it accepts decodes to its end.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/driver/input.h"
#include "tools/shmheap/trace/trace.h"

static void decode_all(struct trace *trace)
{
    for (size_t i = 0; i < trace->stream_count; i++) {
        struct trace_cursor cursor;
        struct trace_event event;
        uint64_t events = 0;
        int more;
        trace_begin(&cursor, &trace->streams[i]);
        while ((more = trace_next(&cursor, &event)) > 0) {
            events++;
            if (event.slot >= trace->streams[i].totals.slots)
                abort();
        }
        trace_end(&cursor);
        if (more < 0 || events != trace->streams[i].totals.events)
            abort();
    }
    trace_free(trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct trace trace;
    char error[200] = "";
    if (trace_read(&trace, bytes, len, 1 << 20, error, sizeof error) == 0)
        decode_all(&trace);
    else if (!error[0])
        abort();
    error[0] = '\0';
    if (trace_read_body(&trace, bytes, len, error, sizeof error) == 0)
        decode_all(&trace);
    else if (!error[0])
        abort();
    return 0;
}
