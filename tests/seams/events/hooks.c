/* Something happens before the n-th store to the shared memory: a death or a stop inside a call.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "tests/seams/events/events.h"

enum { CALLS_MOST = 100000 };

/* The library is built so that it calls this before each store. */
extern void (*shmheap_store_hook)(void);
void (*shmheap_store_hook)(void);

static uint64_t stores_left;
static void (*hook_run)(void);
static pthread_t hook_thread;

static void hook(void)
{
    if (stores_left == 0 || !pthread_equal(hook_thread, pthread_self()) || --stores_left > 0)
        return;
    shmheap_store_hook = NULL;
    hook_run();
}

void hook_set(uint64_t stores, void (*run)(void))
{
    hook_thread = pthread_self();
    hook_run = run;
    stores_left = stores;
    shmheap_store_hook = hook;
}

void hook_clear(void)
{
    shmheap_store_hook = NULL;
    stores_left = 0;
}

long act_until_hook(uint64_t unused)
{
    (void)unused;
    for (unsigned i = 0; i < CALLS_MOST && stores_left > 0; i++) {
        object_make((enum kind)(i % KINDS), object_len());
        act_churn(4);
    }
    EXPECT(stores_left == 0, "calls that change the heap are expected to store something");
    return 0;
}
