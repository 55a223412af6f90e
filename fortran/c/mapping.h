/* mapping.h: the length of the memory at an address. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_MAPPING_H
#define FORTRAN_C_MAPPING_H

#include <stddef.h>

/* Returns how many bytes from address on can be read and written and belong together: private
 * memory, or one shared file. 0: none; SIZE_MAX: this machine does not tell. *shared (may be NULL)
 * is 1 if other processes see what this one writes there. */
size_t mapping_reach(const void *address, int *shared);

#endif
