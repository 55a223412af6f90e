/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/misuse/victim/victim.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "c/src/segment/connection.h"

enum { ROUND_SECONDS = 60, KEPT = 16 };

void victim_run(struct victim *victim, void (*run)(void *), void *context)
{
    test_tolerate_crashes(1);
    pid_t pid = test_fork(run, context);
    int status = test_wait(pid);
    test_tolerate_crashes(0);
    if (WIFSIGNALED(status))
        fprintf(stderr, "the victim was ended by signal %d (%s)\n", WTERMSIG(status),
                WTERMSIG(status) == SIGALRM ? "an endless loop" : strsignal(WTERMSIG(status)));
    if (status != 0)
        test_fail(__FILE__, __LINE__,
                  "round %llu, in %s, after %s; the seed was printed at the start",
                  (unsigned long long)victim->round, victim->call, victim->damage);
}

void victim_round(struct victim *victim, uint64_t round, const char *format, ...)
{
    va_list arguments;
    victim->round = round;
    va_start(arguments, format);
    vsnprintf(victim->damage, sizeof victim->damage, format, arguments);
    va_end(arguments);
    alarm(ROUND_SECONDS);
}

/* struct calls is private: what the calls of a round share. */
struct calls {
    struct victim *victim;
    shmheap_memory_handle mem;
    struct test_random *random;
    char *region;
    uint64_t region_most; /* the bytes that the mapping has for the region, at most */
    void *kept[KEPT];
    uint64_t visits;
};

static void note(struct calls *calls, const char *name)
{
    snprintf(calls->victim->call, sizeof calls->victim->call, "%s", name);
}

/* All of an object is inside the heap, and can be written. */
static void check_object(struct calls *calls, char *ptr, size_t len)
{
    ++*(ptr ? &calls->victim->accepted : &calls->victim->refused);
    if (!ptr)
        return;
    CHECK(ptr >= calls->region && len <= calls->region_most);
    CHECK_LE((uint64_t)(ptr - calls->region) + len, calls->region_most);
    memset(ptr, (int)test_random_next(calls->random), len);
    calls->kept[test_random_below(calls->random, KEPT)] = ptr;
}

static size_t some_len(struct calls *calls)
{
    uint64_t bits = test_random_next(calls->random);
    return bits % 8 ? bits >> 8 & 0x1ff : bits >> (bits >> 4 & 63);
}

/* One that came from the heap, one nearby, or any. */
static void *some_pointer(struct calls *calls)
{
    uint64_t choice = test_random_below(calls->random, 10);
    if (choice < 8)
        return calls->kept[test_random_below(calls->random, KEPT)];
    if (choice == 8)
        return calls->region + test_random_below(calls->random, calls->region_most);
    return (void *)(uintptr_t)test_random_next(calls->random);
}

static void call_alloc(struct calls *calls)
{
    size_t len = some_len(calls);
    note(calls, "alloc");
    check_object(calls, shmheap_alloc(calls->mem, len), len);
}

static void call_calloc(struct calls *calls)
{
    size_t len = some_len(calls);
    note(calls, "calloc");
    check_object(calls, shmheap_calloc(calls->mem, 1, len), len);
}

static void call_aligned(struct calls *calls)
{
    size_t len = some_len(calls);
    note(calls, "aligned_alloc");
    check_object(
        calls,
        shmheap_aligned_alloc(calls->mem, (size_t)1 << test_random_below(calls->random, 13), len),
        len);
}

static void call_realloc(struct calls *calls)
{
    size_t len = some_len(calls);
    note(calls, "realloc");
    check_object(calls, shmheap_realloc(calls->mem, some_pointer(calls), len), len);
}

static void call_free(struct calls *calls)
{
    note(calls, "free");
    ++*(shmheap_try_free(calls->mem, some_pointer(calls)) == 0 ? &calls->victim->accepted
                                                               : &calls->victim->refused);
}

static void call_handles(struct calls *calls)
{
    note(calls, "ptr_to_handle");
    shmheap_object_handle handle = shmheap_ptr_to_handle(calls->mem, some_pointer(calls));
    handle.bits ^= test_random_below(calls->random, 2) << test_random_below(calls->random, 64);
    note(calls, "handle_to_ptr");
    char *ptr = shmheap_handle_to_ptr(calls->mem, handle);
    CHECK(!ptr || (ptr >= calls->region && ptr < calls->region + calls->region_most));
}

static void call_usable_size(struct calls *calls)
{
    note(calls, "usable_size");
    char *ptr = some_pointer(calls);
    size_t len = shmheap_usable_size(calls->mem, ptr);
    CHECK(len == 0 || (uint64_t)(ptr - calls->region) + len <= calls->region_most);
}

static int count_visit(const shmheap_block_info *block, void *context)
{
    struct calls *calls = context;
    CHECK(block->offset + block->len <= calls->region_most);
    CHECK(block->slot <= 1023);
    return ++calls->visits > calls->region_most ? -5 : 0;
}

