/* prometheus.c: figures of heaps in the text format of Prometheus, version 0.0.4.
 *
 * A metric has its HELP and TYPE once, then a line for each heap, with the heap's name as the label
 * "heap". Counters start anew when a heap is made anew: the label "id" changes then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/live/prometheus.h"

#include <stddef.h>

#include "tools/shmheap/text/escape.h"

enum type { GAUGE, COUNTER };

struct metric {
    const char *name, *help;
    enum type type;
    size_t offset; /* of the figure in shmheap_stats */
    int is_32;     /* uint32_t, else uint64_t */
    double scale;
};

#define FIGURE(field) offsetof(shmheap_stats, field), sizeof((shmheap_stats){0}.field) == 4

static const struct metric metrics[] = {
    {"size_bytes", "Bytes of the region now.", GAUGE, FIGURE(len), 1},
    {"max_size_bytes", "Bytes to which the region may grow.", GAUGE, FIGURE(max_len), 1},
    {"used_bytes", "Bytes in blocks that are not free.", GAUGE, FIGURE(used_bytes), 1},
    {"used_blocks", "Blocks that are not free.", GAUGE, FIGURE(used_blocks), 1},
    {"free_bytes", "Bytes in free blocks.", GAUGE, FIGURE(free_bytes), 1},
    {"free_blocks", "Free blocks.", GAUGE, FIGURE(free_blocks), 1},
    {"largest_free_bytes", "Bytes of the largest object that fits.", GAUGE, FIGURE(largest_free),
     1},
    {"high_water_bytes", "The most that used_bytes ever was.", GAUGE, FIGURE(high_water_bytes), 1},
    {"processes", "Connections of live processes that can write.", GAUGE, FIGURE(processes), 1},
    {"dead_processes", "Slots of processes that died.", GAUGE, FIGURE(dead), 1},
    {"slots", "Connections that the heap has room for.", GAUGE, FIGURE(slots), 1},
    {"created_seconds", "When the heap was made, since 1970.", GAUGE, FIGURE(created_ns), 1e-9},
    {"last_recovery_seconds", "Duration of the last recovery.", GAUGE, FIGURE(last_recovery_ns),
     1e-9},
    {"allocs_total", "Allocations.", COUNTER, FIGURE(allocs), 1},
    {"alloc_bytes_total", "Bytes of all allocations.", COUNTER, FIGURE(alloc_bytes), 1},
    {"frees_total", "Frees.", COUNTER, FIGURE(frees), 1},
    {"failed_allocs_total", "Allocations that failed for lack of space.", COUNTER,
     FIGURE(failed_allocs), 1},
    {"grows_total", "How often the region grew.", COUNTER, FIGURE(grows), 1},
    {"recoveries_total", "How often a process died holding the lock.", COUNTER, FIGURE(recoveries),
     1},
};

enum { METRICS = sizeof metrics / sizeof *metrics };

/* A label's value: \ and " are escaped. escape_printable shows control characters as \xNN. */
static void label_write(FILE *file, const char *name)
{
    char text[1100];
    for (const char *at = escape_printable(text, sizeof text, name); *at; at++) {
        if (*at == '\\' || *at == '"')
            putc('\\', file);
        putc(*at, file);
    }
}

static void labels_write(FILE *file, const char *metric, const struct live_heap *heap)
{
    fprintf(file, "shmheap_%s{heap=\"", metric);
    label_write(file, heap->name);
    if (heap->is_seen)
        fprintf(file, "\",id=\"%016llx", (unsigned long long)heap->stats.id);
    fputs("\"} ", file);
}

static void figure_write(FILE *file, const struct metric *metric, const shmheap_stats *stats)
{
    const char *at = (const char *)stats + metric->offset;
    uint64_t value =
        metric->is_32 ? *(const uint32_t *)(const void *)at : *(const uint64_t *)(const void *)at;
    if (metric->scale < 1)
        fprintf(file, "%.9f\n", (double)value * metric->scale);
    else
        fprintf(file, "%llu\n", (unsigned long long)value);
}

static void metric_write(FILE *file, const struct metric *metric, const struct live *live)
{
    fprintf(file, "# HELP shmheap_%s %s\n# TYPE shmheap_%s %s\n", metric->name, metric->help,
            metric->name, metric->type == COUNTER ? "counter" : "gauge");
    for (size_t i = 0; i < live->count; i++)
        if (live->heaps[i].is_seen) {
            labels_write(file, metric->name, &live->heaps[i]);
            figure_write(file, metric, &live->heaps[i].stats);
        }
}

void prometheus_write(FILE *file, const struct live *live)
{
    fputs("# HELP shmheap_up Whether the heap could be read.\n# TYPE shmheap_up gauge\n", file);
    for (size_t i = 0; i < live->count; i++) {
        labels_write(file, "up", &live->heaps[i]);
        fprintf(file, "%d\n", live->heaps[i].is_seen);
    }
    for (int i = 0; i < METRICS; i++)
        metric_write(file, &metrics[i], live);
}
