/* recorder.h: finds the recorder's shared library.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_RECORDER_H
#define SHMHEAP_TOOL_RECORDER_H

#include <stddef.h>

/* recorder_find writes the path of librecorder.so to path. If SHMHEAP_RECORDER is set, that is the
 * path. Otherwise the library lies beside this program, in recorder/ beside it (bazel-bin/tools),
 * in its runfiles, or in ../lib/shmheap. Returns 0, or -1 if it is in none of those places. */
int recorder_find(char *path, size_t room);

#endif
