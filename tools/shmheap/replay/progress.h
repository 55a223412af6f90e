/* progress.h: the progress of a replay on standard error: a bar on a terminal, otherwise lines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PROGRESS_H
#define SHMHEAP_TOOL_PROGRESS_H

#include "tools/shmheap/worker/plan.h"

void progress_draw(const struct plan *plan, uint64_t calls, unsigned alive, uint64_t ns);
void progress_end(const struct plan *plan);

/* progress_note prints a line above the bar. */
void progress_note(const struct plan *plan, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
