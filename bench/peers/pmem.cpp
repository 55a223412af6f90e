// libpmemobj: a heap in a file for persistent memory; here the file lies in shared memory.
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <optional>
#include <sys/types.h>

#include "bench/shared/library.h"
#include "bench/peers/peer.h"

namespace bench
{

namespace
{

// The declaration of libpmemobj/base.h.
struct pmem_oid {
    std::uint64_t pool;
    std::uint64_t offset;
};

class pmem_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        open_exactly(name, 2 * bytes + pool_spare);
    }
    void open_exactly(const std::string &name, std::size_t bytes) override
    {
        if (bytes < pool_least)
            throw unavailable("its pools need at least 8 MiB");
        // The library reads this when it is loaded: it then flushes caches instead of calling
        // msync(), which is faster.
        setenv("PMEM_IS_PMEM_FORCE", "1", 1);
        load();
        pool_ = create_(("/dev/shm" + name).c_str(), "bench", bytes, 0600);
        if (pool_ == nullptr)
            throw unavailable("pmemobj_create failed");
        // All objects of a pool have the pool id of its root object.
        pool_id_ = root_(pool_, 64).pool;
        bytes_ = bytes;
    }
    void close() override { close_(pool_); }
    std::size_t segment_bytes() override { return bytes_; }
    void *alloc(std::size_t size) override
    {
        pmem_oid oid = {};
        return alloc_(pool_, &oid, size, 0, nullptr, nullptr) == 0 ? object_of(oid.offset)
                                                                   : nullptr;
    }
    void free(void *object) override
    {
        pmem_oid oid = {pool_id_, handle_of(object)};
        free_(&oid);
    }
    std::uint64_t handle_of(void *object) override
    {
        return static_cast<std::uint64_t>(static_cast<unsigned char *>(object) -
                                          static_cast<unsigned char *>(pool_));
    }
    // As the inline pmemobj_direct of the header for the pool used last.
    void *object_of(std::uint64_t handle) override
    {
        return static_cast<unsigned char *>(pool_) + handle;
    }

private:
    // Each size class keeps runs of up to megabytes: a pool without spare room is full early.
    static constexpr std::size_t pool_spare = std::size_t{128} << 20,
                                 pool_least = std::size_t{8} << 20;

    void load()
    {
        library_.emplace("libpmemobj.so.1", "libpmemobj1");
        library_->bind(create_, "pmemobj_create");
        library_->bind(close_, "pmemobj_close");
        library_->bind(root_, "pmemobj_root");
        library_->bind(alloc_, "pmemobj_alloc");
        library_->bind(free_, "pmemobj_free");
    }

    std::optional<library> library_;
    void *pool_ = nullptr;
    std::uint64_t pool_id_ = 0;
    std::size_t bytes_ = 0;
    void *(*create_)(const char *path, const char *layout, std::size_t bytes,
                     mode_t mode) = nullptr;
    void (*close_)(void *pool) = nullptr;
    pmem_oid (*root_)(void *pool, std::size_t size) = nullptr;
    int (*alloc_)(void *pool, pmem_oid *oid, std::size_t size, std::uint64_t type,
                  void *constructor, void *argument) = nullptr;
    void (*free_)(pmem_oid *oid) = nullptr;
};

} // namespace

const peer_entry pmem_entry = {
    "pmemobj", "libpmemobj, each operation atomic on persistent memory; one process at a time",
    trait_objects | trait_handles | trait_bounded, make_peer<pmem_peer>};

} // namespace bench
