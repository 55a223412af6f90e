/* shared.h: words that other threads and processes may change: their types, loads and stores.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A shared word has a type of its own, so that only the functions below read it. A plain read, a
 * second read, or an unchecked sum does not compile. Each word is loaded once into a local copy.
 * The caller checks the copy and uses the copy: a peer may rewrite the word at any time.
 *
 * On x86-64 a volatile access suffices (as Linux' READ_ONCE): one instruction, never repeated, in
 * order with other volatile accesses, and a release or acquire by the processor's total store
 * order. Unlike the atomic builtins, it does not make gcc reload registers. ThreadSanitizer needs
 * atomics.
 *
 * LOAD_HOOK, STORE_HOOK and ACCESS_HOOK are empty, except in builds for tests (hooks.h). */
#ifndef SHMHEAP_SHARED_H
#define SHMHEAP_SHARED_H

#include <stdint.h>

#include "hooks.h"
#include "platform.h"

/* Types ------------------------------------------------------------------- */

/* SHMHEAP_PLAIN_SHARED: tests and tools read shared words plainly. */
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

/* The halves of a shared word of 8 bytes. */
typedef uint32_t __attribute__((may_alias)) shared_half;

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
#define SHARED_CHANGE(instruction, operator, word, value)                                          \
    __asm__ __volatile__(instruction " %1, %0" : "+m"(*(word)) : "er"(value) : "cc")
#else
#define SHARED_LOAD(word) (LOAD_HOOK(word), __atomic_load_n(word, __ATOMIC_RELAXED))
#define SHARED_LOAD_ACQUIRE(word) (LOAD_HOOK(word), __atomic_load_n(word, __ATOMIC_ACQUIRE))
#define SHARED_STORE(word, value) __atomic_store_n(word, value, __ATOMIC_RELAXED)
#define SHARED_STORE_RELEASE(word, value) __atomic_store_n(word, value, __ATOMIC_RELEASE)
#define SHARED_CHANGE(instruction, operator, word, value)                                          \
    SHARED_STORE_RELEASE(word, SHARED_LOAD(word) operator(value))
#endif

/* Loads ------------------------------------------------------------------- */

static inline uint64_t load_u64(const shared_u64 *word) { return SHARED_LOAD(SHARED_VALUE(word)); }
static inline uint32_t load_u32(const shared_u32 *word) { return SHARED_LOAD(SHARED_VALUE(word)); }
static inline unsigned char load_u8(const unsigned char *byte) { return SHARED_LOAD(byte); }

static inline uint64_t load_acquire(const shared_u64 *word)
{
    return SHARED_LOAD_ACQUIRE(SHARED_VALUE(word));
}

static inline uint32_t load_acquire_u32(const shared_u32 *word)
{
    return SHARED_LOAD_ACQUIRE(SHARED_VALUE(word));
}

static inline uint32_t load_lower(const shared_u64 *word)
{
    return SHARED_LOAD_ACQUIRE((const shared_half *)SHARED_VALUE(word));
}

static inline uint32_t load_upper(const shared_u64 *word)
{
    return SHARED_LOAD_ACQUIRE((const shared_half *)SHARED_VALUE(word) + 1);
}

/* words_load copies count words and loads each once, in order. */
static inline void words_load(uint64_t *to, const shared_u64 *from, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        to[i] = load_acquire(from + i);
}

/* load_hook_of runs the hook before one load of several words. */
static inline void load_hook_of(const void *words, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i += 8)
        LOAD_HOOK((const unsigned char *)words + i);
    (void)words;
}

/* Stores ------------------------------------------------------------------ */

/* A store that no other process acts upon before the publishing store that follows. */
static inline void store_u64(shared_u64 *word, uint64_t value)
{
    STORE_HOOK(word);
    SHARED_STORE(SHARED_VALUE(word), value);
}

static inline void store_u32(shared_u32 *word, uint32_t value)
{
    STORE_HOOK(word);
    SHARED_STORE(SHARED_VALUE(word), value);
}

/* The publishing store of an operation. A process that sees it sees all stores before it. */
static inline void store_publish(shared_u64 *word, uint64_t value)
{
    STORE_HOOK(word);
    SHARED_STORE_RELEASE(SHARED_VALUE(word), value);
}

static inline void store_publish_u32(shared_u32 *word, uint32_t value)
{
    STORE_HOOK(word);
    SHARED_STORE_RELEASE(SHARED_VALUE(word), value);
}

/* The same for the upper half alone. A concurrent change of the lower half stays. */
static inline void store_publish_upper(shared_u64 *word, uint32_t value)
{
    STORE_HOOK(word);
    SHARED_STORE_RELEASE((shared_half *)SHARED_VALUE(word) + 1, value);
}

/* OR, AND, ADD for a word with a single writer: one instruction on x86-64, not atomic. */
static inline void store_or(shared_u64 *word, uint64_t bits)
{
    STORE_HOOK(word);
    SHARED_CHANGE("orq", |, SHARED_VALUE(word), bits);
}

static inline void store_and(shared_u64 *word, uint64_t bits)
{
    STORE_HOOK(word);
    SHARED_CHANGE("andq", &, SHARED_VALUE(word), bits);
}

static inline void store_add(shared_u64 *word, uint64_t more)
{
    STORE_HOOK(word);
    SHARED_CHANGE("addq", +, SHARED_VALUE(word), more);
}

/* compare_exchange returns 1 when *word was expected and now is value, else 0. */
static inline int compare_exchange(shared_u64 *word, uint64_t expected, uint64_t value)
{
    STORE_HOOK(word);
    return __atomic_compare_exchange_n(SHARED_VALUE(word), &expected, value, 0, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static inline uint64_t exchange_u64(shared_u64 *word, uint64_t value)
{
    STORE_HOOK(word);
    return __atomic_exchange_n(SHARED_VALUE(word), value, __ATOMIC_ACQ_REL);
}

#endif
