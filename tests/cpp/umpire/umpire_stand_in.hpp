// A stand-in for the real Umpire: classes and functions of the same names, with symbols of the same
// names, that do something else. SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CPP_UMPIRE_STAND_IN_HPP
#define TESTS_CPP_UMPIRE_STAND_IN_HPP

#include <cstddef>
#include <string>

#define UMPIRE_ASSERT(condition) ((void)(condition))

namespace umpire
{

namespace strategy
{
class AllocationStrategy
{
public:
    virtual ~AllocationStrategy() = default;
    virtual std::size_t getActualSize() const { return 4711; }
};
} // namespace strategy

class Allocator
{
public:
    void *allocate(const std::string &, std::size_t) { return this; }
    void deallocate(void *) {}
    std::size_t getActualSize() const { return 4711; }
};

class ResourceManager
{
public:
    static ResourceManager &getInstance()
    {
        static ResourceManager manager;
        return manager;
    }
    Allocator getAllocator(const std::string &) { return Allocator(); }
};

inline void *find_pointer_from_name(Allocator, const std::string &) { return nullptr; }

} // namespace umpire

#endif
