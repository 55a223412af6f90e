// offset_ptr: as a pointer, as an iterator, and where it lies at two addresses.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/test.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <numeric>
#include <unordered_set>

using shmheap::offset_ptr;

namespace
{

struct base {
    int number = 1;
};
struct derived : base {
    int more = 2;
};

static_assert(sizeof(offset_ptr<int>) == 8);
static_assert(std::is_same_v<std::pointer_traits<offset_ptr<int>>::rebind<const char>,
                             offset_ptr<const char>>);
static_assert(
    std::is_same_v<std::pointer_traits<offset_ptr<int>>::difference_type, std::ptrdiff_t>);
static_assert(std::is_same_v<std::iterator_traits<offset_ptr<int>>::iterator_category,
                             std::random_access_iterator_tag>);
static_assert(std::is_convertible_v<offset_ptr<int>, offset_ptr<const int>>);
static_assert(std::is_convertible_v<offset_ptr<int>, offset_ptr<void>>);
static_assert(std::is_convertible_v<offset_ptr<derived>, offset_ptr<base>>);
static_assert(!std::is_convertible_v<offset_ptr<const int>, offset_ptr<int>>);
static_assert(!std::is_convertible_v<offset_ptr<void>, offset_ptr<int>>);
static_assert(!std::is_constructible_v<offset_ptr<int>, offset_ptr<double>>);
static_assert(std::is_constructible_v<offset_ptr<int>, offset_ptr<void>>);
static_assert(std::is_nothrow_copy_constructible_v<offset_ptr<int>>);

void null_is_distinct()
{
    int object = 7;
    offset_ptr<int> none, also(nullptr), some(&object);
    CHECK(!none && !also && some);
    CHECK(none == nullptr && nullptr == none && none == also && some != nullptr && nullptr != some);
    CHECK(none.get() == nullptr && none.operator->() == nullptr);
    some = none;
    CHECK(some == nullptr);
    offset_ptr<const int> of_const = none;
    CHECK(of_const == nullptr);
    // A pointer to itself is not null either.
    offset_ptr<void> self(&self);
    CHECK(self && self.get() == &self);
}

void copies_point_to_the_same_object()
{
    int objects[3] = {1, 2, 3};
    auto first = std::make_unique<offset_ptr<int>>(&objects[1]);
    offset_ptr<int> second = *first, third;
    third = second;
    first.reset();
    CHECK(*second == 2 && *third == 2 && second == third && second.get() == &objects[1]);
    offset_ptr<int> &itself = third;
    third = itself;
    CHECK(third.get() == &objects[1]);
    std::swap(second, third);
    CHECK(second == third);
    CHECK(offset_ptr<int>::pointer_to(objects[2]) == &objects[2]);
    CHECK(std::pointer_traits<offset_ptr<int>>::pointer_to(objects[0]) == &objects[0]);
}

void casts_as_plain_pointers_do()
{
    derived object;
    offset_ptr<derived> exact(&object);
    offset_ptr<base> less = exact;
    offset_ptr<void> nothing = less;
    CHECK(less->number == 1 && static_cast<offset_ptr<derived>>(less)->more == 2);
    CHECK(static_cast<offset_ptr<base>>(nothing)->number == 1);
}

void is_a_random_access_iterator()
{
    int numbers[100];
    std::iota(std::begin(numbers), std::end(numbers), 0);
    std::reverse(std::begin(numbers), std::end(numbers));
    offset_ptr<int> begin(numbers), end(numbers + 100);
    std::sort(begin, end);
    CHECK(std::is_sorted(std::begin(numbers), std::end(numbers)) && numbers[99] == 99);
    CHECK(std::lower_bound(begin, end, 42) - begin == 42);
    CHECK(begin[5] == 5 && *(begin + 6) == 6 && *(7 + begin) == 7 && *(end - 1) == 99);
    offset_ptr<const int> at = begin;
    CHECK(*at++ == 0 && *at == 1 && *++at == 2 && *at-- == 2 && *--at == 0);
    at += 10;
    at -= 4;
    CHECK(at - begin == 6 && begin - at == -6 && begin < at && at > begin && begin <= at &&
          at >= begin);
    CHECK(at == begin + 6 && at != begin && at == numbers + 6 && numbers + 6 == at);
}

void hashes_as_the_pointer_does()
{
    int objects[4];
    std::unordered_set<offset_ptr<int>> set;
    for (int &object : objects)
        set.insert(offset_ptr<int>(&object));
    CHECK_EQ(set.size(), 4);
    CHECK_EQ(set.count(offset_ptr<int>(&objects[2])), 1);
}

// In a mapping at two addresses each reads its own copy.
void means_the_same_at_another_address()
{
    struct pair {
        offset_ptr<int> to;
        int object;
    };
    auto heap = shmheap::heap::anonymous(options_of(1 << 16)),
         again = shmheap::heap::from_fd(heap.fd());
    auto here = new (heap.allocate(sizeof(pair))) pair;
    here->object = 5;
    here->to = &here->object;
    auto there = static_cast<pair *>(again.resolve(heap.handle_of(here)));
    CHECK(there != here && there->to.get() == &there->object && there->to.get() != &here->object &&
          *there->to == 5);
    offset_ptr<int> outside = there->to;
    CHECK(outside.get() == &there->object);
}

const struct test tests[] = {
    TEST(null_is_distinct),           TEST(copies_point_to_the_same_object),
    TEST(casts_as_plain_pointers_do), TEST(is_a_random_access_iterator),
    TEST(hashes_as_the_pointer_does), TEST(means_the_same_at_another_address),
};

} // namespace

TEST_MAIN(tests)
