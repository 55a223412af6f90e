/* trace_bytes.h: offsets in a trace file, for reader and writer. TRACE.md describes the format.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_TRACE_BYTES_H
#define SHMHEAP_TOOL_TRACE_BYTES_H

#include <stdint.h>

#define TRACE_MAGIC "shmtrace"

enum {
    AT_VERSION = 8,
    AT_STREAMS = 12,
    AT_RAW = 16,
    AT_PACKED = 24,
    AT_EVENTS = 32,
    AT_OBJECTS = 40,
    AT_BYTES = 48,
    AT_RESERVED = 56,
    TRACE_FIGURES = 11 /* numbers in a stream before its events */
};

static inline void put_u64(unsigned char *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static inline void put_u32(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

static inline uint64_t get_u64(const unsigned char *in)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | in[i];
    return value;
}

static inline uint32_t get_u32(const unsigned char *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

#endif
