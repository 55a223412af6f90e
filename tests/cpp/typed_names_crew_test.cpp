// Several processes and threads construct, find and destroy objects of one name, and die meanwhile.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

#include <atomic>
#include <stdexcept>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using shmheap::heap;

namespace
{

struct point {
    long x, y;
    point(long a, long b) : x(a), y(b) {}
};

// Shared by processes: what happened in constructors.
struct record {
    std::atomic<int> constructed, pids, calls, calls_wanted;
    struct test_barrier barrier;
};
record *log_of_all;

struct slow {
    std::atomic<int> complete;
    pid_t maker;
    slow() : complete(0), maker(getpid())
    {
        log_of_all->constructed++;
        for (int i = 0; i < 100; i++)
            sched_yield();
        complete = 1;
    }
};

enum { ROUNDS = 50, CREW = 6 };
std::string crew_name;

void one_of_crew(void *)
{
    heap in = heap::open(crew_name);
    for (int i = 0; i < ROUNDS; i++) {
        test_barrier_wait(&log_of_all->barrier);
        slow *object = in.find_or_construct<slow>("round " + std::to_string(i))();
        CHECK(object->complete == 1);
        test_barrier_wait(&log_of_all->barrier);
        CHECK_EQ(log_of_all->constructed, i + 1);
    }
}

void *one_of_threads(void *argument)
{
    const heap &in = *static_cast<heap *>(argument);
    for (int i = 0; i < ROUNDS; i++) {
        test_barrier_wait(&log_of_all->barrier);
        CHECK(in.find_or_construct<slow>("round " + std::to_string(i))()->complete == 1);
        test_barrier_wait(&log_of_all->barrier);
        CHECK_EQ(log_of_all->constructed, i + 1);
    }
    return nullptr;
}

void log_begin()
{
    log_of_all = static_cast<record *>(test_shared(sizeof(record)));
    test_barrier_begin(&log_of_all->barrier, CREW);
    crew_name = test_name();
}

void one_process_constructs_the_others_wait()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    pid_t pids[CREW];
    for (pid_t &pid : pids)
        pid = test_fork(one_of_crew, nullptr);
    for (pid_t pid : pids)
        test_join(pid);
    CHECK(log_of_all->constructed == ROUNDS && in.check().rule == 0);
}

void one_thread_constructs_the_others_wait()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    test_threads(CREW, one_of_threads, &in);
    CHECK_EQ(log_of_all->constructed, ROUNDS);
}

// The first to come announces itself and never comes back from its constructor.
struct mortal {
    long value;
    explicit mortal(int announce)
    {
        log_of_all->constructed++;
        if (announce >= 0) {
            CHECK(write(announce, "", 1) == 1);
            for (;;)
                pause();
        }
        value = 42;
    }
};

void the_next_one_constructs_after_a_death()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    in.construct<int>("first")(0);
    usage before(in);
    int announced[2];
    CHECK(pipe(announced) == 0);
    pid_t victim = test_fork(
        [](void *fd) {
            heap::open(crew_name).find_or_construct<mortal>("m")(*static_cast<int *>(fd));
        },
        &announced[1]);
    char byte;
    CHECK(read(announced[0], &byte, 1) == 1);
    CHECK(in.find<mortal>("m") == nullptr); // incomplete objects are not found
    pid_t waiters[4];
    for (pid_t &pid : waiters)
        pid = test_fork(
            [](void *) {
                log_of_all->pids++;
                CHECK_EQ(heap::open(crew_name).find_or_construct<mortal>("m")(-1)->value, 42);
            },
            nullptr);
    while (log_of_all->pids != 4)
        sched_yield();
    CHECK_EQ(log_of_all->constructed, 1); // they wait as long as it lives
    test_kill(victim);
    for (pid_t pid : waiters)
        test_join(pid);
    CHECK(log_of_all->constructed == 2 && in.find<mortal>("m")->value == 42);
    CHECK(in.destroy<mortal>("m"));
    in.reap(); // the victim's memory for it
    // The waiters left in order with a use each, which may keep the empty name: three blocks, but
    // no object.
    CHECK_LE(in.stat().used_blocks, before.blocks + 3);
    CHECK(in.find<mortal>("m") == nullptr && in.check().rule == 0);
    close(announced[0]);
    close(announced[1]);
}

