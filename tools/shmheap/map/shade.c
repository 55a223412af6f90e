/* shade.c: how a terminal shows a cell of a map.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/map/shade.h"

#include <shmheap.h>

const unsigned char shade_colors[CELL_KINDS] = {240, 75,  214, 176, 80, 245, 149, 203,
                                                229, 103, 37,  173, 69, 141, 252, 131};
static const char state_letters[] = "-ushcin";
static const char owner_letters[] = "-123456789abcdo?";

const char *shade(const struct shading *shading, unsigned kind, unsigned level)
{
    static const char *const blocks[] = {"·", "░", "▒", "▓", "█"};
    static const char *const plain[] = {".", ":", "+", "*", "#"};
    static char letter[2];
    int by_process = shading->by_process;
    if (shading->utf8 && (shading->color || (!by_process && kind <= SHMHEAP_STATE_USED)))
        return blocks[level];
    if (level == 0 || shading->color || (!by_process && kind == SHMHEAP_STATE_USED))
        return plain[level];
    letter[0] = (by_process ? owner_letters : state_letters)[kind];
    if (!by_process && level >= 3)
        letter[0] = (char)(letter[0] - 'a' + 'A');
    return letter;
}
