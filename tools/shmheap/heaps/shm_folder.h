/* shm_folder.h: the files in the folder of shm_open().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SHM_FOLDER_H
#define SHMHEAP_TOOL_SHM_FOLDER_H

#include <sys/stat.h>

extern const char shm_folder[];

/* shm_folder_each calls visit for each regular file, in no order, until visit returns other than 0.
 * name has no '/'. readable is true if this user may read the file. Returns what visit returned, or
 * STATUS_FAILED after printing the error. */
int shm_folder_each(int (*visit)(const char *name, const struct stat *status, int readable,
                                 void *context),
                    void *context);

#endif
