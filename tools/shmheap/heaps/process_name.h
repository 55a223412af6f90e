/* process_name.h: the name of a process's program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PROCESS_NAME_H
#define SHMHEAP_TOOL_PROCESS_NAME_H

#include <stddef.h>

/* process_name writes the name of the process's program, as the kernel knows it (15 bytes), and
 * returns its state as /proc says: T is stopped. 0: there is no such process, and name is "?". */
char process_name(long long pid, char *name, size_t room);

#endif
