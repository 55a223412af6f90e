/* mapping.c: reads /proc/self/maps. SPDX-License-Identifier: Apache-2.0 */
#include "mapping.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A line of /proc/self/maps. */
struct mapping {
    uintptr_t start, end;
    uint64_t file_off, inode;
    unsigned major, minor;
    char access[5];
};

static int mapping_parse(const char *line, struct mapping *map)
{
    return sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %" SCNx64 " %x:%x %" SCNu64, &map->start,
                  &map->end, map->access, &map->file_off, &map->major, &map->minor,
                  &map->inode) == 7;
}

static int mapping_writable(const struct mapping *map)
{
    return map->access[0] == 'r' && map->access[1] == 'w';
}

/* Shared memory ends with its file: the length that a heap states must not lead into memory mapped
 * behind it. */
static int mapping_continues(const struct mapping *before, const struct mapping *map)
{
    if (map->start != before->end || !mapping_writable(map) || map->access[3] != before->access[3])
        return 0;
    return map->access[3] == 'p' ||
           (map->inode == before->inode && map->major == before->major &&
            map->minor == before->minor &&
            map->file_off == before->file_off + (before->end - before->start));
}

size_t mapping_reach(const void *address, int *shared)
{
    uintptr_t at = (uintptr_t)address;
    char *line = NULL;
    size_t room = 0;
    struct mapping map, before = {0};
    FILE *maps = fopen("/proc/self/maps", "re");
    if (shared != NULL)
        *shared = 0;
    if (maps == NULL)
        return SIZE_MAX;
    while (getline(&line, &room, maps) > 0 && mapping_parse(line, &map)) {
        int within = before.end == 0 ? map.start <= at && at < map.end && mapping_writable(&map)
                                     : mapping_continues(&before, &map);
        if (within)
            before = map;
        else if (before.end != 0)
            break;
    }
    free(line);
    fclose(maps);
    if (shared != NULL)
        *shared = before.access[3] == 's';
    return before.end == 0 ? 0 : before.end - at;
}
