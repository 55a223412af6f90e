/* file.h: files that hold heaps: their names, and the locks on their bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FILE_H
#define SHMHEAP_FILE_H

#include <sys/types.h>

#include "../base/layout.h"

/* file_open_named opens what has this name, or makes it, for its owner alone, where oflags has
 * O_CREAT: a descriptor that is no standard stream's, or -1 with errno. */
int file_open_named(const char *name, int is_path, int oflags);

/* file_create_named makes an empty file, which its owner may read and write whatever the umask: a
 * descriptor, or -1 with errno, EEXIST among others. */
int file_create_named(const char *name, int is_path);
int file_remove(const char *name, int is_path);

/* file_open_mapped opens the file of a mapping of this process: a descriptor as above, or -1 with
 * errno (EPERM without CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN). */
int file_open_mapped(const void *page, size_t len, int oflags);

/* file_remove_own removes the name if it is still that of this file: 0; -1 with errno ESTALE when
 * another file has it now, ENOENT, EACCES ... The caller uses the file (file_use), so
 * file_remove_unused cannot give the name away between looking and removing, and a lock keeps other
 * callers of file_remove_own out. What remains: a process that removes the name by force at that
 * very moment. */
int file_remove_own(const char *name, int is_path, dev_t device, ino_t inode);

/* file_above_standard is the same file under a number that is no standard stream's: what a program
 * prints must not go into a heap. fd is closed; -1 where it is, or where there is no such number
 * (errno). */
int file_above_standard(int fd);

/* file_memory makes a file without a name that cannot be shrunk any more. */
int file_memory(const char *name);

/* file_reopen opens the file of fd anew, so that its locks are its own: by /proc, or where there is
 * none by the name (which may be NULL), if that still is this file's. */
int file_reopen(int fd, const char *name, int is_path, int read_only);

/* file_identify tells by what the file of fd is known: 0, or -1 with errno. file_is is 1 when fd is
 * a descriptor of that file. */
int file_identify(int fd, dev_t *device, ino_t *inode);
int file_is(int fd, dev_t device, ino_t inode);

/* file_length_check tells whether a file may be len bytes long by RLIMIT_FSIZE, beyond which the
 * kernel answers with SIGXFSZ, which by default ends the process: 0, or -1 with errno EFBIG. */
int file_length_check(uint64_t len);

/* file_write writes all len bytes at off: 0, or -1 with errno; EINTR after 100,000 interruptions in a
 * row that let nothing through. */
int file_write(int fd, const void *bytes, size_t len, off_t off);

/* file_close closes fd if it still is of that file, and not one that the program has opened since.
 */
void file_close(int fd, dev_t device, ino_t inode);

/* Open-file-description locks on bytes of the file. The kernel drops a lock with the last
 * descriptor or mapping of its description. file_lock: 0 the lock is set; 1 another description has
 * one that excludes it; -1 with errno. type is F_RDLCK or F_WRLCK. file_lock_wait tries for
 * limit_ms milliseconds, less and less often. file_unlock never fails. file_locked_by_writer: 1
 * when another description has a write lock on one of the bytes, 0 when none has, -1 with errno. A
 * process that may only read the file can set read locks alone, so it can make nothing seem
 * written-locked. */
int file_lock(int fd, short type, off_t from, off_t len);
int file_lock_wait(int fd, short type, off_t byte, unsigned limit_ms);
void file_unlock(int fd, off_t from, off_t len);
int file_locked_by_writer(int fd, off_t from, off_t len);

/* file_use marks the file as used, with a lock that all users share: 0, or -1 with errno ETIMEDOUT
 * when a process that removes it has not let go in that time. What is no regular file, or cannot be
 * locked, is left as it is: 0. */
int file_use(int fd, unsigned timeout_ms);

/* 1 when a process uses it, 0 when none does, -1 with errno. */
int file_in_use(int fd);

/* struct file_begin is private: a copy of what a file begins with. */
struct file_begin {
    struct fixed fixed;
    unsigned char rest[sizeof(struct control) - sizeof(struct fixed)];
};

/* file_is_begun tells from the first bytes of a file whether it is what a process leaves that dies
 * while it makes a heap: 1 or 0. empty_too: a file of zeros counts as well. */
int file_is_begun(const struct file_begin *begin, int empty_too);

/* file_was_abandoned: 1 when the file is a heap in the making whose maker has died. */
int file_was_abandoned(int fd);

/* 1 when the name by which it was opened is gone. */
int file_is_nameless(int fd);

/* file_remove_unused removes the name of a heap that no process uses, or whose making was never
 * finished; with abandoned_only, only what a maker left that died, since a heap may have come in its
 * place after a look at it. A process that opens it at that moment, and uses it then, finds it
 * nameless. 0; -1 with errno EBUSY, or EBADMSG, EPROTONOSUPPORT when it is none of our heaps, ENOENT
 * ... */
int file_remove_unused(const char *name, int is_path, int abandoned_only);

#endif