static int see_process(const shmheap_process_info *process, void *context)
{
    (void)context;
    CHECK(memchr(process->name, 0, sizeof process->name) != NULL);
    return 0;
}

static const char *some_name(struct calls *calls)
{
    static const char *const names[] = {
        "a", "b", "a name that is longer than the others, so that its record is", "d", ""};
    return names[test_random_below(calls->random, sizeof names / sizeof *names)];
}

static void call_named(struct calls *calls)
{
    size_t len = some_len(calls), found = 0;
    note(calls, "alloc_named");
    check_object(calls, shmheap_alloc_named(calls->mem, some_name(calls), len), len);
    note(calls, "alloc_kept");
    if (test_random_below(calls->random, 4) == 0)
        check_object(calls, shmheap_alloc_kept(calls->mem, some_name(calls), len), len);
    note(calls, "name_keep");
    CHECK(shmheap_name_keep(calls->mem, some_name(calls)) <= 0);
    note(calls, "name_remove");
    if (test_random_below(calls->random, 2))
        CHECK(shmheap_name_remove(calls->mem, some_name(calls)) <= 1);
    note(calls, "find");
    char *ptr = shmheap_find(calls->mem, some_name(calls), &found);
    if (ptr)
        check_object(calls, ptr, found);
}

static void call_many(struct calls *calls)
{
    void *objects[20];
    size_t len = some_len(calls);
    note(calls, "alloc_many");
    size_t got = shmheap_alloc_many(calls->mem, len, 20, objects);
    CHECK_LE(got, 20);
    for (size_t i = 0; i < got; i++)
        check_object(calls, objects[i], len);
    note(calls, "free_many");
    if (test_random_below(calls->random, 2))
        CHECK_LE(shmheap_free_many(calls->mem, objects, got), got);
    else
        CHECK_LE(shmheap_free_many(calls->mem, calls->kept, KEPT), KEPT);
}

static void call_holding(struct calls *calls)
{
    note(calls, "send");
    shmheap_object_handle handle = shmheap_send(calls->mem, some_pointer(calls));
    note(calls, "receive");
    char *ptr = shmheap_receive(calls->mem, handle);
    CHECK(!ptr || (ptr >= calls->region && ptr < calls->region + calls->region_most));
    note(calls, "reap");
    if (test_random_below(calls->random, 8) == 0)
        CHECK(shmheap_reap(calls->mem, (unsigned)test_random_below(calls->random, 2)) >= -1);
    note(calls, "alloc_wait");
    check_object(calls,
                 shmheap_alloc_wait(calls->mem, 100, test_random_below(calls->random, 100) == 0),
                 100);
}

static int see_name(const shmheap_name_info *name, void *context)
{
    struct calls *calls = context;
    CHECK_LE(name->name_len, 255);
    CHECK_EQ(name->name[name->name_len], 0);
    return ++calls->visits > 2 * calls->region_most ? -5 : 0;
}

static void call_looks(struct calls *calls)
{
    shmheap_report report;
    shmheap_stats stats;
    calls->visits = 0;
    note(calls, "walk");
    CHECK(shmheap_walk(calls->mem, count_visit, calls) != -5);
    note(calls, "check");
    if (shmheap_check(calls->mem, &report) >= 0)
        CHECK(memchr(report.text, 0, sizeof report.text) != NULL);
    note(calls, "stat");
    shmheap_stat(calls->mem, &stats);
    note(calls, "processes");
    shmheap_processes(calls->mem, see_process, NULL);
    note(calls, "names");
    CHECK(shmheap_names(calls->mem, see_name, calls) != -5);
}

void victim_calls(struct victim *victim, shmheap_memory_handle mem, struct test_random *random,
                  unsigned count)
{
    static void (*const kinds[])(struct calls *) = {
        call_alloc,   call_alloc, call_calloc, call_aligned, call_realloc,
        call_realloc, call_free,  call_free,   call_handles, call_usable_size,
        call_looks,   call_named, call_many,   call_holding};
    struct calls calls = {.victim = victim, .mem = mem, .random = random};
    calls.region = shmheap_underlying(mem);
    calls.region_most = mem.heap->layout.max_len;
    /* A damaged lock may name a live process: do not wait half a minute for each. */
    mem.heap->lock_limit_ms = 0;
    for (size_t i = 0; i < KEPT; i++)
        calls.kept[i] = calls.region + 16 + 16 * test_random_below(random, 64);
    for (unsigned i = 0; i < count; i++) {
        errno = 0;
        kinds[test_random_below(random, sizeof kinds / sizeof *kinds)](&calls);
        if (errno == ETIMEDOUT) {
            victim->timed_out++;
            break;
        }
    }
    note(&calls, "no call");
}
