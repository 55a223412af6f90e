/* shade.h: how a terminal shows a cell of a map: by a colour and a shade, or by a letter.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_TOOL_SHADE_H
#define SHMHEAP_TOOL_SHADE_H

#include "tools/shmheap/heaps/cells.h"

struct shading {
    int by_process; /* kinds are processes, else states */
    int color;
    int utf8;
};

/* Numbers of the 256-colour palette. They differ in lightness too, for colour-blind readers. */
extern const unsigned char shade_colors[CELL_KINDS];

/* shade is the text of a cell with this kind and level, one column wide. */
const char *shade(const struct shading *shading, unsigned kind, unsigned level);

#endif
