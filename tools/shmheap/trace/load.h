/* load.h: reads a file into memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_LOAD_H
#define SHMHEAP_TOOL_LOAD_H

#include <stddef.h>

/* load_file reads a whole regular file. Returns its bytes, which the caller frees, and sets *len;
 * or returns NULL with errno. */
unsigned char *load_file(const char *path, size_t *len);

#endif
