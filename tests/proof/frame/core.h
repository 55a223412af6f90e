/* core.h: the C library's headers for the core's sources, which a file of proofs includes.
 *
 * The proofs are about the variant for processors without vector instructions: CBMC knows neither
 * these nor x86-64's assembly. The C library's headers come first, since they need to know the
 * processor.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef PROOF_CORE_H
#define PROOF_CORE_H

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#undef __x86_64__
#undef __SSE2__

#pragma GCC diagnostic ignored "-Wunused-function"

/* CBMC gives an address to weak variables, too. Of the hooks of c/src/base/hooks.h only that of the
 * stores has a function, in scene.h. */
void (*shmheap_load_hook)(const void *word);
void (*shmheap_access_hook)(const void *word, int stores);

/* The core selects pointers as numbers, by exclusive or: CBMC would lose what they point to.
 * block.c proves that both functions do the same. */
#define select_u64 select_u64_of_core
#include "c/src/base/platform.h"
#undef select_u64
static inline uint64_t select_u64(uint64_t condition, uint64_t yes, uint64_t no)
{
    return condition != 0 ? yes : no;
}

/* Eight numbers of the free list move by one memcpy: word by word is less work for CBMC. */
static inline void copy_words(void *to, const void *from, size_t len)
{
    for (size_t i = 0; i < len / sizeof(uint32_t); i++)
        ((uint32_t *)to)[i] = ((const uint32_t *)from)[i];
}
#define memcpy copy_words
#include "c/src/base/vector.h"
#undef memcpy

#endif
