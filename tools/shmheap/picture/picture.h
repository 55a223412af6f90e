/* picture.h: pictures of a heap in files.
 *
 *   svg.c      the map, to scale, as SVG
 *   charts.c   its legend and histograms
 *   data.c     the same as JSON, for pages
 *   html.c     a page with that data; page/map.js draws the map and zooms, page/charts.js draws
 *              legend and histograms
 *   colors.c   the colours
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_PICTURE_H
#define SHMHEAP_TOOL_PICTURE_H

#include <stdio.h>

#include "tools/shmheap/map/snapshot.h"
#include "tools/shmheap/text/json.h"

enum {
    SVG_SEGMENTS = 3000,   /* at most: the file stays below 1 MiB */
    HTML_SEGMENTS = 12000, /* at most */
    PICTURE_WIDTH = 1200,
    PICTURE_MARGIN = 20
};

/* These write a whole file. The caller checks ferror(). svg_write coarsens the segments. */
void svg_write(FILE *file, const char *name, struct snapshot *snapshot);
void html_write(FILE *file, const char *name, const struct snapshot *snapshot);

json_t *snapshot_json(const struct snapshot *snapshot);

/* charts_make writes legend and histograms as parts of an SVG, from the height y on, and sets
 * *height to their end. The caller frees the text. Returns NULL without memory. */
char *charts_make(const struct snapshot *snapshot, int y, int *height);

/* styles_write writes the element <style> that the parts of an SVG need. */
void styles_write(FILE *file);

/* summary_write writes one line of figures, escaped for XML. */
void summary_write(FILE *file, const struct snapshot *snapshot);

extern const char *const state_colors[SEGMENT_STATES];
extern const char *const owner_colors[COLORS];

#endif
