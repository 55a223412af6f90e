// Two-level segregated fit in shared memory, under a robust pthread mutex.
// SPDX-License-Identifier: Apache-2.0
#include <mutex>
#include <new>

#include "bench/peers/peer.h"
#include "bench/shared/robust_mutex.h"
#include "bench/shared/shm.h"
#include "bench/peers/tlsf_heap.h"

namespace bench
{

namespace
{

class tlsf_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        memory_ = std::make_unique<shm>();
        memory_->create(name, bytes);
        lock_ = new (memory_->base()) robust_mutex;
        heap_ = tlsf_heap::make(memory_->base() + lock_bytes, bytes - lock_bytes);
    }
    void close() override { memory_.reset(); }

    void *alloc(std::size_t size) override
    {
        std::lock_guard<robust_mutex> guard(*lock_);
        return heap_->alloc(size);
    }
    void free(void *object) override
    {
        std::lock_guard<robust_mutex> guard(*lock_);
        heap_->free(object);
    }
    void *resize(void *object, std::size_t before, std::size_t size) override
    {
        {
            std::lock_guard<robust_mutex> guard(*lock_);
            if (heap_->resize(object, size))
                return object;
        }
        return peer::resize(object, before, size);
    }

    std::size_t segment_bytes() override { return memory_->bytes(); }
    std::uint64_t handle_of(void *object) override
    {
        return static_cast<std::uint64_t>(static_cast<unsigned char *>(object) - memory_->base());
    }
    void *object_of(std::uint64_t handle) override { return memory_->base() + handle; }

private:
    static constexpr std::size_t lock_bytes = 64; // a cache line
    static_assert(sizeof(robust_mutex) <= lock_bytes, "the heap lies behind the lock");

    std::unique_ptr<shm> memory_;
    robust_mutex *lock_ = nullptr;
    tlsf_heap *heap_ = nullptr;
};

} // namespace

const peer_entry tlsf_entry = {
    "tlsf", "two-level segregated fit (own code), 8-byte headers, robust pthread mutex",
    trait_objects | trait_shared | trait_handles | trait_bounded, make_peer<tlsf_peer>};

} // namespace bench
