/* say.h: text for people: errors, sizes, durations.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SAY_H
#define SHMHEAP_TOOL_SAY_H

#include <stddef.h>
#include <stdint.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* fail prints one line, "shmheap COMMAND: ...", to standard error and returns STATUS_FAILED.
 * wrong_usage adds which --help to read and returns STATUS_USAGE. say_command sets COMMAND. */
void say_command(const char *name);
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int wrong_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* say_heap sets the heap that say_missing_memory names. From say_missing_memory on, SIGBUS ends the
 * tool with such a line: a page of a sparse heap that a full file system cannot provide, or of a
 * file that was cut short. */
void say_heap(const char *name);
void say_missing_memory(void);

/* create_fail is fail for a file that cannot be created, from errno: why, and what to do. */
int create_fail(const char *file);

/* These print into one of several static buffers: enough for the arguments of one printf. */
const char *size_text(uint64_t bytes);  /* 1.5 MiB */
const char *count_text(uint64_t count); /* 1,234,567 */
const char *ns_text(uint64_t ns);       /* 12.3 us */

/* plural returns one if count is 1, otherwise many. */
const char *plural(uint64_t count, const char *one, const char *many);

#endif
