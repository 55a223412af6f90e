/* colors.c: the colours of states and owners in pictures. Neighbours in a list differ in lightness,
 * too, for colour-blind readers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/picture/picture.h"

const char *const state_colors[SEGMENT_STATES] = {
    "#e4e8ec", /* free */
    "#3f8ad8", /* used */
    "#f2a33a", /* shared */
    "#b05fc4", /* sent */
    "#8fd18a", /* cached */
    "#7b828c", /* internal */
    "#0f7f6c", /* named */
};

const char *const owner_colors[COLORS] = {
    "#e15759", "#1f4e79", "#59a14f", "#edc948", "#8e4fa0", "#ff9da7",
    "#7a5230", "#4fc3c7", "#f28e2b", "#175c4c", "#9aa5b1", /* other processes */
    "#c9b79c",                                             /* departed */
    "#2b2b2b",                                             /* died */
    "#f4f6f8",                                             /* no single process */
};
