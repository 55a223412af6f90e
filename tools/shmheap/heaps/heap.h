/* heap.h: the heap that the command line names, and messages for the library's errors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_HEAP_H
#define SHMHEAP_TOOL_HEAP_H

#include <shmheap.h>

enum { HEAP_NAME_ROOM = 256 };

/* struct heap_ref names a heap: by its name for shm_open or, with is_file, by a path. */
struct heap_ref {
    const char *text;          /* as given; used in messages */
    char name[HEAP_NAME_ROOM]; /* with the leading '/'; empty with is_file */
    int is_file;
};

/* heap_ref_set reads NAME or /NAME. Returns 0, or STATUS_USAGE after printing the error. */
int heap_ref_set(struct heap_ref *ref, const char *text, int is_file);

/* heap_ref_open is shmheap_open with these flags and a short timeout. Returns 0, or -1 with
 * errno. */
int heap_ref_open(const struct heap_ref *ref, unsigned flags, shmheap_memory_handle *out);

/* heap_ref_open_now opens a heap read-only and does not wait for an unfinished one. */
int heap_ref_open_now(const struct heap_ref *ref, shmheap_memory_handle *out);

/* heap_ref_fd opens the heap's file read-only. Returns a descriptor, or -1 with errno. */
int heap_ref_fd(const struct heap_ref *ref);

int heap_ref_unlink(const struct heap_ref *ref);
/* heap_ref_unlink_unused unlinks a heap that the caller found unused. If a process connects
 * meanwhile, it returns -1 with errno EBUSY. */
int heap_ref_unlink_unused(const struct heap_ref *ref);

/* heap_reason is a text, from errno: why a heap could not be opened or inspected, and what to do.
 * It lies in one static buffer. heap_fail prints it and returns STATUS_FAILED. */
const char *heap_reason(const struct heap_ref *ref);
int heap_fail(const struct heap_ref *ref);

/* heap_make_fail prints, from errno, why a heap of len bytes could not be made. less is what the
 * user can reduce: "--len". Returns STATUS_FAILED. */
int heap_make_fail(const struct heap_ref *ref, uint64_t len, const char *less);

/* heap_inspect calls inspect(mem, context) on a read-only connection. If that returns -1 with
 * EAGAIN, heap_inspect repeats it on a connection that may write: a process died in the heap, or
 * the heap changes too fast to be read without its lock. Returns what inspect returned, or -1 with
 * errno: ETIMEDOUT where a process keeps the lock. */
int heap_inspect(const struct heap_ref *ref,
                 int (*inspect)(shmheap_memory_handle mem, void *context), void *context);

const char *state_text(enum shmheap_state state);

#endif
