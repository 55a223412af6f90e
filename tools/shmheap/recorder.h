/* recorder.h: where the recorder's shared library is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_RECORDER_H
#define SHMHEAP_TOOL_RECORDER_H

#include <stddef.h>

/* recorder_find writes the path of librecorder.so: what SHMHEAP_RECORDER says; or beside this program, in recorder/
 * beside it (bazel-bin/tools), in its runfiles, or in ../lib/shmheap. 0, or -1 when it is in none of them. */
int recorder_find(char *path, size_t room);

#endif
