/* heap_file.h: the file of a heap before this process maps it: unfinished, abandoned, unused.
 * SPDX-License-Identifier: Apache-2.0
 *
 *   empty --maker locks MAKER_BYTE, writes the fixed fields--> unfinished --stores magic--> a heap
 *                                                                  |
 *                                                                  +--maker dies--> abandoned */
#ifndef SHMHEAP_HEAP_FILE_H
#define SHMHEAP_HEAP_FILE_H

#include "connection.h"

enum { FIXED_SIZE = sizeof(struct fixed) };

/* heap_file_is_abandoned returns 1 when the file is unfinished and its maker has died, else 0. */
int heap_file_is_abandoned(int fd);

/* heap_file_is_blank returns 1 when the file has no contents to lose: it is empty, or short and all
 * zeros. On hugetlbfs a maker that dies leaves zeros of any length. On other file systems the maker
 * writes its mark first, so a long file that begins with zeros is another program's, such as a disk
 * image. On hugetlbfs the caller has seen zeros at the file's begin. It may read a mebibyte. */
int heap_file_is_blank(int fd);

/* heap_file_read copies the fixed fields once: 1; 0 when the heap is unfinished or the file is
 * empty; -1 with errno EBADMSG when the file holds no heap. */
int heap_file_read(int fd, struct fixed *fixed);

/* heap_file_await waits until the heap in the connection's file is finished: 0; -1 with errno
 * ETIMEDOUT after timeout_ms milliseconds,
 * ESTALE when the file has lost its name (had_name: it had one),
 * EOWNERDEAD when the maker has died; with take_over also when the file stays empty and unused,
 * EBADMSG when the file holds no heap. */
int heap_file_await(const struct shmheap *heap, unsigned timeout_ms, int had_name, int take_over);

/* heap_file_announce wakes the processes in heap_file_await. magic is stored. */
void heap_file_announce(const struct shmheap *heap);

/* heap_file_remove_unused removes the name of a heap that no process uses, or of an unfinished one;
 * with abandoned_only, of an abandoned one alone: another process may have put a heap in its place.
 * A process that opens the file at that moment finds it nameless when it uses it. Returns 0; -1
 * with errno EBUSY, ENOENT ..., EBADMSG or EPROTONOSUPPORT when the file is no heap of this
 * format. */
int heap_file_remove_unused(const char *name, int is_path, int abandoned_only);

#endif
