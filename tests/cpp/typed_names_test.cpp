// construct, find_or_construct, find, destroy: in one process, from several at once, and where constructors die.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

#include <atomic>
#include <memory>
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

void finds_what_was_constructed()
{
    heap in = heap::anonymous(options_of(1 << 18)), other = heap::from_fd(in.fd());
    std::error_code error;
    CHECK(in.find<point>("p") == nullptr && in.find<point>("p", error) == nullptr && !error);
    point *made = in.construct<point>("p")(3, 4);
    CHECK(made->x == 3 && made->y == 4 && in.find<point>("p") == made);
    CHECK(in.find_or_construct<point>("p")(5, 6) == made && made->x == 3);
    CHECK(other.find<point>("p")->y == 4 &&
          other.find_or_construct<point>("p", error)(0, 0)->x == 3 && !error);
    CHECK_THROWS(in.construct<point>("p")(1, 1), EEXIST);
    CHECK(other.construct<point>("p", error)(1, 1) == nullptr && error == std::errc::file_exists);
    CHECK(other.destroy<point>("p") && !in.destroy<point>("p") && in.find<point>("p") == nullptr);
    CHECK(in.find_or_construct<point>("p")(7, 8)->x == 7 && other.find<point>("p")->x == 7);
    CHECK(in.destroy<point>("p", error) && !error && !other.destroy<point>("p", error) && !error);
    CHECK(in.check().rule == 0);
}

void another_size_is_an_error()
{
    heap in = heap::anonymous(options_of(1 << 18));
    std::error_code error;
    in.construct<int>("n")(5);
    usage before(in);
    CHECK_THROWS(in.find<long>("n"), EINVAL);
    CHECK_THROWS(in.find_or_construct<short>("n")(), EINVAL);
    CHECK_THROWS(in.construct<char>("n")(), EINVAL);
    CHECK_THROWS(in.destroy<long>("n"), EINVAL);
    struct alignas(16) wide_int {
        int n;
        char rest[12];
    };
    struct packed_int {
        char n[16];
    };
    in.construct<packed_int>("w")();
    CHECK_THROWS(in.find<wide_int>("w"), EINVAL);
    CHECK(in.find<long>("n", error) == nullptr && error == std::errc::invalid_argument);
    CHECK(*in.find<int>("n") == 5);
    CHECK(in.destroy<packed_int>("w") && usage(in) == before);
    // What C programs allocated under a name is no typed object.
    CHECK(shmheap_alloc_named(in.c_handle(), "raw", 100) != nullptr);
    CHECK_THROWS(in.find<point>("raw"), EINVAL);
    CHECK_THROWS(in.construct<point>("raw")(1, 2), EINVAL);
    CHECK(shmheap_alloc_named(in.c_handle(), "short", 1) != nullptr);
    CHECK_THROWS(in.find_or_construct<point>("short")(1, 2), EINVAL);
}

// What a call says when it throws.
template <class Call>
std::string words_of(const Call &call)
{
    try {
        call();
    } catch (const std::system_error &error) {
        return error.what();
    }
    return "nothing";
}

void errors_say_what_is_wrong()
{
    struct huge {
        char bytes[1 << 20];
    };
    heap in = heap::anonymous(options_of(1 << 18));
    in.construct<int>("n")(5);
    const std::string type = "the object is of another type, or no C++ object: use the type that "
                             "constructed it, or another name: Invalid argument";
    CHECK(words_of([&] { in.find<long>("n"); }) == "shmheap: find \"n\": " + type);
    CHECK(words_of([&] { in.destroy<long>("n"); }) == "shmheap: destroy \"n\": " + type);
    CHECK(words_of([&] { in.find_or_construct<long>("n")(1); }) ==
          "shmheap: find_or_construct \"n\": " + type);
    CHECK(words_of([&] { in.find<int>(""); }) == "shmheap: find: Invalid argument");
    CHECK(words_of([&] { in.construct<int>("n")(1); }) ==
          "shmheap: construct \"n\": an object of that name is there: find it, or destroy it "
          "first: File exists");
    const std::string after = "; free objects, or make the heap with a larger len or max_len: "
                              "Cannot allocate memory";
    std::string words = words_of([&] { in.construct<huge>("h")(); });
    std::string before =
        "shmheap: construct \"h\": no space for 1048576 bytes; the largest that fits has ";
    CHECK(words == before + std::to_string(in.stat().largest_free) + after);
    before = "shmheap: allocate: no space for 999999 bytes; the largest that fits has ";
    words = words_of([&] { in.allocate(999999); });
    CHECK(words == before + std::to_string(in.stat().largest_free) + after);
}

