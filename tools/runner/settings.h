/* settings.h: what `shmheap run` tells its library, in the environment variable SHMHEAP_RUN.
 *
 * The variable has four words: the pid of `shmheap run`, the flags and the length as decimal
 * numbers, and the name of the heap, which may have spaces. Only the process whose parent has that
 * pid is the program; the processes that descend from it get the variable, too.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RUNNER_SETTINGS_H
#define SHMHEAP_RUNNER_SETTINGS_H

#include <shmheap.h>

#define RUN_VARIABLE "SHMHEAP_RUN"
#define RUN_FORMAT "%lld %u %llu %s"

enum run_flags {
    RUN_CACHED = 1,
    RUN_CHILDREN = 2, /* a descendant makes a heap of its own: NAME.PID */
    RUN_KEEP = 4,     /* and leaves it there at its end */
    RUN_FILE = 8      /* the name is a path */
};

enum { RUN_FIRST_LEN = 1 << 20, RUN_PID_ROOM = 12 };

/* run_options says how a heap is made. It grows, so no access raises SIGBUS for want of memory. */
static inline shmheap_options run_options(unsigned flags, uint64_t len)
{
    shmheap_options options = {.len = len < RUN_FIRST_LEN ? len : RUN_FIRST_LEN,
                               .max_len = len,
                               .flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE |
                                        (flags & RUN_CACHED ? (unsigned)SHMHEAP_CACHED : 0u) |
                                        (flags & RUN_FILE ? (unsigned)SHMHEAP_FILE : 0u)};
    return options;
}

#endif
