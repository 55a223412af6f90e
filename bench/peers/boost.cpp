// Boost.Interprocess: managed shared memory with each of its two algorithms.
// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "bench/peers/peer.h"

#if __has_include(<boost/interprocess/managed_shared_memory.hpp>)
#include <boost/interprocess/indexes/iset_index.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/mem_algo/rbtree_best_fit.hpp>
#include <boost/interprocess/mem_algo/simple_seq_fit.hpp>
#include <boost/interprocess/sync/mutex_family.hpp>
#define BENCH_BOOST 1
#else
#define BENCH_BOOST 0
#endif

namespace bench
{

namespace
{

#if BENCH_BOOST

namespace bip = boost::interprocess;

template <class Algorithm>
using segment = bip::basic_managed_shared_memory<char, Algorithm, bip::iset_index>;

// bip::managed_shared_memory is segment<rbtree_best_fit<mutex_family>>.
template <class Algorithm>
class boost_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        name_ = name;
        heap_ = std::make_unique<segment<Algorithm>>(bip::create_only, name.c_str(), bytes);
    }
    void close() override { heap_.reset(); }
    void *alloc(std::size_t size) override { return heap_->allocate(size, std::nothrow); }
    void free(void *object) override { heap_->deallocate(object); }
    // As Boost's containers do: grows or shrinks in place, else moves.
    void *resize(void *object, std::size_t before, std::size_t size) override
    {
        bool grows = size > before;
        auto how = grows ? bip::expand_fwd | bip::allocate_new : bip::shrink_in_place;
        char *at = static_cast<char *>(object);
        typename segment<Algorithm>::size_type limit = grows ? size : before, received = size;
        void *now = heap_->template allocation_command<char>(how | bip::nothrow_allocation, limit,
                                                             received, at);
        if (now == nullptr)
            return grows ? nullptr : object;
        if (now != object) {
            std::memcpy(now, object, before);
            heap_->deallocate(object);
        }
        return now;
    }
    std::size_t segment_bytes() override { return heap_->get_size(); }
    std::string version() override { return BOOST_LIB_VERSION; }
    void reconnect() override { segment<Algorithm> second(bip::open_only, name_.c_str()); }
    std::uint64_t handle_of(void *object) override
    {
        return static_cast<std::uint64_t>(heap_->get_handle_from_address(object));
    }
    void *object_of(std::uint64_t handle) override
    {
        return heap_->get_address_from_handle(
            static_cast<typename segment<Algorithm>::handle_t>(handle));
    }

private:
    std::string name_;
    std::unique_ptr<segment<Algorithm>> heap_;
};

using rbtree_peer = boost_peer<bip::rbtree_best_fit<bip::mutex_family>>;
using seqfit_peer = boost_peer<bip::simple_seq_fit<bip::mutex_family>>;
static_assert(
    std::is_same_v<bip::managed_shared_memory, segment<bip::rbtree_best_fit<bip::mutex_family>>>,
    "the reference is Boost's default");

#else

class no_boost : public peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        throw unavailable("not installed (libboost-dev)");
    }
    void close() override {}
    void *alloc(std::size_t) override { return nullptr; }
    void free(void *) override {}
};

class rbtree_peer final : public no_boost
{
};
class seqfit_peer final : public no_boost
{
};

#endif

constexpr unsigned traits =
    trait_objects | trait_shared | trait_connects | trait_handles | trait_bounded;

} // namespace

const peer_entry boost_rbtree_entry = {
    reference_peer,
    "Boost.Interprocess managed_shared_memory (rbtree_best_fit), pthread mutex, not robust", traits,
    make_peer<rbtree_peer>};
const peer_entry boost_seqfit_entry = {
    "boost-seqfit",
    "Boost.Interprocess simple_seq_fit (linear search of a list), pthread mutex, not robust",
    traits, make_peer<seqfit_peer>};

} // namespace bench