void bad_names_are_refused()
{
    heap in = heap::anonymous(options_of(1 << 18));
    usage before(in);
    std::string longest(255, 'n'), too_long(256, 'n'), with_nul("a\0b", 3);
    std::error_code error;
    for (const std::string &name : {std::string(), with_nul}) {
        CHECK_THROWS(in.construct<int>(name)(1), EINVAL);
        CHECK_THROWS(in.find_or_construct<int>(name)(1), EINVAL);
        CHECK_THROWS(in.find<int>(name), EINVAL);
        CHECK_THROWS(in.destroy<int>(name), EINVAL);
    }
    CHECK_THROWS(in.construct<int>(too_long)(1), ENAMETOOLONG);
    CHECK_THROWS(in.find<int>(too_long), ENAMETOOLONG);
    CHECK(in.find_or_construct<int>(too_long, error)(1) == nullptr &&
          error == std::errc::filename_too_long);
    CHECK(usage(in) == before);
    CHECK(*in.construct<int>(longest)(9) == 9 && *in.find<int>(longest) == 9 &&
          in.destroy<int>(longest));
    CHECK(*in.construct<int>("\xff\x01 \n")(9) == 9); // bytes are bytes
}

void nothing_is_lost_without_space_or_rights()
{
    struct large {
        char bytes[100000];
    };
    std::string name = test_name();
    heap in = heap::create(name, options_of(1 << 16));
    in.construct<int>("kept")(5);
    usage before(in);
    CHECK_THROWS(in.construct<large>("large")(), ENOMEM);
    CHECK(in.find<large>("large") == nullptr && usage(in) == before);
    shmheap::options how;
    how.read_only = true;
    heap reader = heap::open(name, how);
    CHECK(*reader.find<int>("kept") == 5 && reader.find<int>("no") == nullptr);
    CHECK_THROWS(reader.construct<int>("no")(1), EACCES);
    CHECK_THROWS(reader.destroy<int>("kept"), EACCES);
    CHECK(*in.find<int>("kept") == 5 && usage(in) == before);
    static unsigned char memory[1 << 16] __attribute__((aligned(16)));
    shmheap_memory_handle mem;
    CHECK(shmheap_create_at(&mem, memory, sizeof memory, nullptr) == 0);
    heap without_file = heap::adopt(mem);
    CHECK_THROWS(without_file.construct<int>("n")(1), ENOTSUP);
}

void destructors_run_once_and_leave_nothing()
{
    static int alive;
    struct counted {
        using shmheap_shareable [[maybe_unused]] = counted;
        counted() { alive++; }
        ~counted() { alive--; }
        char bytes[500];
    };
    heap in = heap::anonymous(options_of(1 << 20));
    in.construct<int>("first")(0);
    usage before(in);
    for (int i = 0; i < 100; i++)
        in.construct<counted>("object " + std::to_string(i))();
    CHECK_EQ(alive, 100);
    {
        heap other = heap::from_fd(in.fd());
        for (int i = 0; i < 100; i++)
            CHECK(other.find<counted>("object " + std::to_string(i)) != nullptr);
        for (int i = 0; i < 100; i++)
            CHECK(in.destroy<counted>("object " + std::to_string(i)));
        CHECK(alive == 0 && !in.destroy<counted>("object 5"));
    }
    // The other connection gave back what it used, once it was closed.
    CHECK_LE(in.stat().used_blocks, before.blocks + 1); // the table of names has become larger
    size_t names = 0;
    shmheap_names(
        in.c_handle(),
        [](const shmheap_name_info *, void *count) { return ++*static_cast<size_t *>(count), 0; },
        &names);
    CHECK_EQ(names, 1);
}

void exceptions_leave_no_object()
{
    struct thrower {
        explicit thrower(bool fails)
        {
            if (fails)
                throw std::runtime_error("as planned");
        }
        char bytes[300];
    };
    heap in = heap::anonymous(options_of(1 << 18));
    in.construct<int>("first")(0);
    usage before(in);
    for (int i = 0; i < 3; i++) {
        bool thrown = false;
        try {
            in.find_or_construct<thrower>("t")(true);
        } catch (const std::runtime_error &) {
            thrown = true;
        }
        CHECK(thrown && in.find<thrower>("t") == nullptr && usage(in) == before);
    }
    CHECK(in.find_or_construct<thrower>("t")(false) != nullptr);
}

// Shared by processes: what happened in constructors.
struct record {
    std::atomic<int> constructed, pids;
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
    // The waiters left in order with a use each, which may keep the empty name: three blocks, but no object.
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

// Killed anywhere, again and again: whoever comes finds nothing or a whole object.
struct chained {
    long values[64];
    explicit chained(long seed)
    {
        for (long &value : values)
            value = seed++;
    }
};

void constructs_and_destroys(void *)
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
        log_of_all->pids++;
    }
}

