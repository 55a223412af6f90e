/* library.c: finds a shared library of the tool.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/run/library.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/shmheap/command_line/say.h"

static int try(char *path, size_t room, const char *joined)
{
    char real[PATH_MAX];
    /* LD_PRELOAD is split at spaces and colons, so such a path would not be loaded. */
    if (access(joined, R_OK) || !realpath(joined, real) || strpbrk(real, " :") ||
        strlen(real) >= room)
        return -1;
    strcpy(path, real);
    return 0;
}

static int try_places(char *path, size_t room, const char *folder, const char *name)
{
    static const struct {
        const char *folder;
        int has_folder; /* of the library's name */
    } places[] = {
        {"/", 0},
        {"/", 1},
        {"/shmheap.runfiles/shmheap/tools/", 1},
        {"/shmheap.runfiles/_main/tools/", 1},
        {"/../lib/shmheap/", 0},
    };
    char joined[3 * PATH_MAX];
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(joined, sizeof joined, "%s%s%s%slib%s.so", folder, places[i].folder,
                 places[i].has_folder ? name : "", places[i].has_folder ? "/" : "", name);
        if (try(path, room, joined) == 0)
            return 0;
    }
    return -1;
}

int library_find(const char *name, const char *variable, char *path, size_t room)
{
    char self[PATH_MAX];
    const char *given = getenv(variable);
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    if (len > 0)
        *strrchr(self, '/') = '\0';
    if (given ? try(path, room, given) == 0 : len > 0 && try_places(path, room, self, name) == 0)
        return 0;
    return fail("cannot find lib%s.so beside this program (or its path has a space or colon); "
                "build //tools:shmheap, or set %s to its path",
                name, variable);
}
