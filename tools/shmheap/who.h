/* who.h: which processes have a file mapped or open.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_WHO_H
#define SHMHEAP_TOOL_WHO_H

#include <stddef.h>

/* who_uses writes "123 (name), 456 (name)" of those other processes that have the file of fd mapped or open into text: as
 * many as there is room for and as this user may look into. How many it found. */
int who_uses(int fd, char *text, size_t room);

#endif
