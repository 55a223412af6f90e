/* file.h: files: their names, their identity, and locks on their bytes.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file is known by device and inode: the program may close any descriptor, and its number may
 * then belong to another file. name is one of shm_open(3), or a path where is_path is 1. Functions
 * that return int return -1 with errno on failure. No function here uses malloc. */
#ifndef SHMHEAP_FILE_H
#define SHMHEAP_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../base/prefix.h"

/* Opening ----------------------------------------------------------------- */

/* file_open_named opens the file of this name. With O_CREAT it makes the file for its owner alone.
 * Returns a descriptor above those of the standard streams. */
int file_open_named(const char *name, int is_path, int oflags);

/* file_create_named makes an empty file that its owner may read and write whatever the umask.
 * Returns a descriptor; errno EEXIST if the name exists. */
int file_create_named(const char *name, int is_path);

/* file_open_mapped opens the file of a mapping of this process. Returns a descriptor; errno EPERM
 * without CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN. */
int file_open_mapped(const void *page, size_t len, int oflags);

/* file_memory makes a file without a name that no process can shrink. Returns a descriptor. */
int file_memory(const char *name);

/* file_reopen opens the file of fd again, so that the result has locks of its own. It opens by
 * /proc, or without /proc by the name (NULL: none) if that still names this file. */
int file_reopen(int fd, const char *name, int is_path, int read_only);

/* file_above_standard marks the description of fd as this library's (file_is_ours), and replaces fd
 * by a number that is no standard stream's, so that the program does not print into a heap. It
 * closes fd. Returns -1 for fd -1, or where no number is left. */
int file_above_standard(int fd);

/* file_close closes fd if file_is_ours says so. file_drop closes fd; errno stays. */
void file_close(int fd, dev_t device, ino_t inode);
void file_drop(int fd);

/* Identity and contents --------------------------------------------------- */

/* file_identify stores device and inode of fd's file. file_is returns 1 when fd is a descriptor of
 * that file, else 0. file_is_ours returns 1 when the library has made that descriptor besides: a
 * program that closes the library's may open the same file, and get the same number. Where the
 * system refuses the mark, it is file_is. file_is_lent is the same for a description marked by
 * file_mark_lent, which is no longer "ours": the program may put a duplicate of it in the place of
 * a descriptor of the library's. file_is_nameless returns 1 when the file has no name left. errno
 * stays. */
int file_identify(int fd, dev_t *device, ino_t *inode);
int file_is(int fd, dev_t device, ino_t inode);
int file_is_ours(int fd, dev_t device, ino_t inode);
void file_mark_lent(int fd);
int file_is_lent(int fd, dev_t device, ino_t inode);
int file_is_nameless(int fd);

/* file_is_sealed returns 1 when a seal keeps processes from mapping the file to write. errno
 * stays. */
int file_is_sealed(int fd);

/* file_can_be_cut returns 1 when fd is that of a memfd which a process can make shorter, so that
 * its users get SIGBUS. The library makes no such memfd. 0 for other files. errno stays. */
int file_can_be_cut(int fd);

/* file_length_check returns 0 when RLIMIT_FSIZE lets a file be len bytes long, else -1 with EFBIG.
 * The kernel answers a write beyond that limit with SIGXFSZ, which ends the process. */
int file_length_check(uint64_t len);

/* file_write writes all len bytes at off. errno EINTR after 100,000 interruptions in a row that let
 * no byte through. */
int file_write(int fd, const void *bytes, size_t len, off_t off);

/* Memory ------------------------------------------------------------------ */

/* struct file_data is a part of a file that has memory: [from, to). */
struct file_data {
    uint64_t from, to;
};

/* file_data_next returns the first part with memory from this offset on; from is UINT64_MAX where
 * none follows. A hole is what no process has written. It reads as 0, but a load from it in a
 * mapping allocates a page of shared memory, or raises SIGBUS where there is none. Where the file
 * system does not tell, all has memory. errno stays. */
struct file_data file_data_next(int fd, uint64_t from);

/* Names ------------------------------------------------------------------- */

int file_remove(const char *name, int is_path);

/* file_name_check returns 0 when the name is this file's; errno ESTALE when it is another's. */
int file_name_check(const char *name, int is_path, dev_t device, ino_t inode);

/* file_remove_own removes the name if it is still this file's. errno ESTALE when another file has
 * it, ENOENT, EACCES ... The caller uses the file (file_use), so heap_file_remove_unused cannot
 * free the name between the check and the removal. A lock excludes other callers. A process that
 * removes the name by force at that moment remains a race. */
int file_remove_own(const char *name, int is_path, dev_t device, ino_t inode);

/* Locks ------------------------------------------------------------------- */

/* Open-file-description locks on bytes of the file. The kernel drops a lock with the last
 * descriptor or mapping of its description. type is F_RDLCK or F_WRLCK. A process without write
 * permission can set read locks alone, so it cannot make a byte seem write-locked.
 *   file_lock              0: locked; 1: a lock of another description excludes it
 *   file_lock_wait         the same; tries for limit_ms milliseconds, ever less often
 *   file_unlock            never fails
 *   file_locked_by_writer  1: another description has a write lock on one of the bytes; 0: none */
int file_lock(int fd, short type, off_t from, off_t len);
int file_lock_wait(int fd, short type, off_t byte, unsigned limit_ms);
void file_unlock(int fd, off_t from, off_t len);
int file_locked_by_writer(int fd, off_t from, off_t len);

/* file_use sets the lock on USERS_BYTE that all users share. Returns 0 as well for a file that is
 * not regular or cannot be locked. errno ETIMEDOUT when a process that removes the file kept its
 * lock for timeout_ms. */
int file_use(int fd, unsigned timeout_ms);

/* file_in_use returns 1 when a process uses the file, 0 when none does. */
int file_in_use(int fd);

/* file_lock_unused excludes all users: 0; 1 when a process uses the file. */
int file_lock_unused(int fd);

#endif
