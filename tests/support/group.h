/* group.h: a control group with a limit of memory, for tests.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SUPPORT_GROUP_H
#define TESTS_SUPPORT_GROUP_H

#include <stddef.h>
#include <stdint.h>

/* Makes a group below the caller's own, version 1 or 2, with this limit in bytes: 0 and its folder,
 * or -1 where none can be made. */
int group_make(char *folder, size_t room, uint64_t limit);
/* The caller becomes a process of the group, or of the group above it: 0 or -1 with errno. */
int group_enter(const char *folder);
int group_leave(const char *folder);
/* Once no process is in it: 0 or -1 with errno. */
int group_remove(const char *folder);

#endif
