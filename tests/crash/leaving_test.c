/* A process that leaves while another looks for dead processes does not count as dead, nor does the
 * process that takes its slot: both calls are made at the kernel's answer whether the slot's holder
 * lives. Nor does a process that is killed inside exit().
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/test.h"
#include "tests/support/wrap.h"

enum { LEN = 1 << 16, OBJECT_LEN = 100, SLOT = 2, LOOK_REAP = 1, LOOK_ALLOC = 2 };

static shmheap_memory_handle reaper, leaver, newcomer;
static shmheap_object_handle sent;
static int looks_to_go; /* until something happens; 0: nothing will */
static int a_process_comes;
static char *received;

static int leave_at_look(int fd, int command, void *argument)
{
    if (looks_to_go == 0 || command != F_OFD_GETLK ||
        ((const struct flock *)argument)->l_start != SLOT || --looks_to_go != 0)
        return wrap_fcntl_real(fd, command, argument);
    shmheap_disconnect(leaver);
    int result = wrap_fcntl_real(fd, command, argument);
    if (a_process_comes) {
        newcomer = test_connect_again(reaper, 0);
        received = shmheap_receive(newcomer, sent);
        CHECK(received != NULL);
        test_fill(received, OBJECT_LEN, 1);
    }
    return result;
}

/* Two connections, and an object in transit. */
static void begin(int looks, int comes)
{
    shmheap_options options = {.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS | SHMHEAP_REAP,
                               .len = LEN};
    CHECK_EQ(shmheap_open(&reaper, NULL, &options), 0);
    leaver = test_connect_again(reaper, 0);
    sent = shmheap_send(reaper, shmheap_alloc(reaper, OBJECT_LEN));
    CHECK(sent.bits != 0);
    looks_to_go = looks;
    wrap_fcntl = leave_at_look;
    a_process_comes = comes;
}

static void dies(void *context)
{
    CHECK(context == NULL);
    int looks = looks_to_go;
    looks_to_go = 0;
    CHECK(shmheap_alloc(reaper, OBJECT_LEN) != NULL);
    looks_to_go = looks;
    CHECK(raise(SIGKILL) == 0);
}

/* The first look of the reaper's: it reaps. Or the second one: an alloc that fails finds a process
 * dead, which came after the one that will leave, and then reaps. */
static void look(int looks, unsigned flags)
{
    if (looks == LOOK_REAP) {
        CHECK_EQ(shmheap_reap(reaper, flags), 0);
        return;
    }
    int status = test_wait(test_fork(dies, NULL));
    CHECK(WIFSIGNALED(status));
    CHECK_REFUSED(shmheap_alloc(reaper, LEN - 64) == NULL, ENOMEM);
}

static void end(void)
{
    CHECK_SOUND(reaper);
    shmheap_disconnect(reaper);
}

static void what_is_left_in_order_stays(void)
{
    for (int looks = LOOK_REAP; looks <= LOOK_ALLOC; looks++) {
        begin(looks, 0);
        shmheap_object_handle left =
            shmheap_ptr_to_handle(leaver, shmheap_alloc(leaver, OBJECT_LEN));
        CHECK(left.bits != 0);
        look(looks, SHMHEAP_REAP_SHARED);
        CHECK_EQ(looks_to_go, 0);
        CHECK_EQ(shmheap_reap(reaper, SHMHEAP_REAP_SHARED), 0);
        CHECK(shmheap_handle_to_ptr(reaper, left) != NULL);
        end();
    }
}

static void a_newcomer_keeps_what_it_received(void)
{
    for (int looks = LOOK_REAP; looks <= LOOK_ALLOC; looks++) {
        begin(looks, 1);
        look(looks, 0);
        CHECK_EQ(looks_to_go, 0);
        CHECK_SOUND(reaper);
        CHECK_EQ(shmheap_reap(reaper, 0), 0);
        CHECK(test_filled(received, OBJECT_LEN, 1));
        CHECK_EQ(shmheap_try_free(newcomer, received), 0);
        shmheap_disconnect(newcomer);
        end();
    }
}

/* Inside exit() the first store announces that the process leaves; then the caches are given back.
 * After a death from then on, what the process shared stays. */
enum { CACHED_OBJECTS = 10 };

void (*shmheap_store_hook)(void);

/* struct ending is shared. */
struct ending {
    shmheap_memory_handle mem;
    uint64_t stores; /* before the death */
    shmheap_object_handle left;
};

static uint64_t stores_left;

static void die_at_store(void)
{
    if (stores_left-- == 0)
        kill(getpid(), SIGKILL);
}

static void exit_and_die(void *context)
{
    struct ending *ending = context;
    shmheap_memory_handle mem = test_connect_again(ending->mem, SHMHEAP_CACHED);
    void *ptrs[CACHED_OBJECTS];
    ending->left = shmheap_ptr_to_handle(mem, shmheap_alloc(mem, OBJECT_LEN));
    for (unsigned i = 0; i < CACHED_OBJECTS; i++)
        CHECK((ptrs[i] = shmheap_alloc(mem, OBJECT_LEN)) != NULL);
    for (unsigned i = 0; i < CACHED_OBJECTS; i++)
        CHECK_EQ(shmheap_try_free(mem, ptrs[i]), 0);
    CHECK(test_cached(mem).blocks > 0);
    stores_left = ending->stores;
    shmheap_store_hook = die_at_store;
    exit(0);
}

static void a_death_inside_exit_is_a_departure(void)
{
    struct ending *ending = test_shared(sizeof *ending);
    for (int status = -1; status != 0; ending->stores++) {
        ending->mem = test_anonymous(1 << 17, 0, 0);
        status = test_wait(test_fork(exit_and_die, ending));
        CHECK(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
        int announced = ending->stores > 0;
        CHECK_EQ(test_stat(ending->mem).dead, !announced);
        CHECK_LE(0, shmheap_reap(ending->mem, SHMHEAP_REAP_SHARED));
        CHECK_EQ(shmheap_handle_to_ptr(ending->mem, ending->left) != NULL, announced);
        CHECK_EQ(test_cached(ending->mem).blocks, 0);
        CHECK_SOUND(ending->mem);
        shmheap_disconnect(ending->mem);
    }
    CHECK(ending->stores > CACHED_OBJECTS); /* deaths amid the return of the cached blocks, too */
    printf("  %llu deaths\n", (unsigned long long)ending->stores - 1);
    test_unshare(ending, sizeof *ending);
}

static const struct test tests[] = {
    TEST(what_is_left_in_order_stays),
    TEST(a_newcomer_keeps_what_it_received),
    TEST(a_death_inside_exit_is_a_departure),
};

TEST_MAIN(tests)
