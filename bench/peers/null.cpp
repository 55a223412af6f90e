// The driver's own cost, measured with an allocator that does nothing.
// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/peer.h"
#include "bench/shared/shm.h"

namespace bench
{

namespace
{

constexpr std::size_t ring_bytes = 64 << 10;

// Objects come from a ring that stays in the processor's caches. The remaining cost is the loop,
// the calls, the random access to the array of live objects and the first write to each object.
class null_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        name_ = name;
        memory_ = std::make_unique<shm>();
        memory_->create(name, bytes < 4 * ring_bytes ? 4 * ring_bytes : bytes);
        ring_ = memory_->base();
    }
    void close() override { memory_.reset(); }
    void *alloc(std::size_t) override { return ring_ + (next_ += 64) % ring_bytes; }
    void free(void *) override {}
    // The cost of mmap and of the first page fault.
    void reconnect() override
    {
        shm second;
        second.connect(name_);
        *static_cast<volatile unsigned char *>(second.base()) = 1;
    }

private:
    std::string name_;
    std::unique_ptr<shm> memory_;
    unsigned char *ring_ = nullptr;
    std::size_t next_ = 0;
};

} // namespace

const peer_entry null_entry = {"driver", "the driver itself, with an allocator that does nothing",
                               trait_shared | trait_connects | trait_handles, make_peer<null_peer>};

} // namespace bench
