/* objects.h: the objects of the program, each with a block of the heap.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SHMHEAP_RUNNER_OBJECTS_H
#define SHMHEAP_RUNNER_OBJECTS_H

#include "mirror.h"

/* Where process_is_on says 1. Each returns an object, or NULL with errno ENOMEM; object_calloc
 * zeroes it. alignment is a power of two. The first failure says on standard error why. */
void *object_alloc(size_t size);
void *object_calloc(size_t size);
void *object_aligned(size_t alignment, size_t size);

/* object_free frees an object that lies in this mirror, if it is the mirror of this process's heap.
 * Objects that a parent made before fork() stay until the process ends. A pointer that is no live
 * object ends the process, as in the C library. It keeps errno. */
void object_free(const struct mirror *mirror, void *object);

/* object_resize resizes an object in its place: 1; or 0: it cannot stay there. */
int object_resize(struct mirror *mirror, void *object, size_t size);

/* object_usable returns how many bytes the object can hold. */
size_t object_usable(const struct mirror *mirror, const void *object);

#endif
