/* make_trace.c: writes a trace for the tests of replay: make_trace FILE CALLS. The same each time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shmheap/trace/trace.h"

enum { SLOTS = 500 };

static uint64_t state = 88172645463325252u;

static uint64_t random_next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int write_call(struct trace_writer *writer, uint32_t *slots, uint64_t *live)
{
    uint64_t kind = random_next() % 8, size = random_next() % 700;
    uint32_t thread = (uint32_t)(random_next() % 3);
    uint64_t pick = *live ? random_next() % *live : 0;
    if (*live && (*live == SLOTS || kind < 3)) {
        uint32_t slot = slots[pick];
        slots[pick] = slots[--*live];
        return trace_write_free(writer, thread, slot);
    }
    if (*live && kind == 3)
        return trace_write_realloc(writer, thread, slots[pick], size);
    enum trace_op op = kind == 4 ? TRACE_CALLOC : kind == 5 ? TRACE_ALIGNED : TRACE_MALLOC;
    return trace_write_new(writer, thread, op, size, UINT64_C(1) << size % 9, &slots[(*live)++]);
}

static int write_stream(struct trace_writer *writer, const char *name, long calls)
{
    uint32_t slots[SLOTS];
    uint64_t live = 0;
    writer->name = name;
    for (long i = 0; i < calls; i++)
        if (write_call(writer, slots, &live))
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    struct trace_writer streams[2];
    unsigned char *bytes;
    size_t len;
    memset(streams, 0, sizeof streams);
    if (argc != 3 || write_stream(&streams[0], "first", atol(argv[2])) ||
        write_stream(&streams[1], "second", atol(argv[2])) ||
        trace_save("made by a test", streams, 2, &bytes, &len))
        return 1;
    FILE *file = fopen(argv[1], "wb");
    int failed = !file || fwrite(bytes, 1, len, file) != len || fclose(file);
    free(bytes);
    trace_writer_free(&streams[0]);
    trace_writer_free(&streams[1]);
    return failed;
}
