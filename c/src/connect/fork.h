/* fork.h: XXX
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_FORK_H
#define SHMHEAP_FORK_H

/* XXX */
void fork_watch(void);

#endif
