// Mallocs for private memory of one process.
// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <optional>

#include "bench/peers/library.h"
#include "bench/peers/peer.h"

namespace bench
{

namespace
{

class glibc_peer final : public peer
{
public:
    void open(const std::string &, std::size_t) override {}
    void close() override {}
    void *alloc(std::size_t size) override { return std::malloc(size); }
    void free(void *object) override { std::free(object); }
    void *resize(void *object, std::size_t, std::size_t size) override
    {
        return std::realloc(object, size);
    }
};

// A malloc of a library that is loaded in addition to the C library's.
class loaded_peer : public peer
{
public:
    void close() override {}
    void *alloc(std::size_t size) final { return alloc_(size); }
    void free(void *object) final { free_(object); }
    void *resize(void *object, std::size_t, std::size_t size) final
    {
        return resize_(object, size);
    }

protected:
    void load(const char *file, const char *package, const char *alloc_name, const char *free_name,
              const char *resize_name)
    {
        library_.emplace(file, package);
        library_->bind(alloc_, alloc_name);
        library_->bind(free_, free_name);
        library_->bind(resize_, resize_name);
    }

private:
    std::optional<library> library_;
    void *(*alloc_)(std::size_t) = nullptr;
    void (*free_)(void *) = nullptr;
    void *(*resize_)(void *, std::size_t) = nullptr;
};

class jemalloc_peer final : public loaded_peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        load("libjemalloc.so.2", "libjemalloc2", "malloc", "free", "realloc");
    }
};

class mimalloc_peer final : public loaded_peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        load("libmimalloc.so.2", "libmimalloc2.0", "mi_malloc", "mi_free", "mi_realloc");
    }
};

} // namespace

const peer_entry glibc_entry = {"glibc", "the C library's malloc, private to the process",
                                trait_objects, make_peer<glibc_peer>};
const peer_entry jemalloc_entry = {"jemalloc", "jemalloc, private to the process", trait_objects,
                                   make_peer<jemalloc_peer>};
const peer_entry mimalloc_entry = {"mimalloc", "mimalloc, private to the process", trait_objects,
                                   make_peer<mimalloc_peer>};

} // namespace bench
