/* platform.h: what the compiler and the machine give: atomics, bits, branch hints, clocks.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef SHMHEAP_PLATFORM_H
#define SHMHEAP_PLATFORM_H

#include <stdint.h>
#include <time.h>

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

/* SHMHEAP_LOAD_HOOK is set in the build for tests in which a peer writes between any two loads. */
#ifdef SHMHEAP_LOAD_HOOK
extern void (*shmheap_load_hook)(const void *word);
#define LOAD_HOOK(word) (shmheap_load_hook ? shmheap_load_hook(word) : (void)0)
#else
#define LOAD_HOOK(word) ((void)0)
#endif

/* The same before a load of several words in one piece. */
static inline void load_hook_of(const void *words, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 8)
        LOAD_HOOK((const unsigned char *)words + i);
    (void)words;
}

/* Words that other processes or threads may change are of types of their own: what reads them
 * plainly, twice, or into a sum before it was checked, does not compile. Tests read them as they
 * like: they define SHMHEAP_PLAIN_SHARED. */
#ifdef SHMHEAP_PLAIN_SHARED
typedef uint64_t shared_u64;
typedef uint32_t shared_u32;
#define SHARED_VALUE(word) (word)
#else
typedef struct shared_u64 {
    uint64_t value_;
} shared_u64;
typedef struct shared_u32 {
    uint32_t value_;
} shared_u32;
#define SHARED_VALUE(word) (&(word)->value_)
#endif

/* Shared words are read once into a local copy, which is checked and used: a peer may rewrite them
 * at any time. On x86-64 a volatile access is all that the hot paths need (as Linux' READ_ONCE: one
 * instruction, never repeated, kept in order among its like, and by the processor's total store
 * order a release and an acquire); unlike the atomic builtins it does not make gcc forget what it
 * has in registers. ThreadSanitizer has to see atomics. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WATCHED_BY_TSAN 1
#endif
#endif
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(WATCHED_BY_TSAN)
#define SHARED_LOAD(word) (LOAD_HOOK(word), *(const volatile __typeof__(*(word)) *)(word))
#define SHARED_LOAD_ACQUIRE(word) SHARED_LOAD(word)
#define SHARED_STORE(word, value) ((void)(*(volatile __typeof__(*(word)) *)(word) = (value)))
#define SHARED_STORE_RELEASE(word, value) SHARED_STORE(word, value)
#else
#define SHARED_LOAD(word) (LOAD_HOOK(word), __atomic_load_n(word, __ATOMIC_RELAXED))
#define SHARED_LOAD_ACQUIRE(word) (LOAD_HOOK(word), __atomic_load_n(word, __ATOMIC_ACQUIRE))
#define SHARED_STORE(word, value) __atomic_store_n(word, value, __ATOMIC_RELAXED)
#define SHARED_STORE_RELEASE(word, value) __atomic_store_n(word, value, __ATOMIC_RELEASE)
#endif

static inline uint64_t load_u64(const shared_u64 *word) { return SHARED_LOAD(SHARED_VALUE(word)); }
static inline uint64_t load_acquire(const shared_u64 *word)
{
    return SHARED_LOAD_ACQUIRE(SHARED_VALUE(word));
}
static inline uint32_t load_acquire_u32(const shared_u32 *word)
{
    return SHARED_LOAD_ACQUIRE(SHARED_VALUE(word));
}
static inline uint32_t load_u32(const shared_u32 *word) { return SHARED_LOAD(SHARED_VALUE(word)); }
static inline unsigned char load_u8(const unsigned char *byte) { return SHARED_LOAD(byte); }

/* Copies count words, each loaded once. */
static inline void words_load(uint64_t *to, const shared_u64 *from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        to[i] = load_acquire(from + i);
}

/* SHMHEAP_HELGRIND is set in the build for that checker of threads: it knows what pthread's locks
 * order, not what ours does. */
#ifdef SHMHEAP_HELGRIND
#include <valgrind/helgrind.h>
#define ORDERS_WHAT_FOLLOWS(word) ANNOTATE_HAPPENS_BEFORE(word)
#define FOLLOWS_WHAT_WAS_ORDERED(word) ANNOTATE_HAPPENS_AFTER(word)
#else
#define ORDERS_WHAT_FOLLOWS(word) ((void)0)
#define FOLLOWS_WHAT_WAS_ORDERED(word) ((void)0)
#endif

/* SHMHEAP_STORE_HOOK is set in the build for tests that stop at the k-th shared store. */
#ifdef SHMHEAP_STORE_HOOK
extern void (*shmheap_store_hook)(void);
#define STORE_HOOK() (shmheap_store_hook ? shmheap_store_hook() : (void)0)
#else
#define STORE_HOOK() ((void)0)
#endif

