/* run_mask.h: how to find runs of ones in a word by few shifts.
 * SPDX-License-Identifier: Apache-2.0
 *
 * ones &= ones >> k once it has been done for 1, 2 ... k - 1 positions makes it 2 k: so six shifts leave the first bits of all runs
 * of up to 64. */
#ifndef SHMHEAP_RUN_MASK_H
#define SHMHEAP_RUN_MASK_H

enum { RUN_MASK_STEPS = 6, RUN_MASK_MAX = 64 };

/* run_masks[n] leaves the bits from which on there are at least n ones. Entry 0 is that of 1. */
struct run_mask {
    unsigned char shifts[RUN_MASK_STEPS];
};
extern const struct run_mask run_masks[RUN_MASK_MAX + 1] __attribute__((visibility("hidden")));

#endif
