/* process_table.c: the processes of a heap and the blocks that each holds.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/processes/process_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/shmheap/text/escape.h"
#include "tools/shmheap/command_line/say.h"
#include "tools/shmheap/text/screen.h"
#include "tools/shmheap/text/table.h"

enum { SLOT_DEPARTED = 1023 }; /* shmheap_walk: the owner disconnected */

static int add_process(const shmheap_process_info *process, void *context)
{
    struct process_table *table = context;
    shmheap_process_info *bigger = reallocarray(table->processes, table->count + 1, sizeof *bigger);
    if (!bigger) {
        errno = ENOMEM;
        return -1;
    }
    table->processes = bigger;
    table->processes[table->count++] = *process;
    return 0;
}

static void owned_add(struct owned *owned, const shmheap_block_info *block)
{
    owned->blocks++;
    owned->bytes += block->size;
}

static int add_block(const shmheap_block_info *block, void *context)
{
    struct process_table *table = context;
    if (block->state == SHMHEAP_STATE_SENT)
        owned_add(&table->sent, block);
    else if (block->slot == SLOT_DEPARTED)
        owned_add(&table->left, block);
    else if (block->slot == 0 && block->state != SHMHEAP_STATE_FREE &&
             block->state < SHMHEAP_STATE_INTERNAL)
        owned_add(&table->gone, block);
    return 0;
}

int process_table_read(shmheap_memory_handle mem, struct process_table *table)
{
    process_table_free(table);
    return shmheap_processes(mem, add_process, table) ? -1 : shmheap_walk(mem, add_block, table);
}

void process_table_free(struct process_table *table)
{
    free(table->processes);
    memset(table, 0, sizeof *table);
}

struct owned process_table_dead(const struct process_table *table)
{
    struct owned dead = table->gone;
    for (size_t i = 0; i < table->count; i++)
        if (!table->processes[i].alive) {
            dead.blocks += table->processes[i].blocks;
            dead.bytes += table->processes[i].bytes;
        }
    return dead;
}

static void show_owned(int indent, const struct owned *owned, const char *whose)
{
    if (owned->blocks)
        printf("%*s%s in %s %s %s\n", indent, "", size_text(owned->bytes),
               count_text(owned->blocks), plural(owned->blocks, "block", "blocks"), whose);
}

static const struct column columns[] = {
    {"SLOT", 4, 4, 0},    {"PID", 7, 0, 0},    {"PROGRAM", 15, 0, 1}, {"STATE", 5, 1, 1},
    {"BLOCKS", 12, 3, 0}, {"BYTES", 10, 0, 0}, {"CACHED", 10, 5, 0},
};

enum { COLUMNS_COUNT = sizeof columns / sizeof *columns };

static void show_process(const struct table *fitted, const shmheap_process_info *process)
{
    char slot[16], pid[24], name[4 * sizeof process->name + 1], line[TABLE_ROOM];
    char whole[sizeof process->name + 1] = "";
    memcpy(whole, process->name, sizeof process->name);
    snprintf(slot, sizeof slot, "%u", process->slot);
    snprintf(pid, sizeof pid, "%lld", (long long)process->pid);
    const char *const cells[COLUMNS_COUNT] = {slot,
                                              pid,
                                              escape_printable(name, sizeof name, whole),
                                              process->alive ? "alive" : "dead",
                                              count_text(process->blocks),
                                              size_text(process->bytes),
                                              size_text(process->cached_bytes)};
    puts(table_line(fitted, cells, line));
}

void process_table_show(const struct process_table *table, int indent)
{
    struct table fitted;
    char line[TABLE_ROOM];
    table_fit(&fitted, columns, COLUMNS_COUNT, indent, screen_table_width(), columns[0].width);
    if (table->count)
        puts(table_title(&fitted, line));
    for (size_t i = 0; i < table->count; i++)
        show_process(&fitted, &table->processes[i]);
    show_owned(indent, &table->left, "of processes that disconnected");
    show_owned(indent, &table->gone, "of dead processes whose slots were reused");
    show_owned(indent, &table->sent, "sent and not yet received");
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

static void set_owned(json_t *object, const char *key, const struct owned *owned)
{
    json_t *inner = json_object();
    json_set_count(inner, "blocks", owned->blocks);
    json_set_count(inner, "bytes", owned->bytes);
    json_object_set_new(object, key, inner);
}

void process_table_add_json(json_t *object, const struct process_table *table)
{
    json_t *array = json_array();
    for (size_t i = 0; i < table->count; i++)
        json_array_append_new(array, process_json(&table->processes[i]));
    json_object_set_new(object, "connected", array);
    set_owned(object, "left", &table->left);
    set_owned(object, "gone", &table->gone);
    set_owned(object, "sent", &table->sent);
}
