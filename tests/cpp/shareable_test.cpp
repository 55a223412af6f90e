// Which types may lie in a heap, and how one type is told from another there.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace
{

template <class T>
using in_heap = shmheap::allocator<T>;
using text = std::basic_string<char, std::char_traits<char>, in_heap<char>>;
template <class T>
using vector = std::vector<T, in_heap<T>>;

struct flat {
    int a;
    double b;
};
struct derived_with_virtual {
    virtual ~derived_with_virtual() = default;
    int a = 0;
};
struct book {
    vector<int> orders;
    explicit book(const in_heap<int> &in) : orders(in) {}
};
struct open_book {
    using shmheap_shareable = open_book;
    vector<int> orders;
    explicit open_book(const in_heap<int> &in) : orders(in) {}
};
struct heir : open_book { // what a base says of itself is not said of this
    std::string name;
};
struct listed {
    vector<int> orders;
};

// Two types of one layout; and names that are said.
struct metres {
    double value;
};
struct feet {
    double value;
};
struct here {
    int a;
};
struct there {
    int a;
};

} // namespace

template <>
inline constexpr bool shmheap::is_shareable<listed> = true;
template <>
inline constexpr const char *shmheap::type_name<here> = "place 1";
template <>
inline constexpr const char *shmheap::type_name<there> = "place 1";

namespace
{

using shmheap::is_shareable;

static_assert(is_shareable<int> && is_shareable<double[7]> && is_shareable<flat> &&
              is_shareable<const flat>);
static_assert(is_shareable<std::pair<const int, flat>> && is_shareable<std::tuple<int, text>> &&
              is_shareable<std::tuple<>>);
static_assert(is_shareable<std::array<text, 3>> && is_shareable<std::optional<text>> &&
              is_shareable<std::atomic<int>>);
static_assert(is_shareable<std::variant<int, text>> && is_shareable<shmheap::offset_ptr<flat>>);
static_assert(is_shareable<vector<int>> && is_shareable<vector<vector<text>>> &&
              is_shareable<std::deque<int, in_heap<int>>>);
static_assert(is_shareable<vector<std::pair<int, text>>> && is_shareable<in_heap<int>>);
static_assert(is_shareable<open_book> && is_shareable<vector<open_book>> && is_shareable<listed>);

static_assert(!is_shareable<int *> && !is_shareable<int *[3]> && !is_shareable<void (*)()>);
static_assert(!is_shareable<std::string> && !is_shareable<std::vector<int>> &&
              !is_shareable<std::map<int, int>>);
static_assert(!is_shareable<vector<std::string>> && !is_shareable<vector<vector<std::string>>>);
static_assert(!is_shareable<std::string_view> && !is_shareable<std::reference_wrapper<int>>);
static_assert(!is_shareable<std::unique_ptr<int>> && !is_shareable<std::shared_ptr<int>> &&
              !is_shareable<std::weak_ptr<int>>);
static_assert(!is_shareable<std::function<void()>> && !is_shareable<std::pair<int, std::string>>);
static_assert(!is_shareable<std::tuple<int, int *>> &&
              !is_shareable<std::variant<int, std::string>>);
static_assert(!is_shareable<std::optional<std::string>> &&
              !is_shareable<std::array<std::string, 2>>);
static_assert(!is_shareable<std::atomic<int *>> && !is_shareable<std::pair<int *, int>>);
static_assert(!is_shareable<derived_with_virtual> && !is_shareable<book> && !is_shareable<heir>);

shmheap::heap heap_new()
{
    const char *name = test_name();
    return shmheap::heap::create(name, options_of(1 << 18));
}

void another_type_of_the_same_size_is_refused()
{
    auto heap = heap_new();
    heap.construct<metres>("length")(metres{3});
    CHECK_THROWS(heap.find<feet>("length"), EINVAL);
    CHECK_THROWS(heap.find<double>("length"), EINVAL);
    CHECK_THROWS(heap.find_or_construct<feet>("length")(feet{1}), EINVAL);
    CHECK_THROWS(heap.destroy<feet>("length"), EINVAL);
    CHECK(heap.find<metres>("length")->value == 3);
    CHECK(heap.find<const metres>("length")->value == 3);
    CHECK(heap.destroy<metres>("length"));
    heap.construct<feet>("length")(feet{2});
    CHECK_THROWS(heap.find<metres>("length"), EINVAL);
    CHECK(heap.find<feet>("length")->value == 2);
    heap.construct<vector<int>>("numbers")(heap.get_allocator<int>());
    CHECK_THROWS(heap.find<vector<unsigned>>("numbers"), EINVAL);
    CHECK(heap.find<vector<int>>("numbers") != nullptr);
}

void a_name_that_is_said_is_the_types()
{
    auto heap = heap_new();
    heap.construct<here>("place")(here{5});
    CHECK_EQ(heap.find<there>("place")->a, 5);
    CHECK_THROWS(heap.find<int>("place"), EINVAL);
}

void a_struct_of_containers_that_says_so()
{
    auto heap = heap_new();
    auto object = heap.construct<open_book>("book")(heap.get_allocator<int>());
    object->orders.push_back(17);
    CHECK_EQ(heap.find<open_book>("book")->orders.at(0), 17);
}

const struct test tests[] = {
    TEST(another_type_of_the_same_size_is_refused),
    TEST(a_name_that_is_said_is_the_types),
    TEST(a_struct_of_containers_that_says_so),
};

} // namespace

TEST_MAIN(tests)
