/* process_name.c: reads /proc/PID/stat.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/heaps/process_name.h"

#include <stdio.h>
#include <string.h>

/* "42 (name) S ...": the name may hold anything, parentheses and line ends too. */
char process_name(long long pid, char *name, size_t room)
{
    char path[64], text[512];
    snprintf(name, room, "?");
    snprintf(path, sizeof path, "/proc/%lld/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (!begin || !end || end < begin || end[1] != ' ' || !end[2])
        return 0;
    snprintf(name, room, "%.*s", (int)(end - begin - 1), begin + 1);
    return end[2];
}
