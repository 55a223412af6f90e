/* who.h: which processes have a file mapped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_WHO_H
#define SHMHEAP_TOOL_WHO_H

#include <stddef.h>

/* who_maps writes "123 (name), 456 (name)" of those processes that map the file of fd into text: as many as there
 * is room for and as this user may look into. How many it found. */
int who_maps(int fd, char *text, size_t room);

#endif
