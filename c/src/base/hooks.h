/* hooks.h: what builds for tests run at each load and each store of a shared word.
 * SPDX-License-Identifier: Apache-2.0
 *
 * In the library these macros are empty. */
#ifndef SHMHEAP_HOOKS_H
#define SHMHEAP_HOOKS_H

/* SHMHEAP_LOAD_HOOK: the test's function runs before each load, as a peer that writes then. */
#ifdef SHMHEAP_LOAD_HOOK
extern void (*shmheap_load_hook)(const void *word);
#define LOAD_HOOK(word) (shmheap_load_hook ? shmheap_load_hook(word) : (void)0)
#else
#define LOAD_HOOK(word) ((void)0)
#endif

/* SHMHEAP_STORE_HOOK: the test's function runs before each store, and may stop the process
 * there. */
#ifdef SHMHEAP_STORE_HOOK
extern void (*shmheap_store_hook)(void);
#define STORE_HOOK(word) (shmheap_store_hook ? shmheap_store_hook() : (void)0)
#else
#define STORE_HOOK(word) ((void)0)
#endif

/* SHMHEAP_ACCESS_HOOK: the test's function runs before each load and each store, and decides which
 * process goes on. ACCESS_HOOK stands before stores that have no other hook. */
#ifdef SHMHEAP_ACCESS_HOOK
extern void (*shmheap_access_hook)(const void *word, int stores);
#define ACCESS_HOOK(word) (shmheap_access_hook ? shmheap_access_hook(word, 1) : (void)0)
#undef LOAD_HOOK
#define LOAD_HOOK(word) (shmheap_access_hook ? shmheap_access_hook(word, 0) : (void)0)
#undef STORE_HOOK
#define STORE_HOOK(word) ACCESS_HOOK(word)
#else
#define ACCESS_HOOK(word) ((void)0)
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
