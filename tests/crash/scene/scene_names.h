/* scene_names.h: a scene whose heap has the name "it".
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CRASH_SCENE_NAMES_H
#define TESTS_CRASH_SCENE_NAMES_H

#include "tests/crash/scene/scene.h"

enum {
    KEPT_LEN = 300,
    IT_LEN = 100,
    NAMES_IN_TABLE = 32,
    USERS_IN_RECORD = 4,
    LEN = 1 << 16,
    MARK = 78
};

/* Makes the name "kept", of KEPT_LEN bytes. */
void make_kept(struct scene *scene);

/* Uses the name "it", of IT_LEN bytes, and makes it if it is not there. */
void *use(struct scene *scene);

/* The survivor uses the name, and its bytes are among the scene's contents. */
void make_it(struct scene *scene);

void use_and_die(void *context);
void child_uses(struct scene *scene);
void free_named(struct scene *scene);
void reap(struct scene *scene);

void check_kept(const struct scene *scene);
/* How many users the names have. */
uint64_t users(const struct scene *scene);
/* Only dead processes used the name: reaping removed it. */
void check_gone(struct scene *scene, unsigned stage);

#endif
