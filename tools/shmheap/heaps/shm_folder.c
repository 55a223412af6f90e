/* shm_folder.c: the files in the folder of shm_open().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/heaps/shm_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tools/shmheap/command_line/say.h"

const char shm_folder[] = "/dev/shm"; /* on Linux */

int shm_folder_each(int (*visit)(const char *, const struct stat *, int, void *), void *context)
{
    DIR *folder = opendir(shm_folder);
    struct dirent *entry;
    struct stat status;
    int stop = 0;
    if (!folder)
        return fail("cannot read %s: %s", shm_folder, strerror(errno));
    while (!stop && (entry = readdir(folder)))
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(status.st_mode))
            stop = visit(entry->d_name, &status,
                         faccessat(dirfd(folder), entry->d_name, R_OK, AT_EACCESS) == 0, context);
    closedir(folder);
    return stop;
}
