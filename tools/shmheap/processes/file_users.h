/* file_users.h: which processes have a file mapped or open.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_FILE_USERS_H
#define SHMHEAP_TOOL_FILE_USERS_H

#include <stddef.h>

/* file_users_find writes "123 (name), 456 (name)" to text: the other processes that have the file
 * of fd mapped or open, as far as room suffices and this user may inspect them. Returns how many it
 * found. */
int file_users_find(int fd, char *text, size_t room);

#endif
