/* arena.c: the memory of the heaps.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/world/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "fuzz/driver/kernel.h"

enum { PAGE = 4096 };

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define POISON(at, len) __asan_poison_memory_region(at, len)
#define UNPOISON(at, len) __asan_unpoison_memory_region(at, len)
#endif
#endif
#ifndef POISON
#define POISON(at, len) ((void)(at), (void)(len))
#define UNPOISON(at, len) ((void)(at), (void)(len))
#endif

/* Replaces the kernel's random numbers, so that an input has the same effect each time: the core
 * hashes names with random ids. */
ssize_t getrandom(void *bytes, size_t len, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < len; i++)
        ((unsigned char *)bytes)[i] = (unsigned char)(0x5b + 29 * i);
    return (ssize_t)len;
}

static unsigned char *sides[2];
static size_t in_bounds[2];

static unsigned char *map_guarded(int fd)
{
    unsigned char *all = mmap(NULL, ARENA_LEN + 2 * PAGE, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED || mmap(all + PAGE, ARENA_LEN, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        perror("fuzz: cannot map memory for heaps");
        exit(1);
    }
    return all + PAGE;
}

static void arena_begin(void)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, ARENA_LEN) != 0) {
        perror("fuzz: cannot create a memory file");
        exit(1);
    }
    sides[0] = map_guarded(fd);
    sides[1] = map_guarded(fd);
    for (unsigned side = 0; side < 2; side++)
        kernel_mapped(side, sides[side], ARENA_LEN);
    close(fd);
}

void *arena_memory(unsigned side, size_t bytes)
{
    if (!sides[0])
        arena_begin();
    unsigned char *memory = sides[side] + ARENA_LEN - bytes;
    if (bytes != in_bounds[side]) {
        POISON(sides[side], ARENA_LEN - bytes);
        UNPOISON(memory, bytes);
        in_bounds[side] = bytes;
    }
    return memory;
}

size_t arena_bytes_for(size_t max_len) { return (max_len + max_len / 8 + 2 * PAGE) / PAGE * PAGE; }
