/* hooks.h: what builds for tests run at each load and each store of a shared word.
 * SPDX-License-Identifier: Apache-2.0
 *
 * In the library these macros are empty. */
#ifndef SHMHEAP_HOOKS_H
#define SHMHEAP_HOOKS_H

#include <stddef.h>

/* SHMHEAP_HOOKS: functions of a test run before each load and each store. The test defines the
 * pointers that it uses.
 *   shmheap_load_hook    before each load: the test is a peer that writes then.
 *   shmheap_store_hook   before each store: the test may stop the process there.
 *   shmheap_access_hook  before both: the test decides which process goes on. ACCESS_HOOK stands
 *                        before stores that have no other hook. */
#ifdef SHMHEAP_HOOKS
extern void (*shmheap_load_hook)(const void *word) __attribute__((weak));
extern void (*shmheap_store_hook)(void) __attribute__((weak));
extern void (*shmheap_access_hook)(const void *word, int stores) __attribute__((weak));
/* A weak pointer that the test does not define has no address. */
#define HAS_HOOK(hook) (&(hook) != NULL && (hook) != NULL)
/* Functions: an expression would give each load some more edges, which a fuzzer counts. */
#ifdef __clang__
#define HOOK_CALLER static __attribute__((noinline, unused, no_sanitize("coverage"))) void
#else
#define HOOK_CALLER static __attribute__((noinline, unused)) void
#endif
HOOK_CALLER access_hook_call(const void *word, int stores)
{
    if (HAS_HOOK(shmheap_access_hook))
        shmheap_access_hook(word, stores);
}
HOOK_CALLER load_hook_call(const void *word)
{
    if (HAS_HOOK(shmheap_load_hook))
        shmheap_load_hook(word);
    access_hook_call(word, 0);
}
HOOK_CALLER store_hook_call(const void *word)
{
    if (HAS_HOOK(shmheap_store_hook))
        shmheap_store_hook();
    access_hook_call(word, 1);
}
#define ACCESS_HOOK(word) access_hook_call(word, 1)
#define LOAD_HOOK(word) load_hook_call(word)
#define STORE_HOOK(word) store_hook_call(word)
#else
#define ACCESS_HOOK(word) ((void)0)
#define LOAD_HOOK(word) ((void)0)
#define STORE_HOOK(word) ((void)0)
#endif

/* SHMHEAP_HELGRIND: valgrind's checker of threads knows the order that pthread's locks give. These
 * tell it the order that the heap's lock gives: what comes before HAPPENS_BEFORE in one thread
 * happens before what comes after HAPPENS_AFTER in the next owner. */
#ifdef SHMHEAP_HELGRIND
#include <valgrind/helgrind.h>
#define HAPPENS_BEFORE(word) ANNOTATE_HAPPENS_BEFORE(word)
#define HAPPENS_AFTER(word) ANNOTATE_HAPPENS_AFTER(word)
#else
#define HAPPENS_BEFORE(word) ((void)0)
#define HAPPENS_AFTER(word) ((void)0)
#endif

#endif
