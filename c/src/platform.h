/* platform.h: what the compiler and the machine give: atomics, bits, branch hints, clocks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_PLATFORM_H
#define SHMHEAP_PLATFORM_H

#include <stdint.h>
#include <time.h>

#if !defined(__GNUC__) || !defined(__linux__)
#error "shmheap needs Linux, and gcc or clang"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the format is little-endian, and nothing here swaps bytes"
#endif

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((cold, noinline))
#define STATIC_ASSERT(condition, name) typedef char static_assert_##name[(condition) ? 1 : -1] __attribute__((unused))

/* Shared words are read once into a local copy, which is checked and used: a peer may rewrite them at any time. */
static inline uint64_t load_u64(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint64_t load_acquire(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline uint32_t load_u32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }

/* SHMHEAP_STORE_HOOK is set in the build for tests that stop at the k-th shared store. */
#ifdef SHMHEAP_STORE_HOOK
extern void (*shmheap_store_hook)(void);
#define STORE_HOOK() (shmheap_store_hook ? shmheap_store_hook() : (void)0)
#else
#define STORE_HOOK() ((void)0)
#endif

/* A store that nobody can act upon before a publishing store that follows it. */
static inline void store_u64(uint64_t *word, uint64_t value)
{
    STORE_HOOK();
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void store_u32(uint32_t *word, uint32_t value)
{
    STORE_HOOK();
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* The publishing store of an operation: all that was stored before is seen by who sees it. */
static inline void store_publish(uint64_t *word, uint64_t value)
{
    STORE_HOOK();
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* 1 when *word was expected and now is value. */
static inline int swap_if(uint64_t *word, uint64_t expected, uint64_t value)
{
    STORE_HOOK();
    return __atomic_compare_exchange_n(word, &expected, value, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline uint64_t swap_always(uint64_t *word, uint64_t value)
{
    STORE_HOOK();
    return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
}

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

/* Positions of the lowest and the highest set bit; word is not 0. */
static inline unsigned bit_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }
static inline unsigned bit_highest(uint64_t word) { return 63u - (unsigned)__builtin_clzll(word); }

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

#endif
