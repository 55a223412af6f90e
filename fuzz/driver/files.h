/* files.h: the kept inputs in files and folders.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include <stddef.h>
#include <stdint.h>

enum { FILES_INPUT_MAX = 1 << 20 }; /* bytes of an input; a longer file is cut off */

/* files_die prints that the program cannot do what with path, and exits with status 1. */
void files_die(const char *program, const char *what, const char *path);

/* files_room returns memory of exactly len bytes, so that a sanitizer detects an access beyond its
 * end, or dies. The caller frees it. */
void *files_room(const char *program, size_t len);

/* files_each calls visit with the bytes of the file at path, or of each file in the folder at path
 * and in its folders, but hidden ones. The bytes lie in memory as from files_room, until visit
 * returns. It dies where a file cannot be read. */
void files_each(const char *program, const char *path,
                void (*visit)(const char *path, const uint8_t *bytes, size_t len));

#endif
