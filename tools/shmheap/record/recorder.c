/* recorder.c: finds the recorder's shared library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/record/recorder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int try(char *path, size_t room, const char *folder, const char *rest)
{
    char joined[2 * PATH_MAX], real[PATH_MAX];
    snprintf(joined, sizeof joined, "%s%s", folder, rest);
    /* LD_PRELOAD is split at spaces and colons, so such a path would not be loaded. */
    if (access(joined, R_OK) || !realpath(joined, real) || strpbrk(real, " :") ||
        strlen(real) >= room)
        return -1;
    strcpy(path, real);
    return 0;
}

int recorder_find(char *path, size_t room)
{
    static const char *const places[] = {
        "/librecorder.so",
        "/recorder/librecorder.so",
        "/shmheap.runfiles/shmheap/tools/recorder/librecorder.so",
        "/shmheap.runfiles/_main/tools/recorder/librecorder.so",
        "/../lib/shmheap/librecorder.so",
    };
    char self[PATH_MAX];
    const char *given = getenv("SHMHEAP_RECORDER");
    if (given)
        return try(path, room, given, "");
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0)
        return -1;
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (try(path, room, self, places[i]) == 0)
            return 0;
    return -1;
}
