/* platform.h: what the compiler and the processor offer: attributes, bits, hints, clocks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_PLATFORM_H
#define SHMHEAP_PLATFORM_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "prefix.h"

#if !defined(__GNUC__) || !defined(__linux__)
#error "shmheap needs Linux, and gcc or clang"
#endif
#ifndef _GNU_SOURCE
#error "compile the C files of shmheap with -D_GNU_SOURCE"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the format is little-endian, and nothing here swaps bytes"
#endif

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define STATIC_ASSERT(condition, name)                                                             \
    typedef char static_assert_##name[(condition) ? 1 : -1] __attribute__((unused))

/* PER_THREAD follows the name of a __thread variable where it is declared and where it is defined
 * (gcc takes the last one's). A shared library then reaches the variable without a call of
 * __tls_get_addr(), which takes 20 instructions and may allocate memory. */
#define PER_THREAD __attribute__((tls_model("initial-exec")))

/* opaque_copy returns value, and hides from the compiler that it is the same. After `a == b` the
 * compiler may use either one. A caller that must not wait for the memory of `b` compares a
 * copy. */
static inline uint64_t opaque_copy(uint64_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* select_u64 returns yes where condition is not 0, else no. It never branches: compilers turn ?:
 * into a branch, which is slow where the processor cannot predict it. */
static inline uint64_t select_u64(uint64_t condition, uint64_t yes, uint64_t no)
{
#if defined(__x86_64__)
    __asm__("test %1, %1\n\tcmovne %2, %0" : "+r"(no) : "r"(condition), "r"(yes) : "cc");
    return no;
#else
    return no ^ ((yes ^ no) & opaque_copy((uint64_t) - (int64_t)(condition != 0)));
#endif
}

/* prefetch requests a cache line for a write. Any address is valid. */
static inline void prefetch(const void *place) { __builtin_prefetch(place, 1, 3); }

static inline void compiler_barrier(void) { __asm__ __volatile__("" ::: "memory"); }

static inline void spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#else
    compiler_barrier();
#endif
}

/* Positions of the lowest and the highest set bit. word is not 0. */
static inline unsigned bit_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }
static inline unsigned bit_highest(uint64_t word) { return 63u - (unsigned)__builtin_clzll(word); }

static inline uint64_t rotate_right(uint64_t word, unsigned bits)
{
    return word >> bits | word << (-bits & 63);
}

static inline uint64_t round_up(uint64_t value, uint64_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* timespec_of converts nanoseconds for the kernel. */
static inline struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
}

/* mutex_lock_within waits for the mutex at most so long: 1, or 0: another thread still has it. */
static inline int mutex_lock_within(pthread_mutex_t *mutex, uint64_t limit_ns)
{
    struct timespec limit = timespec_of(clock_ns(CLOCK_REALTIME) + limit_ns);
    return pthread_mutex_timedlock(mutex, &limit) == 0;
}

#endif
