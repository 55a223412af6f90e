/* fork.h: keeps connections sound in children of fork(), and announces the end of the program.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FORK_H
#define SHMHEAP_FORK_H

#include "../base/prefix.h"

/* fork_watch installs the handlers at the first call, and notices a fork that ran no handler.
 * Each call that opens a heap calls it first. */
void fork_watch(void);

#endif