// Its process forks while it is being constructed, under the lock of its name: the child lives on.
struct forking {
    int value;
    explicit forking(int fd)
    {
        pid_t child = fd >= 0 ? fork() : 0;
        if (fd >= 0 && child == 0)
            for (;;)
                pause();
        CHECK(fd < 0 || write(fd, &child, sizeof child) == sizeof child);
        while (fd >= 0)
            pause();
        value = 43;
    }
};

void a_child_does_not_keep_its_dead_parents_lock()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    int announced[2];
    CHECK(pipe(announced) == 0);
    pid_t victim = test_fork(
        [](void *fd) {
            heap own = heap::open(crew_name);
            own.construct<point>("p")(1, 2); // its lock's file is kept for the next lock
            own.find_or_construct<forking>("f")(*static_cast<int *>(fd));
        },
        &announced[1]);
    pid_t child;
    CHECK(read(announced[0], &child, sizeof child) == sizeof child);
    test_kill(victim);
    CHECK_EQ(in.find_or_construct<forking>("f")(-1)->value, 43); // and not ETIMEDOUT after 30 s
    CHECK(in.destroy<forking>("f") && in.find<point>("p")->x == 1 && in.destroy<point>("p"));
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(in.check().rule == 0);
    close(announced[0]);
    close(announced[1]);
}

// Killed anywhere, again and again: the next process finds no object or a whole one.
struct chained {
    long values[64];
    explicit chained(long seed)
    {
        for (long &value : values)
            value = seed++;
    }
};

void constructs_and_destroys(void *announce)
{
    struct test_random random = test_random_begin(static_cast<uint64_t>(getpid()));
    heap in = heap::open(crew_name);
    for (;;) {
        std::string name = "c" + std::to_string(test_random_below(&random, 4));
        if (test_random_below(&random, 3) == 0)
            in.destroy<chained>(name);
        else
            in.find_or_construct<chained>(name)(
                static_cast<long>(test_random_below(&random, 1000)));
        if (++log_of_all->calls == log_of_all->calls_wanted)
            CHECK(write(*static_cast<int *>(announce), "", 1) == 1);
    }
}

void deaths_anywhere_leave_whole_objects()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    struct test_random random = test_random_begin(7);
    int announced[2];
    CHECK(pipe(announced) == 0);
    for (size_t round = 0; round < test_rounds(200); round++) {
        log_of_all->calls = 0;
        log_of_all->calls_wanted = static_cast<int>(1 + test_random_below(&random, 40));
        pid_t victims[2] = {test_fork(constructs_and_destroys, &announced[1]),
                            test_fork(constructs_and_destroys, &announced[1])};
        char byte;
        CHECK(read(announced[0], &byte, 1) == 1);
        for (pid_t pid : victims)
            test_kill(pid);
        for (int i = 0; i < 4; i++) {
            chained *object = in.find_or_construct<chained>("c" + std::to_string(i))(5);
            for (int k = 0; k < 64; k++)
                CHECK_EQ(object->values[k], object->values[0] + k);
            CHECK(in.destroy<chained>("c" + std::to_string(i)));
        }
        CHECK(in.reap() >= 0 && in.check().rule == 0);
    }
    close(announced[0]);
    close(announced[1]);
}

// While it comes and goes, and its name with it, an object is found or not, and nothing else.
void finding_what_comes_and_goes()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    pid_t pid = test_fork(
        [](void *) {
            heap other = heap::open(crew_name);
            while (log_of_all->pids == 0) {
                other.construct<chained>("c")(1);
                other.destroy<chained>("c");
                log_of_all->constructed++;
            }
        },
        nullptr);
    std::error_code error;
    size_t there = 0, gone = 0, limit = test_rounds(20000);
    for (size_t i = 0; i < limit || log_of_all->constructed < 100; i++) {
        ++(in.find<chained>("c", error) != nullptr ? there : gone);
        CHECK_EQ(error.value(), 0);
    }
    log_of_all->pids = 1;
    test_join(pid);
    printf("found %zu times, %zu times not\n", there, gone);
    CHECK(in.find<chained>("c") == nullptr && in.check().rule == 0);
}
const struct test tests[] = {
    TEST(one_process_constructs_the_others_wait),
    TEST(one_thread_constructs_the_others_wait),
    TEST(the_next_one_constructs_after_a_death),
    TEST(deaths_anywhere_leave_whole_objects),
    TEST(finding_what_comes_and_goes),
    TEST(a_child_does_not_keep_its_dead_parents_lock),
};

} // namespace

TEST_MAIN(tests)