void deaths_anywhere_leave_whole_objects()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    struct test_random random = test_random_begin(7);
    for (size_t round = 0; round < test_rounds(200); round++) {
        log_of_all->pids = 0;
        pid_t victims[2] = {test_fork(constructs_and_destroys, nullptr),
                            test_fork(constructs_and_destroys, nullptr)};
        int until = static_cast<int>(1 + test_random_below(&random, 40));
        while (log_of_all->pids < until)
            sched_yield();
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

void children_of_fork_go_on()
{
    log_begin();
    heap in = heap::create(crew_name, options_of(1 << 20));
    in.construct<point>("p")(1, 2);
    test_in_child(
        [](void *heap_of_parent) {
            heap &with = *static_cast<heap *>(heap_of_parent);
            CHECK(with.find<point>("p")->x == 1 && with.construct<point>("q")(5, 6)->y == 6);
            CHECK(with.destroy<point>("p"));
            with.close();
        },
        &in);
    CHECK(in.find<point>("p") == nullptr && in.find<point>("q")->x == 5 && in.destroy<point>("q") &&
          in.check().rule == 0);
}

// Whatever a peer writes over a cell: an error, no object, or one that lies in the heap.
void cells_written_over_do_no_harm()
{
    heap in = heap::anonymous(options_of(1 << 18));
    struct test_random random = test_random_begin(3);
    in.construct<point>("p")(1, 2);
    auto words = static_cast<uint64_t *>(shmheap_find(in.c_handle(), "p", nullptr));
    uint64_t sound[4], other = in.handle_of(in.allocate(8)).bits;
    memcpy(sound, words, sizeof sound);
    for (size_t i = 0; i < test_rounds(20000); i++) {
        memcpy(words, sound, sizeof sound);
        uint64_t values[] = {test_random_next(&random), 0, other, sound[0],
                             sound[1] ^ UINT64_C(1) << test_random_below(&random, 64)};
        words[test_random_below(&random, 4)] = values[test_random_below(&random, 5)];
        std::error_code error;
        point *found = in.find<point>("p", error);
        CHECK(found == nullptr || (in.handle_of(found).bits != 0 &&
                                   shmheap_usable_size(in.c_handle(), found) >= sizeof(point)));
    }
    memcpy(words, sound, sizeof sound);
    CHECK(in.find<point>("p")->y == 2 && in.check().rule == 0);
}

// All who knew it are killed, and what they held is reaped.
void kept_names_stay_until_destroyed()
{
    heap in = heap::anonymous(options_of(1 << 18));
    usage before(in);
    std::error_code error;
    auto in_child = [&in](void (*run)(void *)) {
        int fd = in.fd();
        CHECK(WTERMSIG(test_wait(test_fork(run, &fd))) == SIGKILL);
    };
    CHECK(in.find<point>("kept") == nullptr);
    in_child([](void *fd) {
        heap own = heap::from_fd(*static_cast<int *>(fd));
        CHECK(own.construct<point>("kept", shmheap::kept)(3, 4)->x == 3);
        own.construct<point>("passing")(5, 6);
        raise(SIGKILL);
    });
    in_child([](void *fd) {
        heap own = heap::from_fd(*static_cast<int *>(fd));
        CHECK(own.find_or_construct<point>("passing", shmheap::kept)(0, 0)->x == 5);
        own.construct<point>("gone")(7, 8);
        raise(SIGKILL);
    });
    CHECK(in.reap() >= 0 && in.check().rule == 0);
    CHECK(in.find<point>("gone") == nullptr);
    CHECK(in.find<point>("kept")->y == 4 && in.find<point>("passing")->y == 6);
    CHECK_THROWS(in.construct<point>("kept", shmheap::kept)(1, 1), EEXIST);
    CHECK(in.find_or_construct<point>("kept", shmheap::kept, error)(1, 1)->x == 3 && !error);
    CHECK(in.destroy<point>("kept") && in.destroy<point>("passing"));
    CHECK(in.find<point>("kept") == nullptr && in.find<point>("passing") == nullptr &&
          in.check().rule == 0);
    in.reap(SHMHEAP_REAP_SHARED); // the object without a name
    CHECK(usage(in) == before);
    // A constructor that throws leaves no name that is kept.
    struct thrower {
        thrower() { throw std::runtime_error("no"); }
    };
    try {
        in.construct<thrower>("kept", shmheap::kept)();
        CHECK(!"reached");
    } catch (const std::runtime_error &) {
    }
    CHECK(usage(in) == before);
}

const struct test tests[] = {
    TEST(kept_names_stay_until_destroyed),
    TEST(finds_what_was_constructed),
    TEST(another_size_is_an_error),
    TEST(errors_say_what_is_wrong),
    TEST(bad_names_are_refused),
    TEST(nothing_is_lost_without_space_or_rights),
    TEST(destructors_run_once_and_leave_nothing),
    TEST(exceptions_leave_no_object),
    TEST(one_process_constructs_the_others_wait),
    TEST(one_thread_constructs_the_others_wait),
    TEST(the_next_one_constructs_after_a_death),
    TEST(deaths_anywhere_leave_whole_objects),
    TEST(finding_what_comes_and_goes),
    TEST(a_child_does_not_keep_its_dead_parents_lock),
    TEST(children_of_fork_go_on),
    TEST(cells_written_over_do_no_harm),
};

} // namespace

TEST_MAIN(tests)
