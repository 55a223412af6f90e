/* convert.h: converts the recorder's files to a trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_CONVERT_H
#define SHMHEAP_TOOL_CONVERT_H

#include <stddef.h>

#include "tools/shmheap/trace/trace.h"

struct converted {
    struct trace_writer *streams; /* in the order in which the processes started */
    size_t count;
};

/* convert_folder converts all files of the recorder in folder. Returns 0, or -1 with errno (ENOMEM
 * or an error of reading). In both cases the caller calls convert_free. */
int convert_folder(const char *folder, struct converted *out);
void convert_free(struct converted *converted);

/* convert_remove deletes the folder and the files in it. */
void convert_remove(const char *folder);

#endif
