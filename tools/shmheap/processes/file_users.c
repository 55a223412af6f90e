/* file_users.c: which processes have a file mapped or open, from /proc/PID/maps and /proc/PID/fd.
 *
 * The heap itself records neither read-only connections nor pids of this process's PID namespace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/processes/file_users.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tools/shmheap/heaps/process_name.h"

enum { LINE_ROOM = 4352, PATH_ROOM = 320 };

static int line_is_of(const char *line, const struct stat *file)
{
    unsigned device_major, device_minor;
    unsigned long long inode;
    if (sscanf(line, "%*x-%*x %*s %*x %x:%x %llu", &device_major, &device_minor, &inode) != 3)
        return 0;
    return inode == file->st_ino && device_major == major(file->st_dev) &&
           device_minor == minor(file->st_dev);
}

static int maps_it(const char *pid, const struct stat *file)
{
    char path[PATH_ROOM], line[LINE_ROOM];
    int found = 0;
    snprintf(path, sizeof path, "/proc/%s/maps", pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return 0;
    while (!found && fgets(line, sizeof line, maps))
        found = line_is_of(line, file);
    fclose(maps);
    return found;
}

static int is_file(int folder, const char *name, const struct stat *file)
{
    struct stat status;
    return fstatat(folder, name, &status, 0) == 0 && status.st_ino == file->st_ino &&
           status.st_dev == file->st_dev;
}

static int opens_it(const char *pid, const struct stat *file)
{
    char path[PATH_ROOM];
    struct dirent *entry;
    int found = 0;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (!folder)
        return 0;
    while (!found && (entry = readdir(folder)))
        found = is_file(dirfd(folder), entry->d_name, file);
    closedir(folder);
    return found;
}

static void append(char *text, size_t room, const char *pid)
{
    char name[32];
    size_t used = strlen(text);
    process_name(strtoll(pid, NULL, 10), name, sizeof name);
    snprintf(text + used, room - used, "%s%s (%s)", used ? ", " : "", pid, name);
}

int file_users_find(int fd, char *text, size_t room)
{
    char self[24];
    struct stat file;
    struct dirent *entry;
    int count = 0;
    snprintf(self, sizeof self, "%d", (int)getpid());
    DIR *proc = opendir("/proc");
    *text = '\0';
    if (!proc || fstat(fd, &file)) {
        if (proc)
            closedir(proc);
        return 0;
    }
    while ((entry = readdir(proc)))
        if (isdigit((unsigned char)*entry->d_name) && strcmp(entry->d_name, self) != 0 &&
            (maps_it(entry->d_name, &file) || opens_it(entry->d_name, &file))) {
            append(text, room, entry->d_name);
            count++;
        }
    closedir(proc);
    return count;
}
