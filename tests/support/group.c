/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/group.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 600, LINE_ROOM = 512 };

static int write_to(const char *folder, const char *name, const char *text)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t put = fd >= 0 ? write(fd, text, strlen(text)) : -1;
    if (fd >= 0)
        close(fd);
    return put == (ssize_t)strlen(text) ? 0 : -1;
}

/* A line of /proc/self/cgroup: hierarchy:controllers:path. */
static int make_below(const char *line, char *folder, size_t room, uint64_t limit)
{
    char text[32];
    const char *path = strstr(line, ":/");
    int version_1 = strstr(line, "memory:") != NULL;
    if (path == NULL || (!version_1 && strncmp(line, "0::", 3) != 0))
        return -1;
    snprintf(folder, room, "/sys/fs/cgroup%s%s/shmheap-test-%d", version_1 ? "/memory" : "",
             path + 1, (int)getpid());
    snprintf(text, sizeof text, "%llu", (unsigned long long)limit);
    if (mkdir(folder, 0755) != 0)
        return -1;
    if (write_to(folder, version_1 ? "memory.limit_in_bytes" : "memory.max", text) == 0)
        return 0;
    rmdir(folder);
    return -1;
}

int group_make(char *folder, size_t room, uint64_t limit)
{
    char line[LINE_ROOM];
    int made = -1;
    FILE *groups = fopen("/proc/self/cgroup", "re");
    while (groups != NULL && made != 0 && fgets(line, sizeof line, groups) != NULL) {
        line[strcspn(line, "\n")] = 0;
        made = make_below(line, folder, room, limit);
    }
    if (groups != NULL)
        fclose(groups);
    if (made != 0)
        folder[0] = 0;
    return made;
}

int group_enter(const char *folder) { return write_to(folder, "cgroup.procs", "0"); }

int group_leave(const char *folder)
{
    char above[PATH_ROOM];
    snprintf(above, sizeof above, "%s/..", folder);
    return write_to(above, "cgroup.procs", "0");
}

int group_remove(const char *folder) { return rmdir(folder); }
