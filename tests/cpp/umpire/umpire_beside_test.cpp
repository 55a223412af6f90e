// Our calls beside another library whose namespace is umpire: in this file under a name of their
// own, in the other file of this program under theirs. SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/umpire/umpire_stand_in.hpp"

#define SHMHEAP_UMPIRE_NAMESPACE shared_umpire
#include <shmheap_umpire.hpp>

#include "tests/cpp/test.hpp"

std::size_t actual_size_elsewhere(); // in umpire_beside.cpp

namespace
{

void the_other_library_is_untouched()
{
    umpire::Allocator other = umpire::ResourceManager::getInstance().getAllocator("HOST");
    CHECK_EQ(other.getActualSize(), 4711);
    CHECK(other.allocate("x", 1) == &other &&
          umpire::find_pointer_from_name(other, "x") == nullptr);
    CHECK_EQ(umpire::strategy::AllocationStrategy().getActualSize(), 4711);
}

void ours_are_in_the_namespace_asked_for()
{
    shared_umpire::Allocator host =
        shared_umpire::ResourceManager::getInstance().getAllocator("HOST");
    void *data = host.allocate(100);
    CHECK_EQ(host.getActualSize(), 100);
    host.deallocate(data);
}

// And not the other library's functions, though these have the same names there.
void ours_are_umpire_in_a_file_without_the_other() { CHECK_EQ(actual_size_elsewhere(), 300); }

const struct test tests[] = {
    TEST(the_other_library_is_untouched),
    TEST(ours_are_in_the_namespace_asked_for),
    TEST(ours_are_umpire_in_a_file_without_the_other),
};

} // namespace

TEST_MAIN(tests)
