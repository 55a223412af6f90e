/* steps.h: each function makes one operation of op.h and compares its result with the world.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FUZZ_STEPS_H
#define FUZZ_STEPS_H

#include "fuzz/world/world.h"

void step_make(struct world *world, const struct op *op);
void step_free(struct world *world, const struct op *op);
void step_realloc(struct world *world, const struct op *op);
void step_handle(struct world *world, const struct op *op);
void step_send(struct world *world, const struct op *op);
void step_labelled(struct world *world, const struct op *op);
void step_stale_free(struct world *world, const struct op *op);
void step_alloc_many(struct world *world, const struct op *op);
void step_free_many(struct world *world, const struct op *op);
void step_named(struct world *world, const struct op *op);
void step_unname(struct world *world, const struct op *op);
void step_reap(struct world *world, const struct op *op);
void step_reconnect(struct world *world, const struct op *op);
void step_inspect(struct world *world, const struct op *op);

#endif
