/* escape.h: text from a heap, such as a name, made safe for a terminal, XML or HTML.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_ESCAPE_H
#define SHMHEAP_TOOL_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* escape_printable writes text to out as valid UTF-8 without control characters: a backslash, a
 * control character and a byte that is not UTF-8 become \xNN. It cuts what does not fit. room is at
 * least 1; 4 * strlen(text) + 1 suffices. Returns out. */
char *escape_printable(char *out, size_t room, const char *text);

/* escape_xml writes text, which has no control characters, with & < > " ' as entities. */
void escape_xml(FILE *file, const char *text);

#endif
