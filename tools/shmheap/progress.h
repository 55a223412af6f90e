/* progress.h: how far a replay is, on standard error: a bar on a terminal, lines otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PROGRESS_H
#define SHMHEAP_TOOL_PROGRESS_H

#include "plan.h"

void progress_draw(const struct plan *plan, uint64_t calls, unsigned alive, uint64_t ns);
void progress_end(const struct plan *plan);

/* progress_note writes a line above the bar. */
void progress_note(const struct plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
