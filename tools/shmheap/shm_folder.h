/* shm_folder.h: the files in the folder where shm_open() keeps its names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SHM_FOLDER_H
#define SHMHEAP_TOOL_SHM_FOLDER_H

#include <sys/stat.h>

extern const char shm_folder[];

/* shm_folder_each calls visit for each regular file, in no order, until it returns other than 0. name has no '/';
 * readable says whether this user may read it. What visit returned, or STATUS_FAILED having said why. */
int shm_folder_each(int (*visit)(const char *name, const struct stat *status, int readable,
                                 void *context),
                    void *context);

#endif
