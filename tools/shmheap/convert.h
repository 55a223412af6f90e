/* convert.h: what the recorder left in a folder into a trace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_CONVERT_H
#define SHMHEAP_TOOL_CONVERT_H

#include <stddef.h>

#include "trace.h"

struct converted {
    struct trace_writer *streams; /* in the order in which the processes began */
    size_t count;
};

/* convert_folder reads all files that the recorder left in folder. 0, or -1 with errno (ENOMEM, or what reading gave).
 * Either way convert_free is due. */
int convert_folder(const char *folder, struct converted *out);
void convert_free(struct converted *converted);

/* convert_remove deletes the folder and the recorder's files in it. */
void convert_remove(const char *folder);

#endif
