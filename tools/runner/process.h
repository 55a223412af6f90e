/* process.h: the heap of this process, from its first allocation to its end; what fork() changes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RUNNER_PROCESS_H
#define SHMHEAP_RUNNER_PROCESS_H

#include <pthread.h>

#include "mirror.h"

/* struct process_page lies in a page that the kernel fills with zeros in each forked child. The
 * child finds there that it has not begun. */
struct process_page {
    int begun;
    pthread_mutex_t lock;
};

extern struct process_page *process_page;
extern shmheap_memory_handle process_heap; /* valid while process_mirror is not NULL */
extern struct mirror *process_mirror;      /* of that heap; NULL: this process has no heap */

/* 1 while the thread is in a call of the heap. What such a call allocates, and what a signal
 * handler in it allocates, comes from the C library. initial-exec: the first access must not
 * allocate. */
extern __thread int process_inside __attribute__((tls_model("initial-exec")));

/* process_begin opens the heap of this process, if it has one. It keeps errno. */
void process_begin(void);

/* process_is_on: this call of this thread goes to the heap. Each call of the program comes here
 * first. */
static inline int process_is_on(void)
{
    if (process_inside)
        return 0;
    if (!__atomic_load_n(&process_page->begun, __ATOMIC_ACQUIRE))
        process_begin();
    return process_mirror != NULL;
}

/* process_mirror_of returns the mirror in which the object lies: this process's, or one of those
 * that were its parents' when they forked; NULL: none. */
struct mirror *process_mirror_of(const void *object);

/* process_say writes a line to standard error: "shmheap run: " and the text. It writes nothing if
 * the program has another file there than at its beginning. */
void process_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

const char *process_heap_name(void);

#endif
