// umpire_base.hpp: the common parts of shmheap_umpire.hpp: namespace, errors, traits, the base of
// strategies. SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_UMPIRE_BASE_HPP
#define SHMHEAP_CPP_UMPIRE_BASE_HPP

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

// The namespace of the calls: umpire, or another one for a file that includes the real Umpire's
// headers as well. The inline namespace keeps the symbols apart from the real ones in other files
// of the program.
#ifndef SHMHEAP_UMPIRE_NAMESPACE
#define SHMHEAP_UMPIRE_NAMESPACE umpire
#endif
#define SHMHEAP_UMPIRE_BEGIN                                                                       \
    namespace SHMHEAP_UMPIRE_NAMESPACE                                                             \
    {                                                                                              \
    inline namespace over_shmheap                                                                  \
    {
#define SHMHEAP_UMPIRE_END                                                                         \
    }                                                                                              \
    }

// Always on, also with NDEBUG.
#ifndef UMPIRE_ASSERT
#define UMPIRE_ASSERT(condition)                                                                   \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : ::SHMHEAP_UMPIRE_NAMESPACE::detail::assertion_failed(#condition, __FILE__, __LINE__))
#endif

SHMHEAP_UMPIRE_BEGIN

namespace detail
{
[[noreturn]] inline void assertion_failed(const char *condition, const char *file, int line)
{
    std::fprintf(stderr, "%s:%d: UMPIRE_ASSERT(%s) failed\n", file, line, condition);
    std::abort();
}
} // namespace detail

class runtime_error : public std::runtime_error
{
public:
    using std::runtime_error::runtime_error;
};
class out_of_memory_error : public runtime_error
{
public:
    using runtime_error::runtime_error;
};
class unknown_pointer_error : public runtime_error
{
public:
    using runtime_error::runtime_error;
};
class resource_error : public runtime_error
{
public:
    using runtime_error::runtime_error;
};

namespace util
{
using Exception = runtime_error; // the name in older versions of Umpire
}

// Where memory can be used. All memory here is memory of the host.
enum class Platform {
    undefined = 0,
    host = 1,
    cuda = 2,
    omp_target = 4,
    hip = 8,
    sycl = 16,
    none = undefined,
    cpu = host
};

struct MemoryResourceTraits {
    enum class optimized_for { any, latency, bandwidth, access };
    enum class vendor_type { unknown, amd, ibm, intel, nvidia };
    enum class memory_type { unknown, ddr, gddr, hbm, nvme };
    enum class resource_type { unknown, host, device, device_const, pinned, um, file, shared };
    enum class shared_scope { unknown, node, socket };

    int id = 0;
    bool unified = false;
    std::size_t size = 0; // bytes of the allocator, some of which names and headers need
    vendor_type vendor = vendor_type::unknown;
    memory_type kind = memory_type::unknown;
    optimized_for used_for = optimized_for::any;
    resource_type resource = resource_type::unknown;
    shared_scope scope = shared_scope::unknown;
};

namespace strategy
{

// AllocationStrategy: the state that all copies of an Allocator share. A program may derive its
// own, for makeAllocator.
class AllocationStrategy
{
public:
    AllocationStrategy(const std::string &name, int id, AllocationStrategy *parent,
                       const std::string &strategy_name)
        : name_(name), strategy_name_(strategy_name), id_(id), parent_(parent)
    {
    }
    virtual ~AllocationStrategy() = default;
    AllocationStrategy(const AllocationStrategy &) = delete;
    AllocationStrategy &operator=(const AllocationStrategy &) = delete;

    virtual void *allocate(std::size_t bytes) = 0;
    // Memory without names ignores the name.
    virtual void *allocate_named(const std::string &, std::size_t bytes) { return allocate(bytes); }
    virtual void deallocate(void *object, std::size_t size = 0) = 0;
    virtual void release() {} // no memory is kept
    virtual std::size_t getSize(const void *object) const
    {
        if (parent_ == nullptr)
            throw unknown_pointer_error("umpire: \"" + name_ +
                                        "\" does not know the sizes of its allocations");
        return parent_->getSize(object);
    }

    // A strategy over another one returns the figures of that one.
    virtual std::size_t getActualSize() const
    {
        return parent_ != nullptr ? parent_->getActualSize() : 0;
    }
    virtual std::size_t getCurrentSize() const
    {
        return parent_ != nullptr ? parent_->getCurrentSize() : 0;
    }
    virtual std::size_t getHighWatermark() const
    {
        return parent_ != nullptr ? parent_->getHighWatermark() : 0;
    }
    virtual std::size_t getAllocationCount() const
    {
        return parent_ != nullptr ? parent_->getAllocationCount() : 0;
    }
    virtual std::size_t getLargestAvailableBlock() const
    {
        return parent_ != nullptr ? parent_->getLargestAvailableBlock() : 0;
    }
    virtual MemoryResourceTraits getTraits() const
    {
        return parent_ != nullptr ? parent_->getTraits() : MemoryResourceTraits();
    }
    virtual Platform getPlatform() noexcept
    {
        return parent_ != nullptr ? parent_->getPlatform() : Platform::host;
    }

    const std::string &getName() const noexcept { return name_; }
    const std::string &getStrategyName() const noexcept { return strategy_name_; }
    int getId() const noexcept { return id_; }
    AllocationStrategy *getParent() const noexcept { return parent_; }

private:
    std::string name_, strategy_name_;
    int id_;
    AllocationStrategy *parent_;
};

} // namespace strategy

namespace resource
{

// MemoryResource: a strategy with memory of its own.
class MemoryResource : public strategy::AllocationStrategy
{
public:
    MemoryResource(const std::string &name, int id, const MemoryResourceTraits &traits,
                   const std::string &strategy_name)
        : AllocationStrategy(name, id, nullptr, strategy_name), traits_(traits)
    {
    }
    MemoryResourceTraits getTraits() const override { return traits_; }
    Platform getPlatform() noexcept override { return Platform::host; }
    virtual bool isAccessibleFrom(Platform platform) noexcept { return platform == Platform::host; }

protected:
    MemoryResourceTraits traits_;
};

} // namespace resource

SHMHEAP_UMPIRE_END

#endif
