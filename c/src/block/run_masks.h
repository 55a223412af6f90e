/* run_masks.h: how to find runs of n ones in a word.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_RUN_MASKS_H
#define SHMHEAP_RUN_MASKS_H

#include "../base/platform.h"

/* Run masks: for (i = 0; i < RUN_MASK_STEPS; i++) ones &= ones >> run_masks[n].shifts[i];
 * leaves the bits of ones that begin a run of at least n ones, 1 to 64.
 *
 *   ones        ..1111..11.1.
 *   n = 3       ..11.........
 *
 * After steps that leave runs of k, a shift by j <= k leaves runs of k + j. So six shifts are
 * enough for 64. */
enum { RUN_MASK_STEPS = 6, RUN_MASK_MAX = 64 };
struct run_mask {
    unsigned char shifts[RUN_MASK_STEPS];
};
extern const struct run_mask run_masks[RUN_MASK_MAX + 1] __attribute__((visibility("hidden")));

#endif
