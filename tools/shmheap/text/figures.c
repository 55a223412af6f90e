/* figures.c: a heap's statistics as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/text/figures.h"

#include <stdio.h>

json_t *figures_json(const char *name, const shmheap_stats *stats)
{
    const struct {
        const char *key;
        uint64_t value;
    } figures[] = {
        {"len", stats->len},
        {"max_len", stats->max_len},
        {"segment_len", stats->segment_len},
        {"alignment", stats->alignment},
        {"used_blocks", stats->used_blocks},
        {"used_bytes", stats->used_bytes},
        {"free_blocks", stats->free_blocks},
        {"free_bytes", stats->free_bytes},
        {"largest_free", stats->largest_free},
        {"high_water_bytes", stats->high_water_bytes},
        {"allocs", stats->allocs},
        {"alloc_bytes", stats->alloc_bytes},
        {"frees", stats->frees},
        {"failed_allocs", stats->failed_allocs},
        {"grows", stats->grows},
        {"recoveries", stats->recoveries},
        {"last_recovery_ns", stats->last_recovery_ns},
        {"created_ns", stats->created_ns},
        {"processes", stats->processes},
        {"dead", stats->dead},
        {"slots", stats->slots},
        {"lock_slot", stats->lock_slot},
    };
    char id[20];
    json_t *object = json_object();
    json_set_text(object, "name", name);
    snprintf(id, sizeof id, "%016llx", (unsigned long long)stats->id);
    json_set_text(object, "id", id); /* a string: many readers of JSON round large numbers */
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_set_count(object, figures[i].key, figures[i].value);
    return object;
}
