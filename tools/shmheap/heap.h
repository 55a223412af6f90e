/* heap.h: which heap a person means, and what the library's errors mean to a person.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_HEAP_H
#define SHMHEAP_TOOL_HEAP_H

#include <shmheap.h>

enum { HEAP_NAME_ROOM = 256 };

/* struct heap_ref names a heap: by shm_open's name or, with is_file, by a path. */
struct heap_ref {
    const char *text;          /* as given: for messages */
    char name[HEAP_NAME_ROOM]; /* with the leading '/'; empty with is_file */
    int is_file;
};

/* heap_ref_set understands NAME and /NAME. 0, or STATUS_USAGE after saying what is wrong. */
int heap_ref_set(struct heap_ref *ref, const char *text, int is_file);

/* heap_ref_open is shmheap_open with flags added and a short wait. 0 or -1 with errno. */
int heap_ref_open(const struct heap_ref *ref, unsigned flags, shmheap_memory_handle *out);

/* heap_ref_fd opens what lies below the heap, to be looked at. A descriptor or -1. */
int heap_ref_fd(const struct heap_ref *ref);

int heap_ref_unlink(const struct heap_ref *ref);
/* The same of one that was seen unused, unless somebody connects at this moment: -1, errno EBUSY. */
int heap_ref_unlink_unused(const struct heap_ref *ref);

/* heap_fail says why a heap could not be opened or looked at, by errno, and what to do: STATUS_FAILED. */
int heap_fail(const struct heap_ref *ref);

/* heap_open_to_look connects read-only, which disturbs nobody. 0, or STATUS_FAILED having said why. */
int heap_open_to_look(const struct heap_ref *ref, shmheap_memory_handle *out);

/* heap_look calls look(mem, context) on a read-only connection; where that gives -1 with EAGAIN (someone died in the
 * heap, or it changes too fast to be read without its lock), once more on one that may write. What look
 * returned, or -1 with errno. */
int heap_look(const struct heap_ref *ref, int (*look)(shmheap_memory_handle mem, void *context),
              void *context);

const char *state_text(enum shmheap_state state);

#endif
