// Containers in a heap: used at two addresses of one process, and by a program that finds them by
// name.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/containers.hpp"

#include <atomic>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using shmheap::heap;

namespace
{

enum { HALF = 2000 };

// The other program (peer.cpp) adds HALF more to each container that it finds.
void run_peer(const std::string &name)
{
    fflush(nullptr);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        execl("tests/cpp/peer", "peer", name.c_str(), std::to_string(HALF).c_str(),
              static_cast<char *>(nullptr));
        perror("tests/cpp/peer");
        _exit(1);
    }
    test_join(pid);
}

template <class Container>
void fill(const heap &in, const char *name)
{
    auto object = in.construct<Container>(name)(in.get_allocator<int>());
    for (int i = 0; i < HALF; i++)
        object->add(i);
    CHECK(object->holds(HALF));
}

void another_program_goes_on_with_them()
{
    std::string name = test_name();
    heap in = heap::create(name, options_of(8 << 20));
    usage before(in);
    each_container([&](auto type, const char *label) {
        fill<std::remove_pointer_t<decltype(type)>>(in, label);
    });
    run_peer(name);
    each_container([&](auto type, const char *label) {
        auto object = in.find<std::remove_pointer_t<decltype(type)>>(label);
        if (object == nullptr || !object->holds(2 * HALF))
            test_fail(__FILE__, __LINE__, "%s is not as the other program left it", label);
    });
    CHECK(in.check().rule == 0);
    each_container([&](auto type, const char *label) {
        CHECK(in.destroy<std::remove_pointer_t<decltype(type)>>(label));
    });
    CHECK_EQ(in.stat().used_bytes, before.bytes);
}

void two_addresses_in_one_process()
{
    heap here = heap::anonymous(options_of(8 << 20)), there = heap::from_fd(here.fd());
    each_container([&](auto type, const char *label) {
        using container = std::remove_pointer_t<decltype(type)>;
        fill<container>(here, label);
        auto object = there.find<container>(label);
        CHECK(static_cast<void *>(object) != here.find<container>(label));
        for (int i = HALF; i < 2 * HALF; i++)
            object->add(i);
        CHECK(object->holds(2 * HALF) && here.find<container>(label)->holds(2 * HALF));
        CHECK(there.destroy<container>(label));
    });
}

void copies_keep_their_heap()
{
    heap one = heap::anonymous(options_of(1 << 20)), two = heap::anonymous(options_of(1 << 20));
    std::vector<int, in_heap<int>> a({1, 2, 3}, one.get_allocator<int>()),
        b(two.get_allocator<int>());
    b = a; // as with any stateful allocator the elements are copied, the heap stays
    CHECK(two.handle_of(b.data()).bits != 0 && b == a);
    b = std::move(a);
    CHECK(two.handle_of(b.data()).bits != 0 && b.size() == 3 &&
          b.get_allocator() == two.get_allocator<char>());
    auto c = b;
    CHECK(two.handle_of(c.data()).bits != 0 && c == b &&
          c.get_allocator() != one.get_allocator<int>());
}

void no_space_is_bad_alloc()
{
    heap small = heap::anonymous(options_of(1 << 16));
    auto numbers = small.construct<std_vector>("numbers")(small.get_allocator<int>());
    int added = 0;
    try {
        for (;; added++)
            numbers->add(added);
    } catch (const std::bad_alloc &) {
    }
    CHECK(added > 1000 && numbers->holds(added) && small.check().rule == 0);
    in_heap<int> allocator = small.get_allocator<int>();
    bool refused = false;
    try {
        allocator.allocate(SIZE_MAX / 2);
    } catch (const std::bad_array_new_length &) {
        refused = true;
    }
    CHECK(refused);
}

struct alignas(256) wide {
    char bytes[256];
};

void alignment_is_kept()
{
    heap in = heap::anonymous(options_of(1 << 20));
    std::vector<wide, in_heap<wide>> objects(5, in.get_allocator<wide>());
    CHECK(reinterpret_cast<uintptr_t>(objects.data()) % 256 == 0);
    CHECK(reinterpret_cast<uintptr_t>(in.construct<wide>("wide")()) % 256 == 0);
    CHECK(in.destroy<wide>("wide"));
}

