// shmheap itself: exact, with small pages only, and with caches.
// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <shmheap.h>
#include <sys/prctl.h>

#include "bench/measure/lock_hold.h"
#include "bench/peers/peer.h"

namespace bench
{

namespace
{

[[noreturn]] void fail(const char *what)
{
    std::string text = std::string(what) + ": " + std::strerror(errno);
    if (errno == ENOTSUP)
        throw unavailable("not in this build");
    throw std::runtime_error(text);
}

// Prevents huge pages in this process while the heap is open, since other peers have none.
class only_small_pages
{
public:
    only_small_pages() { set(1); }
    ~only_small_pages() { set(0); }
    only_small_pages(const only_small_pages &) = delete;
    only_small_pages &operator=(const only_small_pages &) = delete;

private:
    static void set(unsigned long disabled) { prctl(PR_SET_THP_DISABLE, disabled, 0, 0, 0); }
};

struct any_pages {
};

template <unsigned flags, class Pages = any_pages>
class shmheap_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        shmheap_options options = {};
        options.len = bytes;
        options.flags = SHMHEAP_CREATE | SHMHEAP_EXCLUSIVE | flags;
        name_ = name;
        pages_.emplace();
        if (shmheap_open(&heap_, name.c_str(), &options) != 0)
            fail("shmheap_open");
    }
    void close() override
    {
        shmheap_disconnect(heap_);
        pages_.reset();
    }
    void *alloc(std::size_t size) override { return shmheap_alloc(heap_, size); }
    void free(void *object) override { shmheap_free(heap_, object); }
    void *resize(void *object, std::size_t, std::size_t size) override
    {
        return shmheap_realloc(heap_, object, size);
    }
    std::size_t segment_bytes() override
    {
        shmheap_stats stats;
        if (shmheap_stat(heap_, &stats) != 0)
            fail("shmheap_stat");
        return static_cast<std::size_t>(stats.segment_len);
    }
    std::string version() override
    {
        unsigned version = shmheap_version();
        return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
               std::to_string(version % 100);
    }
    void reconnect() override
    {
        shmheap_options options = {};
        options.flags = flags;
        shmheap_memory_handle second;
        if (shmheap_open(&second, name_.c_str(), &options) != 0)
            fail("shmheap_open");
        shmheap_disconnect(second);
    }
    std::uint64_t handle_of(void *object) override
    {
        return shmheap_ptr_to_handle(heap_, object).bits;
    }
    void *object_of(std::uint64_t handle) override
    {
        return shmheap_handle_to_ptr(heap_, shmheap_object_handle{handle});
    }
    void die_inside() override
    {
        // The first change gives this child a slot, which the lock stores as its owner.
        shmheap_free(heap_, shmheap_alloc(heap_, 16));
        if (lock_hold(heap_) == 0)
            raise(SIGKILL);
    }
    std::uint64_t recoveries() override
    {
        shmheap_stats stats;
        return shmheap_stat(heap_, &stats) == 0 ? stats.recoveries : 0;
    }

private:
    std::string name_;
    shmheap_memory_handle heap_ = {};
    std::optional<Pages> pages_;
};

constexpr unsigned traits =
    trait_objects | trait_shared | trait_connects | trait_handles | trait_recovers | trait_bounded;

} // namespace

const peer_entry shmheap_entry = {"shmheap", "shmheap, exact first fit, robust futex", traits,
                                  make_peer<shmheap_peer<0>>};
const peer_entry shmheap_small_pages_entry = {
    "shmheap-4k", "shmheap, exact first fit, robust futex, pages of 4 KiB only", traits,
    make_peer<shmheap_peer<0, only_small_pages>>};
// Without trait_recovers: its next alloc comes from a cache and does not take the dead process's
// lock.
const peer_entry shmheap_cached_entry = {"shmheap-cached", "shmheap, SHMHEAP_CACHED, robust futex",
                                         traits & ~unsigned{trait_recovers},
                                         make_peer<shmheap_peer<SHMHEAP_CACHED>>};

} // namespace bench