/* A store that nobody can act upon before a publishing store that follows it. */
static inline void store_u64(shared_u64 *word, uint64_t value)
{
    STORE_HOOK();
    SHARED_STORE(SHARED_VALUE(word), value);
}

static inline void store_u32(shared_u32 *word, uint32_t value)
{
    STORE_HOOK();
    SHARED_STORE(SHARED_VALUE(word), value);
}

/* The same of a word that nobody else changes meanwhile: what it was with these bits set, with
 * these bits alone, and more by so much. In one instruction where there is one. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(WATCHED_BY_TSAN)
#define CHANGE_U64(instruction, operator, word, value)                                             \
    __asm__ __volatile__(instruction " %1, %0" : "+m"(*(word)) : "er"(value) : "cc")
#else
#define CHANGE_U64(instruction, operator, word, value)                                             \
    SHARED_STORE_RELEASE(word, SHARED_LOAD(word) operator(value))
#endif
static inline void store_or(shared_u64 *word, uint64_t bits)
{
    STORE_HOOK();
    CHANGE_U64("orq", |, SHARED_VALUE(word), bits);
}

static inline void store_and(shared_u64 *word, uint64_t bits)
{
    STORE_HOOK();
    CHANGE_U64("andq", &, SHARED_VALUE(word), bits);
}

static inline void store_add(shared_u64 *word, uint64_t more)
{
    STORE_HOOK();
    CHANGE_U64("addq", +, SHARED_VALUE(word), more);
}

/* The publishing store of an operation: all that was stored before is seen by who sees it. */
static inline void store_publish(shared_u64 *word, uint64_t value)
{
    STORE_HOOK();
    SHARED_STORE_RELEASE(SHARED_VALUE(word), value);
}

/* The upper half of a word of 8 bytes by itself. The lower half stays whatever it is, or becomes
 * meanwhile. */
typedef uint32_t __attribute__((may_alias)) upper_half;
static inline uint32_t load_upper(const shared_u64 *word)
{
    return SHARED_LOAD_ACQUIRE((const upper_half *)SHARED_VALUE(word) + 1);
}
static inline uint32_t load_lower(const shared_u64 *word)
{
    return SHARED_LOAD_ACQUIRE((const upper_half *)SHARED_VALUE(word));
}

static inline void store_publish_upper(shared_u64 *word, uint32_t value)
{
    STORE_HOOK();
    SHARED_STORE_RELEASE((upper_half *)SHARED_VALUE(word) + 1, value);
}

/* 1 when *word was expected and now is value. */
static inline int compare_exchange(shared_u64 *word, uint64_t expected, uint64_t value)
{
    STORE_HOOK();
    return __atomic_compare_exchange_n(SHARED_VALUE(word), &expected, value, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static inline uint64_t exchange_u64(shared_u64 *word, uint64_t value)
{
    STORE_HOOK();
    return __atomic_exchange_n(SHARED_VALUE(word), value, __ATOMIC_ACQ_REL);
}

/* The same value, but the compiler does not know that. Where two values were compared and found
 * equal it may go on with either: whoever means to go on with the one that is there, and not with
 * the one that memory still has to send, compares a copy. */
static inline uint64_t opaque_copy(uint64_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* yes where condition is not 0, else no. Without a branch, which compilers like to make of ?: where
 * nobody can predict it. */
static inline uint64_t select_u64(uint64_t condition, uint64_t yes, uint64_t no)
{
#if defined(__x86_64__)
    __asm__("test %1, %1\n\tcmovne %2, %0" : "+r"(no) : "r"(condition), "r"(yes) : "cc");
    return no;
#else
    return no ^ ((yes ^ no) & opaque_copy((uint64_t) - (int64_t)(condition != 0)));
#endif
}

/* Lines that will be written soon; any address may be given. */
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

/* Positions of the lowest and the highest set bit; word is not 0. */
static inline unsigned bit_lowest(uint64_t word) { return (unsigned)__builtin_ctzll(word); }
static inline unsigned bit_highest(uint64_t word) { return 63u - (unsigned)__builtin_clzll(word); }

/* The same of any word, 64 where none is set; and how many are above the highest. */
#if defined(INDEX_AVX2)
static inline unsigned bit_lowest_or_64(uint64_t word)
{
    return (unsigned)__builtin_ia32_tzcnt_u64(word);
}
static inline unsigned bits_above_or_64(uint64_t word)
{
    return (unsigned)__builtin_ia32_lzcnt_u64(word);
}
#else
static inline unsigned bit_lowest_or_64(uint64_t word)
{
    return word != 0 ? (unsigned)__builtin_ctzll(word) : 64u;
}
static inline unsigned bits_above_or_64(uint64_t word)
{
    return word != 0 ? (unsigned)__builtin_clzll(word) : 64u;
}
#endif

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

#endif
