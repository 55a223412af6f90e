/* file.h: files that hold heaps: their names, and the locks on their bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FILE_H
#define SHMHEAP_FILE_H

#include <sys/types.h>

/* file_open_named opens what has this name, or makes it with exactly these permissions where oflags has O_CREAT:
 * a descriptor, or -1. */
int file_open_named(const char *name, int is_path, int oflags, unsigned mode);
int file_remove(const char *name, int is_path);

/* file_memory makes a file without a name that cannot be shrunk any more. */
int file_memory(const char *name);

/* file_reopen opens the file of fd anew, so that its locks are our own. */
int file_reopen(int fd, int read_only);

/* file_lock sets (command F_OFD_SETLK, _SETLKW) or looks for (F_OFD_GETLK) an open-file-description lock on bytes of the
 * file: 0 unlocked or nobody has it, 1 locked or somebody else has it, -1 with errno. The kernel drops such a lock with the
 * last descriptor of the description. */
int file_lock(int fd, int command, short type, off_t from, off_t len);

#endif
