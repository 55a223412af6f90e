/* mapping.h: how far memory reaches. SPDX-License-Identifier: Apache-2.0 */
#ifndef FORTRAN_C_MAPPING_H
#define FORTRAN_C_MAPPING_H

#include <stddef.h>

/* How many bytes from address on can be read and written and belong together: private memory, or
 * one shared file. 0: none; SIZE_MAX: this machine does not tell. *shared (may be NULL): 1 if what
 * is written there is seen by other processes. */
size_t mapping_reach(const void *address, int *shared);

#endif
