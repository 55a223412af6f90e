/* process.h: the process that this code runs in: whether it is the one that opened its connections,
 * and how others are seen to live.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A child made by fork() has a copy of the library's private memory. The handlers of
 * pthread_atfork() tell the library; _Fork() and clone() run no handlers. So a page that the kernel
 * empties in each child (MADV_WIPEONFORK, Linux 4.14) holds a mark: where the mark is missing the
 * library has work to do before it goes on. */
#ifndef SHMHEAP_PROCESS_H
#define SHMHEAP_PROCESS_H

#include <stddef.h>
#include <stdint.h>

#include "../base/platform.h"

/* process_map is mmap() at address (NULL: anywhere) from the begin of the file. Where a process that
 * called mlockall(MCL_FUTURE) may not lock so much (RLIMIT_MEMLOCK) errno is ENOMEM; the kernel says
 * EAGAIN, which means other things here. */
void *process_map(void *address, size_t len, int protection, int flags, int fd);

/* process_memory maps bytes of zeroed private memory of which the first WIPED bytes are zero in
 * each child: the address behind them, or NULL. Where the kernel has no MADV_WIPEONFORK they are
 * copied as the rest is. process_memory_free takes the same bytes. */
enum { PROCESS_WIPED = 64 };
void *process_memory(size_t bytes);
void process_memory_free(void *memory, size_t bytes);

/* process_on_fork sets what is to be done in a child, once a process; told: by a handler of
 * pthread_atfork(). process_notice_fork does it in a child of which nothing has told, before
 * anything else of the library runs there: the first step of each call that opens, ends, or takes
 * a lock the long way. process_was_told says that it is done. */
void process_on_fork(void (*in_child)(int told));
void process_notice_fork(void);
void process_was_told(void);

/* process_start is when this process started, in clock ticks since boot as /proc tells; 0: unknown.
 * process_forget makes it read anew. */
uint64_t process_start(void);
void process_forget(void);

/* process_namespace is the PID and time namespaces of this process, folded to 24 bits; 0: unknown. A
 * pid and a start time mean the same only to processes whose spaces are equal. */
uint32_t process_namespace(void);

/* process_lives tells whether the process of this pid, which started at start (0: unknown), lives:
 * 1 or 0. A process whose first thread has ended lives while another thread runs. Same space only.
 */
int process_lives(int64_t pid, uint64_t start);

/* process_lives_in: 1 where the process is surely alive, since space (not 0) is this process's own,
 * and it lives there. */
int process_lives_in(uint64_t space, int64_t pid, uint64_t start);

/* process_is_alone: 1 where the process surely has no other thread than the caller. */
int process_is_alone(void);

/* process_memory_is_private: 1 where a child made by fork() gets a copy of the page at this
 * address, 0 where the page is shared. */
int process_memory_is_private(const void *address);

/* process_memory_is_there: 1 where memory of the process lies at each of these bytes, at least one.
 * Also 1 where the system does not tell. */
int process_memory_is_there(const void *memory, uint64_t bytes);

/* process_calm disables cancellation of the calling thread, and returns what process_calm_end
 * restores. Between them the thread may hold locks and descriptors across calls that are
 * cancellation points. */
int process_calm(void);
void process_calm_end(int state);

#endif
