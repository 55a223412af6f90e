/* scene_heap.h: the heap of a scene, as scene.h draws it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_SCENE_HEAP_H
#define TESTS_CRASH_SCENE_HEAP_H

#include "tests/crash/scene/scene.h"
#include "c/src/base/layout.h"

int is_free_object(unsigned i);

void scene_build(struct scene *scene);

void scene_clear(struct scene *scene);

void child_prepares(void *context);

void child_operates(void *context);

#endif
