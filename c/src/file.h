/* file.h: files that hold heaps: their names, and the locks on their bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FILE_H
#define SHMHEAP_FILE_H

#include <sys/types.h>

#include "layout.h"

/* file_open_named opens what has this name, or makes it with exactly these permissions where oflags has O_CREAT:
 * a descriptor, or -1. */
int file_open_named(const char *name, int is_path, int oflags, unsigned mode);
int file_remove(const char *name, int is_path);

/* file_remove_own removes the name if it is still that of the file fd: 0; -1 with errno ESTALE when another file has it now, ENOENT,
 * EACCES ... The caller uses the file (file_use), so file_remove_unused cannot give the name away between looking and removing, and a lock keeps
 * other callers of file_remove_own out. What remains: a process that removes the name by force at that very moment. */
int file_remove_own(const char *name, int is_path, int fd);

/* file_memory makes a file without a name that cannot be shrunk any more. */
int file_memory(const char *name);

/* file_reopen opens the file of fd anew, so that its locks are our own. */
int file_reopen(int fd, int read_only);

/* file_lock sets (command F_OFD_SETLK, _SETLKW) or looks for (F_OFD_GETLK) an open-file-description lock on bytes of the
 * file: 0 unlocked or nobody has it, 1 locked or somebody else has it, -1 with errno. The kernel drops such a lock with the
 * last descriptor of the description. */
int file_lock(int fd, int command, short type, off_t from, off_t len);

/* file_use marks the file as used, with a lock that all users share: 0, or -1 with errno ETIMEDOUT when somebody who
 * takes it over has not let go in that time. What is no regular file, or cannot be locked, is left as it is: 0. */
int file_use(int fd, unsigned timeout_ms);

/* file_extend makes the file at least so long: 0, or -1 with errno. Not for two processes at once. */
int file_extend(int fd, uint64_t len);

/* file_reserve gets the memory of these bytes of the file, which becomes as long where it is shorter: 0, or -1 with errno ENOSPC and the
 * like, some of it perhaps reserved. Where the file system cannot reserve, it becomes as long. */
int file_reserve(int fd, uint64_t from, uint64_t to);

/* 1 when somebody uses it, 0 when nobody does, -1 with errno. */
int file_in_use(int fd);

/* 1 when the name by which it was opened is gone. */
int file_is_nameless(int fd);

/* file_remove_unused removes the name of a heap that nobody uses, or whose making was never finished. Whoever opens it at that
 * moment, and uses it then, finds it nameless. 0; -1 with errno EBUSY, or EBADMSG, EPROTONOSUPPORT when it is none of our heaps,
 * ENOENT ... */
int file_remove_unused(const char *name, int is_path);

#endif
