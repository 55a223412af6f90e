/* figures.c: figures that follow from samples of a heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/live/live.h"
#include "tools/shmheap/text/figures.h"

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

double live_fill(const struct live_heap *heap)
{
    return percent((double)heap->stats.used_bytes, (double)heap->stats.len);
}

/* largest_free is without the header of 8 bytes that free_bytes counts. */
double live_fragmentation(const struct live_heap *heap)
{
    uint64_t largest = heap->stats.largest_free ? heap->stats.largest_free + 8 : 0;
    uint64_t free_bytes = heap->stats.free_bytes;
    return largest >= free_bytes ? 0 : percent((double)(free_bytes - largest), (double)free_bytes);
}

double live_held(const struct live_heap *heap)
{
    return percent(heap->probes.held, heap->probes.count);
}

double live_waits(const struct live_heap *heap)
{
    const struct probes *probes = &heap->probes;
    return percent(probes->lock_waits > probes->space_waits ? probes->lock_waits
                                                            : probes->space_waits,
                   probes->count);
}

static void set_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, json_real(value));
}

json_t *live_json(const struct live_heap *heap)
{
    json_t *object = heap->is_seen ? figures_json(heap->name, &heap->stats) : json_object();
    json_set_text(object, "name", heap->name);
    json_set_count(object, "time_ns", heap->time_ns);
    json_set_flag(object, "seen", heap->is_seen);
    if (!heap->is_seen)
        return object;
    set_real(object, "fill_percent", live_fill(heap));
    set_real(object, "fragmentation_percent", live_fragmentation(heap));
    if (heap->has_rates) {
        set_real(object, "allocs_per_second", heap->allocs);
        set_real(object, "frees_per_second", heap->frees);
        set_real(object, "alloc_bytes_per_second", heap->alloc_bytes);
    }
    json_set_count(object, "probes", heap->probes.count);
    json_set_count(object, "probes_lock_held", heap->probes.held);
    json_set_count(object, "probes_lock_awaited", heap->probes.lock_waits);
    json_set_count(object, "probes_space_awaited", heap->probes.space_waits);
    return object;
}
