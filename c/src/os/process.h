/* process.h: this process: fork, other processes' liveness, its memory, this library,
 * cancellation.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A child made by fork() has a copy of the library's private memory. The handlers of
 * pthread_atfork() tell the library; _Fork() and clone() run no handlers. So the library keeps a
 * mark in a page that the kernel zeroes in each child (MADV_WIPEONFORK, Linux 4.14). Where the mark
 * is missing, the process is a child that has not been handled yet. */
#ifndef SHMHEAP_PROCESS_H
#define SHMHEAP_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/platform.h"

/* process_map is mmap() from the file's first byte, at address (NULL: anywhere). A process under
 * mlockall(MCL_FUTURE) that exceeds RLIMIT_MEMLOCK gets errno ENOMEM; the kernel says EAGAIN, which
 * the library uses for other conditions. */
void *process_map(void *address, size_t len, int protection, int flags, int fd);

/* process_memory maps bytes of zeroed private memory, of which the first PROCESS_WIPED bytes are
 * zero in each child. A kernel without MADV_WIPEONFORK copies them as well. Returns NULL on
 * failure. process_memory_free unmaps them; bytes is the same number. */
enum { PROCESS_WIPED = 64 };
void *process_memory(size_t bytes);
void process_memory_free(void *memory, size_t bytes);

/* process_on_fork sets the function that a child runs, once a process; in_handler: pthread_atfork()
 * runs it. process_notice_fork runs it in a child that no handler has reached. It is the first step
 * of each call that opens, ends, or takes a lock by the slow path. process_fork_handled sets the
 * mark; process_fork_is_handled returns 1 where this process has set it. */
void process_on_fork(void (*in_child)(int in_handler));
void process_notice_fork(void);
void process_fork_handled(void);
int process_fork_is_handled(void);

/* process_start returns when this process started, in clock ticks since boot as /proc shows it; 0:
 * unknown. It reads /proc once. process_forget makes it read again. */
uint64_t process_start(void);
void process_forget(void);

/* process_namespace returns the PID and time namespaces of this process, folded to 24 bits; 0:
 * unknown. A pid and a start time identify a process only within equal namespaces. */
uint32_t process_namespace(void);

/* process_lives returns 1 when the process with this pid and start time (0: unknown) lives, else 0.
 * The process lives while any of its threads runs. Same namespace only. */
int process_lives(int64_t pid, uint64_t start);

/* process_lives_in returns 1 when the process surely lives: the namespace is known, is this
 * process's own, and the process lives there. Else 0. */
int process_lives_in(uint64_t namespace_id, int64_t pid, uint64_t start);

/* process_is_alone returns 1 when the process surely has no thread but the caller, else 0. */
int process_is_alone(void);

/* process_memory_is_private returns 1 when a child made by fork() gets a copy of the page at this
 * address, 0 when it shares the page. */
int process_memory_is_private(const void *address);

/* process_memory_probe returns 1 when all these bytes, at least one, are mapped, 0 when they are
 * not, -1 when the system does not tell. */
int process_memory_probe(const void *memory, uint64_t bytes);

/* process_keep_library makes dlclose() leave the library loaded: a thread that ends calls it, and
 * nothing tells dlclose() that the thread is about to. */
void process_keep_library(void);

/* process_cancel_off disables cancellation of the calling thread; process_cancel_restore takes its
 * result. Between them the thread may keep locks and descriptors across cancellation points. */
int process_cancel_off(void);
void process_cancel_restore(int state);

#endif
