/* prometheus.h: figures of heaps in the text format of Prometheus.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PROMETHEUS_H
#define SHMHEAP_TOOL_PROMETHEUS_H

#include <stdio.h>

#include "tools/shmheap/live/live.h"

/* prometheus_write writes the last sample. The caller checks ferror(). */
void prometheus_write(FILE *file, const struct live *live);

#endif
