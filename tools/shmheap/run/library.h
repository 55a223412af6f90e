/* library.h: finds a shared library of the tool, to be loaded into a program by LD_PRELOAD.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_LIBRARY_H
#define SHMHEAP_TOOL_LIBRARY_H

#include <stddef.h>

/* library_find writes the path of libNAME.so to path. If the environment variable is set, that is
 * the path. Otherwise the library lies beside this program, in NAME/ beside it (bazel-bin/tools),
 * in its runfiles, or in ../lib/shmheap. Returns 0, or STATUS_FAILED after printing the error. */
int library_find(const char *name, const char *variable, char *path, size_t room);

#endif
