// The Apache Portable Runtime's relocatable memory.
// SPDX-License-Identifier: Apache-2.0
#include <optional>

#include "bench/shared/library.h"
#include "bench/peers/peer.h"
#include "bench/shared/shm.h"

namespace bench
{

namespace
{

// Declarations of apr_anylock.h and apr_proc_mutex.h of version 1, whose binary interface is
// frozen.
struct anylock {
    int type;
    void *lock;
};
constexpr int anylock_procmutex = 1;
constexpr int lock_proc_pthread = 3;

class apr_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        load();
        memory_ = std::make_unique<shm>();
        memory_->create(name, bytes);
        void *pool = nullptr;
        check(initialize_(), "apr_initialize");
        check(pool_create_(&pool, nullptr, nullptr, nullptr), "apr_pool_create_ex");
        lock_.type = anylock_procmutex;
        check(mutex_create_(&lock_.lock, nullptr, lock_proc_pthread, pool),
              "apr_proc_mutex_create");
        check(init_(&heap_, &lock_, memory_->base(), bytes, pool), "apr_rmm_init");
    }
    void close() override { memory_.reset(); }
    void *alloc(std::size_t size) override
    {
        std::size_t offset = malloc_(heap_, size);
        return offset != 0 ? addr_get_(heap_, offset) : nullptr;
    }
    void free(void *object) override { free_(heap_, offset_get_(heap_, object)); }
    std::size_t segment_bytes() override { return memory_->bytes(); }
    std::uint64_t handle_of(void *object) override { return offset_get_(heap_, object); }
    void *object_of(std::uint64_t handle) override
    {
        return addr_get_(heap_, static_cast<std::size_t>(handle));
    }

private:
    void load()
    {
        apr_.emplace("libapr-1.so.0", "libapr1");
        util_.emplace("libaprutil-1.so.0", "libaprutil1");
        apr_->bind(initialize_, "apr_initialize");
        apr_->bind(pool_create_, "apr_pool_create_ex");
        apr_->bind(mutex_create_, "apr_proc_mutex_create");
        util_->bind(init_, "apr_rmm_init");
        util_->bind(malloc_, "apr_rmm_malloc");
        util_->bind(free_, "apr_rmm_free");
        util_->bind(addr_get_, "apr_rmm_addr_get");
        util_->bind(offset_get_, "apr_rmm_offset_get");
    }
    static void check(int status, const char *what)
    {
        if (status != 0)
            throw unavailable(std::string(what) + " failed with " + std::to_string(status));
    }

    std::optional<library> apr_, util_;
    std::unique_ptr<shm> memory_;
    anylock lock_ = {};
    void *heap_ = nullptr;
    int (*initialize_)() = nullptr;
    int (*pool_create_)(void **pool, void *parent, void *abort, void *allocator) = nullptr;
    int (*mutex_create_)(void **mutex, const char *file, int mechanism, void *pool) = nullptr;
    int (*init_)(void **heap, anylock *lock, void *memory, std::size_t bytes, void *pool) = nullptr;
    std::size_t (*malloc_)(void *heap, std::size_t size) = nullptr;
    int (*free_)(void *heap, std::size_t offset) = nullptr;
    void *(*addr_get_)(void *heap, std::size_t offset) = nullptr;
    std::size_t (*offset_get_)(void *heap, void *object) = nullptr;
};

} // namespace

const peer_entry apr_entry = {
    "apr-rmm", "Apache Portable Runtime, apr_rmm (linear search of a list), robust pthread mutex",
    trait_objects | trait_shared | trait_handles | trait_bounded, make_peer<apr_peer>};

} // namespace bench
