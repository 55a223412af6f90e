/* holders.c: who holds the blocks of a heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "holders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "say.h"

enum { SLOT_DEPARTED = 1023 }; /* as shmheap_walk shows it */

static int add_process(const shmheap_process_info *process, void *context)
{
    struct holders *holders = context;
    shmheap_process_info *bigger =
        reallocarray(holders->processes, holders->count + 1, sizeof *bigger);
    if (!bigger) {
        errno = ENOMEM;
        return -1;
    }
    holders->processes = bigger;
    holders->processes[holders->count++] = *process;
    return 0;
}

static void hold(struct holding *holding, const shmheap_block_info *block)
{
    holding->blocks++;
    holding->bytes += block->size;
}

static int add_block(const shmheap_block_info *block, void *context)
{
    struct holders *holders = context;
    if (block->state == SHMHEAP_STATE_SENT)
        hold(&holders->sent, block);
    else if (block->slot == SLOT_DEPARTED)
        hold(&holders->left, block);
    else if (block->slot == 0 && block->state != SHMHEAP_STATE_FREE &&
             block->state < SHMHEAP_STATE_INTERNAL)
        hold(&holders->gone, block);
    return 0;
}

int holders_look(shmheap_memory_handle mem, struct holders *holders)
{
    holders_drop(holders);
    return shmheap_processes(mem, add_process, holders) ? -1
                                                        : shmheap_walk(mem, add_block, holders);
}

void holders_drop(struct holders *holders)
{
    free(holders->processes);
    memset(holders, 0, sizeof *holders);
}

struct holding holders_dead(const struct holders *holders)
{
    struct holding dead = holders->gone;
    for (size_t i = 0; i < holders->count; i++)
        if (!holders->processes[i].alive) {
            dead.blocks += holders->processes[i].blocks;
            dead.bytes += holders->processes[i].bytes;
        }
    return dead;
}

static void show_nobody(const char *indent, const struct holding *holding, const char *whose)
{
    if (holding->blocks)
        printf("%s%s in %s %s %s\n", indent, size_text(holding->bytes), count_text(holding->blocks),
               plural(holding->blocks, "block", "blocks"), whose);
}

void holders_show(const struct holders *holders, const char *indent)
{
    if (holders->count)
        printf("%s%4s  %8s  %-15s  %-5s  %12s  %10s  %10s\n", indent, "SLOT", "PID", "PROGRAM",
               "STATE", "BLOCKS", "BYTES", "CACHED");
    for (size_t i = 0; i < holders->count; i++) {
        const shmheap_process_info *process = &holders->processes[i];
        printf("%s%4u  %8lld  %-15.15s  %-5s  %12s  %10s  %10s\n", indent, process->slot,
               (long long)process->pid, process->name, process->alive ? "alive" : "dead",
               count_text(process->blocks), size_text(process->bytes),
               size_text(process->cached_bytes));
    }
    show_nobody(indent, &holders->left, "of processes that left in order");
    show_nobody(indent, &holders->gone, "of dead processes whose slots were given to others");
    show_nobody(indent, &holders->sent, "sent, and received by nobody yet");
}

static json_t *process_json(const shmheap_process_info *process)
{
    json_t *object = json_object();
    char name[sizeof process->name + 1] = "";
    memcpy(name, process->name, sizeof process->name);
    json_set_count(object, "slot", process->slot);
    json_object_set_new(object, "pid", json_integer(process->pid));
    json_set_text(object, "name", name);
    json_set_count(object, "connected_ns", process->connected_ns);
    json_set_flag(object, "alive", process->alive);
    json_set_count(object, "blocks", process->blocks);
    json_set_count(object, "bytes", process->bytes);
    json_set_count(object, "cached_blocks", process->cached_blocks);
    json_set_count(object, "cached_bytes", process->cached_bytes);
    return object;
}

static void set_holding(json_t *object, const char *key, const struct holding *holding)
{
    json_t *inner = json_object();
    json_set_count(inner, "blocks", holding->blocks);
    json_set_count(inner, "bytes", holding->bytes);
    json_object_set_new(object, key, inner);
}

void holders_add_json(json_t *object, const struct holders *holders)
{
    json_t *array = json_array();
    for (size_t i = 0; i < holders->count; i++)
        json_array_append_new(array, process_json(&holders->processes[i]));
    json_object_set_new(object, "connected", array);
    set_holding(object, "left", &holders->left);
    set_holding(object, "gone", &holders->gone);
    set_holding(object, "sent", &holders->sent);
}
