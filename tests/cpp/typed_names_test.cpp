// construct, find_or_construct, find, destroy in one process; names that are kept; cells that a
// peer overwrites.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

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
    // A named object of a C program is no typed object.
    CHECK(shmheap_alloc_named(in.c_handle(), "raw", 100) != nullptr);
    CHECK_THROWS(in.find<point>("raw"), EINVAL);
    CHECK_THROWS(in.construct<point>("raw")(1, 2), EINVAL);
    CHECK(shmheap_alloc_named(in.c_handle(), "short", 1) != nullptr);
    CHECK_THROWS(in.find_or_construct<point>("short")(1, 2), EINVAL);
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
    CHECK(words_of([&] { in.find<int>(""); }) ==
          "shmheap: find: a name has 1 to 255 bytes: Invalid argument");
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
void children_of_fork_go_on()
{
    heap in = heap::create(test_name(), options_of(1 << 20));
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

// Every process that knew the name is killed, and its objects are reaped.
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
    TEST(children_of_fork_go_on),
    TEST(cells_written_over_do_no_harm),
};

} // namespace

TEST_MAIN(tests)