// What others write over an allocator leads to an exception, not out of the heap.
void allocators_written_over_are_refused()
{
    heap in = heap::anonymous(options_of(1 << 20));
    usage before(in);
    struct test_random random = test_random_begin(1);
    auto place = static_cast<in_heap<int> *>(in.allocate(sizeof(in_heap<int>)));
    for (int i = 0; i < 1000; i++) {
        new (place) in_heap<int>(in.get_allocator<int>());
        uint64_t bits = test_random_next(&random);
        memcpy(static_cast<void *>(place), &bits, sizeof bits);
        CHECK_THROWS(place->allocate(10), EINVAL);
        place->deallocate(shmheap::offset_ptr<int>(reinterpret_cast<int *>(place)), 10);
    }
    in.deallocate(place);
    CHECK(usage(in) == before);
    in_heap<int> kept = in.get_allocator<int>();
    in.close();
    CHECK_THROWS(kept.allocate(1), EINVAL);
}

// What a process has put into a container outlives it.
void elements_survive_their_process()
{
    heap in = heap::anonymous(options_of(1 << 20));
    auto numbers = in.construct<std_vector>("numbers")(in.get_allocator<int>());
    int to_parent[2];
    CHECK(pipe(to_parent) == 0);
    struct context {
        heap *in;
        int done;
    } context = {&in, to_parent[1]};
    pid_t pid = test_fork(
        [](void *argument) {
            auto with = static_cast<struct context *>(argument);
            for (int i = 0; i < HALF; i++)
                with->in->find<std_vector>("numbers")->add(i);
            CHECK(write(with->done, "", 1) == 1);
            pause();
        },
        &context);
    char byte;
    CHECK(read(to_parent[0], &byte, 1) == 1);
    test_kill(pid);
    in.reap();
    for (int i = 0; i < 100; i++)
        in.allocate(1000); // nothing is put on top of them
    CHECK(numbers->holds(HALF) && in.check().rule == 0);
    close(to_parent[0]);
    close(to_parent[1]);
}

struct builders {
    heap *in;
    std::atomic<int> *progress;
};

void builds_for_ever(void *argument)
{
    auto with = static_cast<builders *>(argument);
    std::string name = "of " + std::to_string(getpid());
    for (;; with->in->destroy<std_vector_of_strings>(name)) {
        auto words =
            with->in->construct<std_vector_of_strings>(name)(with->in->get_allocator<int>());
        for (int i = 0; i < HALF; i++, ++*with->progress)
            words->add(i);
    }
}

// The container of a killed process may be in any state; the heap and all other containers are
// whole.
void killed_while_building()
{
    heap in = heap::anonymous(options_of(16 << 20));
    auto kept = in.construct<std_vector_of_strings>("kept")(in.get_allocator<int>());
    auto progress = new (test_shared(sizeof(std::atomic<int>))) std::atomic<int>(0);
    builders with = {&in, progress};
    struct test_random random = test_random_begin(5);
    int added = 0;
    for (size_t round = 0; round < test_rounds(30); round++) {
        *progress = 0;
        pid_t victims[2] = {test_fork(builds_for_ever, &with), test_fork(builds_for_ever, &with)};
        int until = static_cast<int>(1 + test_random_below(&random, 300));
        while (*progress < until)
            added < HALF ? kept->add(added++) : static_cast<void>(sched_yield());
        for (pid_t pid : victims)
            test_kill(pid);
        in.reap(SHMHEAP_REAP_SHARED); // only their own containers had anything of theirs
        CHECK(in.check().rule == 0 && kept->holds(added));
        CHECK(in.destroy<std_vector_of_strings>("kept"));
        kept = in.construct<std_vector_of_strings>("kept")(in.get_allocator<int>());
        added = 0;
        CHECK_LE(in.stat().used_blocks, 10);
    }
}

const struct test tests[] = {
    TEST(another_program_goes_on_with_them),
    TEST(two_addresses_in_one_process),
    TEST(copies_keep_their_heap),
    TEST(no_space_is_bad_alloc),
    TEST(alignment_is_kept),
    TEST(allocators_written_over_are_refused),
    TEST(elements_survive_their_process),
    TEST(killed_while_building),
};

} // namespace

TEST_MAIN(tests)
