// heap: opening in all ways, errors thrown and returned, moving, C's calls in C++.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

#include <memory_resource>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

using shmheap::heap;

namespace
{

void opens_creates_and_removes()
{
    std::string name = test_name();
    std::error_code error;
    CHECK_THROWS(heap::open(name), ENOENT);
    CHECK(!heap::open(name, {}, error) && error == std::errc::no_such_file_or_directory);
    heap made = heap::create(name, options_of(1 << 16));
    CHECK(made && made.stat().len == 1 << 16);
    CHECK_THROWS(heap::create(name), EEXIST);
    CHECK(!heap::create(name, {}, error) && error == std::errc::file_exists);
    heap other = heap::open(name, {}, error);
    CHECK(other && !error);
    heap third = heap::open_or_create(name, options_of(1 << 20));
    CHECK_EQ(third.stat().len, 1 << 16);
    heap::remove(name);
    CHECK_THROWS(heap::remove(name), ENOENT);
    CHECK(!heap::remove(name, error) && error == std::errc::no_such_file_or_directory);
    CHECK(other.resolve(made.handle_of(made.allocate(10))) != nullptr);
}

void errors_name_the_call_and_the_heap()
{
    try {
        heap::open("/shmheap-test-there-is-none");
        CHECK(!"opened");
    } catch (const std::system_error &error) {
        CHECK(error.what() ==
              std::string("shmheap: open \"/shmheap-test-there-is-none\": no heap has that name "
                          "(ENOENT); start the process that makes it first, or open with "
                          "SHMHEAP_CREATE, a path in a folder that exists; 'shmheap ls' lists the "
                          "heaps: No such file or directory"));
        CHECK(error.code().category() == std::generic_category());
    }
    std::string name = test_name();
    heap first = heap::create(name, options_of(1 << 16));
    try {
        heap::create(name, options_of(1 << 16));
        CHECK(!"created twice");
    } catch (const std::system_error &error) {
        CHECK(error.what() == "shmheap: create \"" + name +
                                  "\": a heap of that name is there: open it, choose another "
                                  "name, or remove it: File exists");
    }
    heap::remove(name);
}

void errors_have_the_words_of_c()
{
    heap in = heap::anonymous(options_of(1 << 16));
    void *object = in.allocate(10);
    in.deallocate(object);
    auto begins = [](const std::string &text, const char *with) { return text.find(with) == 0; };
    CHECK(begins(words_of([&] { in.deallocate(object); }),
                 "shmheap: deallocate: no live object begins at 0x"));
    CHECK(
        begins(words_of([&] { in.resolve({}); }), "shmheap: resolve: the handle is null (EINVAL)"));
    CHECK(begins(words_of([&] { in.handle_of(object); }),
                 "shmheap: handle_of: no live object begins at 0x"));
    CHECK(begins(words_of([&] { heap().allocate(1); }),
                 "shmheap: allocate: the connection is not open (EINVAL)"));
    CHECK(begins(words_of([&] { in.reap(8); }),
                 "shmheap: reap: the flags have unknown bits: 0x8 (EINVAL)"));
    CHECK(begins(words_of([&] { heap::anonymous(options_of(100)); }),
                 "shmheap: anonymous: len is 100, and 128 bytes are the least (EINVAL)"));
    CHECK(begins(words_of([&] { heap::from_fd(-1); }),
                 "shmheap: from_fd \"-1\": the descriptor is not open (EBADF)"));
    // A text of an earlier failure is not that of a call which C never saw.
    CHECK(words_of([&] { heap::create(std::string_view("/a\0b", 4)); }).find("cannot hold a NUL") !=
          std::string::npos);
    CHECK(words_of([&] { heap::adopt({}); }) ==
          "shmheap: adopt: the handle is not open: Invalid argument");
}

// A name and a connection that the call refuses: no C call has said why.
void errors_of_names_have_a_cause()
{
    auto has = [](const std::string &text, const char *with) {
        return text.find(with) != std::string::npos;
    };
    std::string name = test_name(), long_name(300, 'x');
    shmheap::options how = options_of(1 << 16);
    heap in = heap::create(name, how);
    how.read_only = true;
    heap reader = heap::open(name, how);
    std::string too_long = words_of([&] { in.find<int>(long_name); });
    CHECK(has(too_long, "a name has 1 to 255 bytes: File name too long"));
    CHECK(has(words_of([&] { in.find<int>(""); }), "shmheap: find: a name has 1 to 255 bytes"));
    CHECK(has(words_of([&] { in.destroy<int>(long_name); }), "a name has 1 to 255 bytes"));
    CHECK(has(words_of([&] { in.construct<int>(long_name)(1); }), "a name has 1 to 255 bytes"));
    CHECK(has(words_of([&] { in.find<int>(std::string_view("a\0b", 3)); }), "cannot hold a NUL"));
    CHECK(has(words_of([&] { heap().find<int>("i"); }), "the heap is not open: open or create"));
    CHECK(has(words_of([&] { reader.construct<int>("i")(1); }), "the connection is read-only"));
    CHECK(has(words_of([&] { reader.destroy<int>("i"); }), "the connection is read-only"));
    how = options_of(1 << 16);
    how.take_over = true;
    CHECK(has(words_of([&] { heap::create(name, how); }), "a process uses the heap of that name"));
    heap::remove(name);
    if (sizeof(void *) == 8) {
        how.max_len = std::size_t(1) << 39;
        how.take_over = false;
        heap grows = heap::anonymous(how);
        CHECK(has(words_of([&] { grows.allocate(std::size_t(1) << 38); }),
                  "the heap cannot grow: the machine or a control group has "));
    }
}

void bad_names_are_refused()
{
    std::error_code error;
    CHECK_THROWS(heap::create(""), EINVAL);
    CHECK_THROWS(heap::create(std::string_view("/a\0b", 4)), EINVAL);
    CHECK_THROWS(heap::remove(std::string_view("/a\0b", 4)), EINVAL);
    CHECK_THROWS(heap::create("/" + std::string(300, 'x')), ENAMETOOLONG);
    CHECK_THROWS(heap::remove("/" + std::string(300, 'x')), ENAMETOOLONG);
    CHECK_THROWS(heap::create("/two/parts"), EINVAL);
    CHECK_THROWS(heap::anonymous(options_of(100)), EINVAL);
    CHECK_THROWS(heap::from_fd(-1), EBADF);
    CHECK_THROWS(heap::adopt({}), EINVAL);
    CHECK(!heap::from_fd(-1, {}, error) && error.value() == EBADF);
}

void anonymous_file_and_flags()
{
    std::string path = test_path();
    shmheap::options how = options_of(1 << 16);
    how.file = true;
    how.mode = 0640;
    how.alignment = 8;
    how.max_len = 1 << 20;
    heap file = heap::create(path, how);
    struct stat status;
    CHECK(stat(path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0640);
    CHECK(file.stat().alignment == 8 && file.stat().max_len == 1 << 20);
    CHECK(file.allocate(1 << 17) != nullptr); // grows
    how.read_only = true;
    heap reader = heap::open(path, how);
    CHECK_THROWS(reader.allocate(8), EACCES);
    shmheap::options quick = options_of(1 << 20);
    quick.cached = quick.sparse = quick.huge_pages = quick.reap = true;
    heap memory = heap::anonymous(quick);
    heap same = heap::from_fd(memory.fd(), quick);
    CHECK(same.resolve(memory.handle_of(memory.allocate(1))) != nullptr);
    CHECK(unlink(path.c_str()) == 0);
}

void moves_and_closes()
{
    heap a = heap::anonymous(options_of(1 << 16));
    void *object = a.allocate(100);
    heap b = std::move(a);
    CHECK(!a && b && a.fd() < 0);
    CHECK_THROWS(a.allocate(1), EINVAL);
    CHECK_THROWS(a.find<int>("x"), EINVAL);
    CHECK_THROWS(a.stat(), EINVAL);
    a = std::move(b);
    a.deallocate(object);
    a = heap::anonymous(options_of(1 << 16)); // closes the first
    CHECK_EQ(a.stat().used_blocks, 0);
    a.close();
    a.close();
    CHECK(!a && !heap());
}

void foreign_pointers_are_refused()
{
    heap one = heap::anonymous(options_of(1 << 16)), two = heap::anonymous(options_of(1 << 16));
    char *object = static_cast<char *>(one.allocate(100));
    int on_the_stack = 0;
    std::error_code error;
    usage before(one);
    CHECK_THROWS(two.deallocate(object), EINVAL);
    CHECK_THROWS(one.deallocate(object + 16), EINVAL);
    CHECK_THROWS(one.deallocate(&on_the_stack), EINVAL);
    CHECK(!one.deallocate(&on_the_stack, error) && error == std::errc::invalid_argument);
    CHECK_THROWS(one.handle_of(object + 1), EINVAL);
    CHECK_THROWS(two.resolve(one.handle_of(object)), EINVAL);
    CHECK(usage(one) == before && one.check().rule == 0);
    shmheap_object_handle handle = one.handle_of(object);
    one.deallocate(object);
    CHECK_THROWS(one.deallocate(object), EINVAL);
    CHECK_THROWS(one.resolve(handle), ESTALE);
    CHECK(one.resolve(handle, error) == nullptr && error.value() == ESTALE);
}

void no_space_is_told()
{
    heap small = heap::anonymous(options_of(4096));
    std::error_code error;
    CHECK_THROWS(small.allocate(4096), ENOMEM);
    CHECK(small.allocate(4096, error) == nullptr && error == std::errc::not_enough_memory);
    CHECK(small.allocate(16, error) != nullptr && !error);
}

void adopts_from_c()
{
    shmheap_options how{};
    how.flags = SHMHEAP_CREATE | SHMHEAP_ANONYMOUS;
    shmheap_memory_handle mem;
    CHECK(shmheap_open(&mem, nullptr, &how) == 0);
    {
        heap adopted = heap::adopt(mem);
        CHECK(adopted.c_handle().heap == mem.heap);
        CHECK_THROWS(heap::adopt(mem), EINVAL);
    }
    CHECK(!shmheap_valid(mem));
}

void memory_resource_serves_pmr()
{
    heap in = heap::anonymous(options_of(1 << 16));
    usage before(in);
    shmheap::memory_resource resource(in), same(in);
    CHECK(resource.is_equal(same) && !resource.is_equal(*std::pmr::new_delete_resource()));
    {
        std::pmr::vector<std::pmr::string> words(&resource);
        for (int i = 0; i < 100; i++)
            words.emplace_back("a word that is too long to be kept inside the string itself");
        CHECK(in.handle_of(words.data()).bits != 0);
        CHECK(in.handle_of(words[99].data()).bits != 0);
        CHECK(reinterpret_cast<uintptr_t>(resource.allocate(10, 256)) % 256 == 0);
        bool full = false;
        try {
            std::pmr::vector<char> large(1 << 20, 'x', &resource);
        } catch (const std::bad_alloc &) {
            full = true;
        }
        CHECK(full);
    }
    CHECK_EQ(in.stat().used_blocks, before.blocks + 1);
}

const struct test tests[] = {
    TEST(opens_creates_and_removes),  TEST(errors_name_the_call_and_the_heap),
    TEST(errors_have_the_words_of_c), TEST(errors_of_names_have_a_cause),
    TEST(bad_names_are_refused),      TEST(anonymous_file_and_flags),
    TEST(moves_and_closes),           TEST(foreign_pointers_are_refused),
    TEST(no_space_is_told),           TEST(adopts_from_c),
    TEST(memory_resource_serves_pmr),
};

} // namespace

TEST_MAIN(tests)
